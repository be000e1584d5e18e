"""The requests of a trace as a run took them, kept in its directory: a replay needs no trace.

One file for each group, `traces/NAME.jsonl`, in order of time. In memory is where each client's lines begin, no more.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from cosim.clients.trace_requests import TraceReader, TraceRequest
from cosim.scenario.clients import ClientGroup
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.traces import Trace

TRACES = "traces"
_ALLOWED = "the directory of a run as it was written"


class StoredTrace:
    """A group's requests on disk, found by client and number; `use`: what they are of the trace, for the manifest."""

    def __init__(self, path: Path, clients: int) -> None:
        self.use: dict[str, Any] = {}
        self._path = path
        self._offsets = [array("Q") for _ in range(clients)]

    def write(self, requests: Iterable[TraceRequest]) -> None:
        """Write them all. Raises OSError, and what reading them raises."""
        self._path.parent.mkdir(exist_ok=True)
        encoder, offset = msgspec.json.Encoder(), 0
        with open(self._path, "wb") as file:
            for request in requests:
                self._offsets[request.client].append(offset)
                offset += file.write(encoder.encode(request) + b"\n")

    def request(self, client: int, number: int) -> TraceRequest | None:
        """A client's request by number; None after its last. Raises OSError."""
        if number >= len(self._offsets[client]):
            return None
        with open(self._path, "rb") as file:
            file.seek(self._offsets[client][number])
            return msgspec.json.decode(file.readline(), type=TraceRequest)


def store_traces(
    groups: Iterable[ClientGroup], end_ns: int, directory: Path, *, recorded: Path | None
) -> dict[str, StoredTrace]:
    """Keep what a run needs of each trace in its directory, by name of the group; a replay has it of the recorded run.

    Raises ScenarioError for a trace that cannot be used, OSError.
    """
    traces = {}
    for group in groups:
        if isinstance(group, Trace):
            stored = traces[group.name] = StoredTrace(stored_path(directory, group.name), group.count)
            if recorded is not None:
                stored.write(read_stored(recorded, group.name, group.count))
                stored.use = {"file": group.file}
            else:
                reader = TraceReader(group, end_ns)
                stored.write(reader.requests())
                stored.use = {"file": group.file, **asdict(reader.use)}
    return traces


def stored_path(directory: Path, group: str) -> Path:
    """Where a run keeps the requests of a group."""
    return directory / TRACES / f"{group}.jsonl"


def read_stored(directory: Path, group: str, clients: int) -> Iterator[TraceRequest]:
    """What a run took of a trace. Raises ScenarioError for a line that it did not write, OSError."""
    path = stored_path(directory, group)
    decoder = msgspec.json.Decoder(TraceRequest)
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                request = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise ScenarioError([Problem(str(path), number, "", f"is damaged: {error}", _ALLOWED)]) from None
            if not 0 <= request.client < clients:
                what = f"is damaged: client {request.client} of {clients}"
                raise ScenarioError([Problem(str(path), number, "", what, _ALLOWED)])
            yield request


def check_stored(directory: Path, groups: Collection[str]) -> None:
    """Raise ScenarioError if a recorded run lacks the requests of a group."""
    paths = [stored_path(directory, group) for group in groups]
    problems = [Problem(str(path), None, "", "is missing", _ALLOWED) for path in paths if not path.is_file()]
    if problems:
        raise ScenarioError(problems)
