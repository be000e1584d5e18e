"""Bytes on the wire around a payload: HTTP/1.1 headers and chunked framing, HTTP/2 frames, SSE, TLS 1.3 records.

HTTP/2 is always in TLS here. Header blocks are those of every request but a connection's first: an index of one byte
for each field that the dynamic table holds (RFC 7541 6.1), a literal for what changes. What a connection says of itself
(preface, SETTINGS, WINDOW_UPDATE, PING) is not counted.
"""

from __future__ import annotations

import json

TLS_RECORD_PAYLOAD_BYTES = 16_384
# RFC 8446 5.2: 5 bytes of header, 1 of content type, 16 of the AEAD tag.
TLS_RECORD_OVERHEAD_BYTES = 22

# RFC 9113 4.1: length, type, flags, stream. 4.2: SETTINGS_MAX_FRAME_SIZE as it is initially.
HTTP2_FRAME_HEADER_BYTES = 9
HTTP2_FRAME_PAYLOAD_BYTES = 16_384
HTTP2_ERROR_CODE_BYTES = 4
# 4 pseudo-header fields and 14 fields by index; content-length as a literal with indexed name.
HPACK_REQUEST_BYTES = 18 + 7
# :status, server and content-type by index; date as a literal with indexed name, in Huffman code.
HPACK_RESPONSE_BYTES = 3 + 24

RESPONSE_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"date: Sat, 21 Nov 2026 00:00:00 GMT\r\n"
    b"server: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
SSE_DONE = b"data: [DONE]\n\n"
CHUNKED_END = b"0\r\n\r\n"


def tls_bytes(n_bytes: int) -> int:
    """Size of a write as TLS 1.3 application records (RFC 8446 5.1: at most 2^14 bytes each)."""
    records = -(-n_bytes // TLS_RECORD_PAYLOAD_BYTES)
    return n_bytes + records * TLS_RECORD_OVERHEAD_BYTES


def request_bytes(body_bytes: int, *, host: str, tls: bool) -> int:
    """Size of the POST of a chat completion as httpx under the openai SDK writes it: head, then body."""
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        f"Host: {host}\r\n"
        "Accept-Encoding: gzip, deflate\r\n"
        "Connection: keep-alive\r\n"
        "Accept: application/json\r\n"
        "Content-Type: application/json\r\n"
        "User-Agent: AsyncOpenAI/Python 2.8.1\r\n"
        "X-Stainless-Lang: python\r\n"
        "X-Stainless-Package-Version: 2.8.1\r\n"
        "X-Stainless-OS: Linux\r\n"
        "X-Stainless-Arch: x64\r\n"
        "X-Stainless-Runtime: CPython\r\n"
        "X-Stainless-Runtime-Version: 3.11.7\r\n"
        "X-Stainless-Async: async:asyncio\r\n"
        "X-Stainless-Retry-Count: 0\r\n"
        "X-Stainless-Read-Timeout: 600\r\n"
        "Authorization: Bearer EMPTY\r\n"
        f"Content-Length: {body_bytes}\r\n\r\n"
    )
    if not tls:
        return len(head) + body_bytes
    return tls_bytes(len(head)) + tls_bytes(body_bytes)


def answer_bytes(sse: bytes | int, *, first: bool, last: bool, tls: bool) -> int:
    r"""Size of one SSE event of a streamed answer in HTTP chunked framing (RFC 9112 7.1).

    `sse` is the event as written (`data: {...}\n\n`) or its size. The first carries the response's head, the last
    `data: [DONE]` and the end of the chunked body.
    """
    payload = sse if isinstance(sse, int) else len(sse)
    n_bytes = _chunk_bytes(payload)
    if first:
        n_bytes += len(RESPONSE_HEAD)
    if last:
        n_bytes += _chunk_bytes(len(SSE_DONE)) + len(CHUNKED_END)
    return tls_bytes(n_bytes) if tls else n_bytes


def error_bytes(text: str, *, tls: bool) -> int:
    """Size of a 4xx answer: head and the JSON of an OpenAI error object."""
    body = _error_body(text)
    head = (
        "HTTP/1.1 400 Bad Request\r\n"
        "date: Sat, 21 Nov 2026 00:00:00 GMT\r\n"
        "server: uvicorn\r\n"
        f"content-length: {len(body)}\r\n"
        "content-type: application/json\r\n\r\n"
    )
    return tls_bytes(len(head) + len(body)) if tls else len(head) + len(body)


def http2_request_bytes(body_bytes: int) -> int:
    """Size of the POST in HTTP/2: a HEADERS frame, then DATA frames, each a write of its own (httpcore's HTTP/2)."""
    full, rest = divmod(body_bytes, HTTP2_FRAME_PAYLOAD_BYTES)
    data = full * _frame_bytes(HTTP2_FRAME_PAYLOAD_BYTES) + (_frame_bytes(rest) if rest else 0)
    return _frame_bytes(HPACK_REQUEST_BYTES) + data


def reframed_bytes(n_bytes: int, *, first: bool, last: bool) -> int:
    """Size in HTTP/2 of what a server wrote in HTTP/1.1 (`answer_bytes` with TLS): a DATA frame for each chunk.

    A HEADERS frame comes before the first; the frame of `data: [DONE]` carries END_STREAM.
    """
    records = -(-n_bytes // (TLS_RECORD_PAYLOAD_BYTES + TLS_RECORD_OVERHEAD_BYTES))
    chunk = n_bytes - records * TLS_RECORD_OVERHEAD_BYTES
    if first:
        chunk -= len(RESPONSE_HEAD)
    if last:
        chunk -= _chunk_bytes(len(SSE_DONE)) + len(CHUNKED_END)
    size = _frame_bytes(_payload_bytes(chunk))
    if first:
        size += _frame_bytes(HPACK_RESPONSE_BYTES)
    return size + _frame_bytes(len(SSE_DONE)) if last else size


def http2_error_bytes(text: str) -> int:
    """Size of a 4xx answer in HTTP/2."""
    return _frame_bytes(HPACK_RESPONSE_BYTES) + _frame_bytes(len(_error_body(text)))


def reset_stream_bytes() -> int:
    """Size of RST_STREAM (RFC 9113 6.4)."""
    return _frame_bytes(HTTP2_ERROR_CODE_BYTES)


def _frame_bytes(payload: int) -> int:
    """Size of one HTTP/2 frame that is a write of its own."""
    return tls_bytes(HTTP2_FRAME_HEADER_BYTES + payload)


def _error_body(text: str) -> str:
    return json.dumps({"error": {"message": text, "type": "BadRequestError", "param": None, "code": 400}})


def _payload_bytes(chunk: int) -> int:
    """Size of what a chunk of HTTP/1.1 carries: the inverse of `_chunk_bytes`; no chunk's size stays as it is."""
    return next((n for n in range(max(0, chunk - 12), chunk - 4) if _chunk_bytes(n) == chunk), max(1, chunk))


def _chunk_bytes(payload: int) -> int:
    return len(f"{payload:x}") + 2 + payload + 2
