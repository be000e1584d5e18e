"""What a socket refuses: everything that is not one message of this version, without an exception of another kind."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from cosim.bridge.codec import MALFORMED, MAX_MESSAGE_BYTES, OVERSIZED, STALE, Codec
from cosim.bridge.engine_messages import (
    EngineReply,
    EngineRequest,
    EngineSpec,
    EnginesReady,
    HubModel,
    Render,
    Rendered,
    StartEngines,
    Step,
)
from cosim.bridge.errors import BridgeError, MessageError
from cosim.bridge.messages import PROTOCOL_VERSION, Advance, ConfigureNetwork, NetworkReply, NetworkRequest, Send, Stop
from cosim.bridge.remote_messages import Attach, RemoteReply, RemoteRequest

PROTOCOLS = (EngineRequest, EngineReply, NetworkRequest, NetworkReply, RemoteRequest, RemoteReply)
N_MALFORMED = 100_000
encode = msgspec.msgpack.encode


def start(version: int = PROTOCOL_VERSION, **args: object) -> StartEngines:
    return StartEngines(version, "cpu", [EngineSpec("e", HubModel("m"), "m", args, True)], 1)


def refusal(frames: list[bytes], protocol: Any = EngineRequest) -> MessageError:
    codec = Codec(protocol)
    with pytest.raises(MessageError) as caught:
        codec.decode(frames)
    assert codec.refused == 1
    return caught.value


def test_a_message_comes_back_as_it_was() -> None:
    codec = Codec(EngineRequest)
    message = Render("e", "r-1", b"\x00\xff" * 100)
    assert codec.decode([codec.encode(message)]) == message
    assert codec.refused == 0


@pytest.mark.parametrize("frames", [[], [b"", b""], [encode(Stop()), encode(Stop())], [encode(Stop()), b""]])
def test_a_message_is_one_frame(frames: list[bytes]) -> None:
    assert refusal(frames).kind == MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"null",
        encode(None),
        encode([]),
        encode({}),
        encode({"type": "Nothing"}),
        encode({"type": "Step"}),
        encode({"type": "Step", "engine": 5, "submit": [], "abort": []}),
        encode({"type": "Step", "engine": "e", "submit": None, "abort": []}),
        encode(Stop())[:-1],
        encode(Stop()) + b"\x00",
        encode({"type": "Step", "engine": b"\xff", "submit": [], "abort": []}),
        encode(EnginesReady(PROTOCOL_VERSION, {}, {})),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    assert refusal([data]).kind == MALFORMED


@pytest.mark.parametrize(
    "value",
    [
        b"\x91" * 100_000 + b"\xc0",  # nested deeper than a stack
        b"\x81\x81\x01\x02\x03",  # a mapping as a key
        b"\xdd\xff\xff\xff\xff",  # an array of 4 G elements
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",  # 4 GB of bytes
        b"\xdb\xff\xff\xff\xff",
        b"\xc7\x0c\xff" + b"\xff" * 12,  # a time that does not exist
        b"\xa2\xff\xfe",  # no UTF-8
    ],
)
def test_what_would_break_a_decoder_is_refused(value: bytes) -> None:
    whole = encode(start(here=None))
    assert whole.count(b"\xa4here\xc0") == 1
    assert refusal([whole.replace(b"\xa4here\xc0", b"\xa4here" + value)]).kind == MALFORMED


def test_a_message_has_a_largest_size() -> None:
    codec = Codec(EngineRequest)
    room = MAX_MESSAGE_BYTES - len(codec.encode(Render("e", "r", b"")))
    largest = codec.encode(Render("e", "r", bytes(room - 4)))  # the length takes four bytes more than that of none
    assert len(largest) == MAX_MESSAGE_BYTES - 1
    assert isinstance(codec.decode([largest]), Render)
    with pytest.raises(BridgeError, match="at most 67108864; next: make prompts or images smaller"):
        codec.encode(Render("e", "r", bytes(room + 100)))
    error = refusal([largest + b"\x00\x00"])
    assert error.kind == OVERSIZED
    assert f"{MAX_MESSAGE_BYTES + 1} bytes" in str(error)


@pytest.mark.parametrize("version", [0, 1, PROTOCOL_VERSION + 1, 10**9, -1])
@pytest.mark.parametrize("shape", ["same", "other fields", "other types"])
def test_another_version_is_named_even_if_its_messages_have_another_shape(version: int, shape: str) -> None:
    messages: dict[str, object] = {
        "same": start(version),
        "other fields": {"type": "StartEngines", "version": version, "machines": []},
        "other types": {"type": "StartEngines", "version": version, "hardware": 5, "engines": "e", "seed": None},
    }
    error = refusal([encode(messages[shape])])
    assert error.kind == STALE
    assert f"protocol version {version} instead of {PROTOCOL_VERSION}" in str(error)


def test_replies_of_another_version_are_refused_too() -> None:
    assert refusal([encode(EnginesReady(PROTOCOL_VERSION - 1, {}, {}))], EngineReply).kind == STALE


@pytest.mark.parametrize("name", ["duration_ns", "prompt_tokens", "images"])
def test_what_counts_is_not_negative(name: str) -> None:
    """A reply of an engine host elsewhere takes no time back and no byte out of the network."""
    rendered = msgspec.structs.asdict(Rendered(1, 2, 3, 4, 5, 6))
    assert refusal([encode({"type": "Rendered", **rendered, name: -1})], EngineReply).kind == MALFORMED


def test_a_hundred_thousand_malformed_messages_raise_nothing_else() -> None:
    """Random bytes, and messages with bytes changed, put in and taken out; some are still messages."""
    stream = random.Random(1)
    codecs = [Codec(protocol) for protocol in PROTOCOLS]
    good = [
        encode(message)
        for message in (
            Step("e", ["a"], ["b"]),
            Render("e", "r", b"x" * 50),
            start(a=1, b={"c": [1, 2.5, None, "x"]}),
            Attach(PROTOCOL_VERSION, "run", "name"),
            Advance([Send(1, 2, 3, 4, True, False)], 5),
            {"type": "ConfigureNetwork", "version": PROTOCOL_VERSION, "topology": {"ues": ["ue"], "access": {}}},
            {"type": ConfigureNetwork.__name__},
        )
    ]
    understood, kinds = 0, set()
    for index in range(N_MALFORMED):
        data = stream.randbytes(stream.randrange(200)) if index % 4 == 0 else broken(stream, stream.choice(good))
        try:
            codecs[index % len(codecs)].decode([data])
            understood += 1
        except MessageError as error:
            kinds.add(error.kind)
    assert kinds == {MALFORMED, STALE}
    assert sum(codec.refused for codec in codecs) == N_MALFORMED - understood
    assert understood < N_MALFORMED / 50


def broken(stream: random.Random, message: bytes) -> bytes:
    data = bytearray(message)
    for _ in range(stream.randrange(1, 6)):
        place = stream.randrange(len(data) + 1)
        match stream.randrange(3):
            case 0:
                data[place : place + 1] = stream.randbytes(1)
            case 1:
                data[place:place] = stream.randbytes(stream.randrange(1, 8))
            case _:
                del data[place : place + stream.randrange(1, 8)]
    return bytes(data)
