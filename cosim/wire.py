"""Bytes on the wire around a payload: HTTP/1.1 headers, chunked framing, SSE, TLS 1.3 records and handshakes."""

from __future__ import annotations

import json

TLS_RECORD_PAYLOAD_BYTES = 16_384
# RFC 8446 5.2: 5 bytes of header, 1 of content type, 16 of the AEAD tag.
TLS_RECORD_OVERHEAD_BYTES = 22

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
    body = json.dumps({"error": {"message": text, "type": "BadRequestError", "param": None, "code": 400}})
    head = (
        "HTTP/1.1 400 Bad Request\r\n"
        "date: Sat, 21 Nov 2026 00:00:00 GMT\r\n"
        "server: uvicorn\r\n"
        f"content-length: {len(body)}\r\n"
        "content-type: application/json\r\n\r\n"
    )
    return tls_bytes(len(head) + len(body)) if tls else len(head) + len(body)


def _chunk_bytes(payload: int) -> int:
    return len(f"{payload:x}") + 2 + payload + 2
