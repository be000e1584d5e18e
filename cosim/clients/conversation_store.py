"""The lengths of a run's conversations, kept in its directory: a replay needs neither their file nor their text.

One file for each group, `traces/NAME.jsonl`, with a line for each conversation in the order of its file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from cosim.clients.trace_store import stored_path
from cosim.scenario.clients import ClientGroup
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.sharegpt import Conversation, Said, ShareGpt, conversations

_Tokens = Annotated[int, msgspec.Meta(ge=1)]


class _Lengths(msgspec.Struct, frozen=True):
    """Tokens of a system prompt, and of each turn's prompt and answer."""

    system: Annotated[int, msgspec.Meta(ge=0)]
    turns: Annotated[list[tuple[_Tokens, _Tokens]], msgspec.Meta(min_length=1)]


def store_conversations(
    groups: Iterable[ClientGroup], directory: Path, *, recorded: Path | None
) -> dict[str, Sequence[Conversation]]:
    """What each group of a run talks about, by its name; without text in a replay of a `recorded` run.

    Raises ScenarioError for a file that cannot be used, OSError.
    """
    found = {}
    for group in groups:
        if isinstance(group, ShareGpt):
            talks = conversations(group) if recorded is None else _read(stored_path(recorded, group.name))
            _write(stored_path(directory, group.name), talks)
            found[group.name] = talks
    return found


def _write(path: Path, talks: Sequence[Conversation]) -> None:
    path.parent.mkdir(exist_ok=True)
    lengths = (
        _Lengths(talk.system_tokens, [(said.prompt_tokens, said.output_tokens) for said in talk.turns])
        for talk in talks
    )
    path.write_bytes(msgspec.json.Encoder().encode_lines(lengths))


def _read(path: Path) -> Sequence[Conversation]:
    try:
        lengths = msgspec.json.Decoder(_Lengths).decode_lines(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    if not lengths:
        raise _damaged(path, "it is empty")
    return [Conversation("", one.system, tuple(Said("", *said) for said in one.turns)) for one in lengths]


def _damaged(path: Path, what: str) -> ScenarioError:
    return ScenarioError(
        [Problem(str(path), None, "", f"is damaged: {what}", "the directory of a run as it was written")]
    )
