"""What the openai SDK does when a server closes a connection under it: the rules that cosim's clients repeat."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

openai = pytest.importorskip("openai", reason="the openai SDK is not installed")

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n'
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
BEGUN = HEAD + b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


def attempts_of_the_sdk(answer: bytes, expected: type[Exception], monkeypatch: pytest.MonkeyPatch) -> int:
    """Requests that a server sees which writes `answer` and closes, until the SDK raises; its waits are left out."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=_serve, args=(listener, answer, requests.append))
    server.start()
    try:
        client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        with client, pytest.raises(expected):
            _ask(client)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join(timeout=30)
    assert not server.is_alive()
    return len(requests)


def _ask(client: Any) -> None:
    for _ in client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}], stream=True):
        pass


def _serve(listener: socket.socket, answer: bytes, note: Callable[[bytes], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            data = b""
            while not data.endswith(b"}"):
                data += connection.recv(65_536)
            note(data)
            connection.sendall(answer)


def test_a_connection_that_ends_before_its_answer_is_tried_twice_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attempts_of_the_sdk(b"", openai.APIConnectionError, monkeypatch) == 3


def test_an_answer_that_has_begun_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attempts_of_the_sdk(BEGUN, Exception, monkeypatch) == 1


def test_a_refusal_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attempts_of_the_sdk(BAD_REQUEST, openai.BadRequestError, monkeypatch) == 1
