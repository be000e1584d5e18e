"""Sizes on the wire against bytes written out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim import wire
from cosim.words import WORDS

EVENT = b'data: {"choices":[{"delta":{"content":" a"}}]}\n\n'
HEAD = (
    "HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 00:00:00 GMT\r\nserver: uvicorn\r\n"
    "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
RECORD = 5 + 1 + 16


@pytest.mark.parametrize(
    ("n_bytes", "size"),
    [
        (0, 0),
        (1, 1 + RECORD),
        (16_384, 16_384 + RECORD),
        (16_385, 16_385 + 2 * RECORD),
        (100_000, 100_000 + 7 * RECORD),
    ],
)
def test_tls_adds_a_header_a_type_and_a_tag_to_each_record_of_16_kib(n_bytes: int, size: int) -> None:
    assert wire.tls_bytes(n_bytes) == size


def test_an_event_is_one_chunk() -> None:
    """RFC 9112 7.1: the size in hexadecimal, CRLF, the data, CRLF."""
    framed = b"30\r\n" + EVENT + b"\r\n"
    assert len(EVENT) == 0x30
    assert wire.answer_bytes(EVENT, first=False, last=False, tls=False) == len(framed)
    assert wire.answer_bytes(len(EVENT), first=False, last=False, tls=False) == len(framed)
    assert wire.answer_bytes(EVENT, first=False, last=False, tls=True) == len(framed) + RECORD


@pytest.mark.parametrize(("n_bytes", "digits"), [(15, 1), (16, 2), (255, 2), (256, 3), (4095, 3), (4096, 4)])
def test_the_size_of_a_chunk_has_as_many_digits_as_it_needs(n_bytes: int, digits: int) -> None:
    assert wire.answer_bytes(n_bytes, first=False, last=False, tls=False) == digits + 2 + n_bytes + 2


def test_the_first_event_carries_the_head_and_the_last_one_the_end() -> None:
    framed = "30\r\n" + EVENT.decode() + "\r\n"
    end = "e\r\ndata: [DONE]\n\n\r\n" + "0\r\n\r\n"
    assert wire.answer_bytes(EVENT, first=True, last=False, tls=False) == len(HEAD + framed)
    assert wire.answer_bytes(EVENT, first=False, last=True, tls=False) == len(framed + end)
    assert wire.answer_bytes(EVENT, first=True, last=True, tls=False) == len(HEAD + framed + end)
    assert wire.answer_bytes(EVENT, first=True, last=True, tls=True) == len(HEAD + framed + end) + RECORD


def test_a_request_is_its_head_and_its_body() -> None:
    """Each is a write of its own, so each begins a TLS record."""
    empty = wire.request_bytes(0, host="edge", tls=False)
    assert wire.request_bytes(0, host="edge.example", tls=False) == empty + len(".example")
    assert wire.request_bytes(100, host="edge", tls=False) == empty + 100 + len("100") - len("0")
    assert wire.request_bytes(100, host="edge", tls=True) == empty + 100 + 2 + 2 * RECORD
    assert wire.request_bytes(20_000, host="edge", tls=True) == empty + 20_000 + 4 + 3 * RECORD
    # The 18 header lines that the openai SDK sends through httpx add up to this with `Host: edge` and no body.
    assert empty == 36 + 12 + 32 + 24 + 26 + 32 + 38 + 26 + 36 + 23 + 23 + 30 + 37 + 34 + 28 + 31 + 29 + 19 + 2


def test_an_error_is_a_head_and_the_json_of_openai() -> None:
    body = '{"error": {"message": "too \\"long\\"", "type": "BadRequestError", "param": null, "code": 400}}'
    head = (
        "HTTP/1.1 400 Bad Request\r\ndate: Sat, 21 Nov 2026 00:00:00 GMT\r\nserver: uvicorn\r\n"
        f"content-length: {len(body)}\r\ncontent-type: application/json\r\n\r\n"
    )
    assert wire.error_bytes('too "long"', tls=False) == len(head + body)
    assert wire.error_bytes('too "long"', tls=True) == len(head + body) + RECORD
    assert wire.error_bytes("é" * 10, tls=False) == len(head + body) - len('too \\"long\\"') + 6 * 10 + 1


@given(st.integers(0, 10**7), st.booleans())
def test_more_bytes_never_take_less(n_bytes: int, tls: bool) -> None:
    assert wire.request_bytes(n_bytes, host="e", tls=tls) < wire.request_bytes(n_bytes + 1, host="e", tls=tls)
    few, more = (wire.answer_bytes(size, first=False, last=False, tls=tls) for size in (n_bytes, n_bytes + 1))
    assert few < more


def test_words_are_single_and_plain() -> None:
    """Each is one token when joined by single spaces."""
    assert len(set(WORDS)) == len(WORDS)
    assert len(WORDS) > 256
    assert all(word.isascii() and word.isalpha() and word.islower() for word in WORDS)


def test_a_gateway_puts_each_chunk_into_a_frame() -> None:
    for size in (*range(1, 400), 4_090, 4_096, 65_535, 65_536):
        for first, last in ((True, False), (False, False), (False, True), (True, True)):
            written = wire.answer_bytes(size, first=first, last=last, tls=True)
            frames = [9 + 27] * first + [9 + size] + [9 + len(wire.SSE_DONE)] * last
            expected = sum(wire.tls_bytes(frame) for frame in frames)
            assert wire.reframed_bytes(written, first=first, last=last) == expected, (size, first, last)


def test_http2_requests_are_frames_of_at_most_16_kib_each_a_write() -> None:
    headers = 9 + 25 + RECORD
    assert wire.http2_request_bytes(100) == headers + 9 + 100 + RECORD
    # 16,393 bytes of a full frame take two TLS records.
    assert wire.http2_request_bytes(16_384) == headers + 9 + 16_384 + 2 * RECORD
    assert wire.http2_request_bytes(16_385) == headers + 9 + 16_384 + 2 * RECORD + 9 + 1 + RECORD
    assert wire.reset_stream_bytes() == 9 + 4 + RECORD
