"""Messages that an engine host on another machine takes and sends beside those of an engine host here."""

from __future__ import annotations

from typing import Annotated

import msgspec

from cosim.bridge.engine_messages import EngineReply, EngineRequest

MOST_NAME_CHARACTERS = 200
Name = Annotated[str, msgspec.Meta(max_length=MOST_NAME_CHARACTERS)]


class Attach(msgspec.Struct, frozen=True, tag=True):
    """First message to an engine host on another machine; one host serves one `run` at a time. `name`: for people."""

    version: int
    run: Name
    name: Name


class Attached(msgspec.Struct, frozen=True, tag=True):
    """The run may go on with `StartEngines`. `versions` and `machine` are the host's, for the manifest."""

    version: int
    versions: dict[str, str | None]
    machine: dict[str, object]


class Beat(msgspec.Struct, frozen=True, tag=True):
    """The host is there, whatever its engines do; `log` is what they have written since the last."""

    log: bytes


RemoteRequest = Attach | EngineRequest
RemoteReply = Attached | Beat | EngineReply
