"""Conversations of people with assistants in ShareGPT's JSON format, chosen as `vllm bench serve` chooses them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from pydantic import Field, model_validator

from cosim.scenario.arrivals import Arrivals, ClosedLoop
from cosim.scenario.dialogue import SessionGroup
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.files import open_regular
from cosim.scenario.section import problem

FORMAT = '[{"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}, ...]'
# vllm.benchmarks.datasets.is_valid_sequence: shorter prompts and answers are left out.
LEAST_TOKENS = 4
BYTES_PER_TOKEN = 4
USER_ROLES = ("human", "user")


class ShareGpt(SessionGroup):
    """Users who ask what people asked: a file's text is sent, and answers of its lengths are asked for.

    Conversations of at least two messages are taken in an order drawn by seed, dealt to the clients in turn, and begun
    again when all have been asked. Lengths count as a token for each 4 bytes, since tokenizers differ.
    """

    kind: Literal["sharegpt"]
    file: str = Field(min_length=1, description=f"JSON: {FORMAT}")
    arrivals: Arrivals
    multi_turn: bool = Field(
        False,
        description="Ask every turn of a conversation, with the answers of this engine between them. False: the first "
        "one only, as vllm bench does.",
    )
    output_tokens: int | None = Field(
        None, ge=1, le=1_000_000, description="None: as long as the recorded answer, by a token for each 4 bytes."
    )
    max_prompt_tokens: int = Field(1024, ge=1, description="Messages beyond this are left out, as vllm bench does.")
    max_total_tokens: int = Field(
        2048,
        ge=1,
        description="A prompt and its answer have at most this, as in vllm bench; in multi-turn the whole conversation "
        "is cut before the turn that would have more.",
    )

    @property
    def closed_loop(self) -> bool:
        """Whether a client waits for an answer before it asks again."""
        return isinstance(self.arrivals, ClosedLoop)

    @model_validator(mode="after")
    def _turns_follow_answers(self) -> ShareGpt:
        if self.multi_turn and not self.closed_loop:
            what = "a turn follows the answer to the one before it, so multi_turn has no open loop"
            raise problem(("arrivals",), what, "{kind: closed, think_time: 5s}; more sessions at a time by count")
        if self.moves and not self.multi_turn:
            raise problem(("moves",), "each request stands alone without multi_turn", "multi_turn: true")
        return self


@dataclass(frozen=True, slots=True)
class Said:
    """What a user says, and how long the answer will be; tokens by BYTES_PER_TOKEN."""

    text: str
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """A system prompt (empty: none), its tokens, and a user's turns."""

    system: str
    system_tokens: int
    turns: tuple[Said, ...]


class _Message(msgspec.Struct):
    value: str
    role: str = msgspec.field(default="", name="from")


class _Entry(msgspec.Struct):
    conversations: list[_Message] | None = None


def conversations(
    group: ShareGpt, key: str = "file", named_at: tuple[str, int | None] | None = None
) -> list[Conversation]:
    """What the file has for a group, in the file's order. `key`, `named_at`: where the file is named.

    Raises ScenarioError: a file that cannot be read or has nothing that fits at the key that names it, damage at the
    file's own line.
    """
    path, named_at = Path(group.file), named_at or (group.file, None)
    try:
        status = path.stat()
        entries = _entries(path, status.st_mtime_ns, status.st_size, key)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ScenarioError([Problem(*named_at, key, f"{group.file!r} cannot be read: {why}", FORMAT)]) from None
    found = [chosen for entry in entries if (chosen := _choose(group, entry.conversations or [])) is not None]
    if not found:
        allowed = f"two messages of at least {LEAST_TOKENS} tokens, within max_prompt_tokens and max_total_tokens"
        what = f"none of the {len(entries)} conversations in {group.file!r} can be asked"
        raise ScenarioError([Problem(*named_at, key, what, allowed)])
    return found


@functools.lru_cache(maxsize=4)
def _entries(path: Path, mtime_ns: int, size: int, key: str) -> list[_Entry]:
    """The file's entries; a file that has changed (its time, its size) is read again."""
    del mtime_ns, size
    with open_regular(path) as file:
        data = file.read().removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(data, type=list[_Entry])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line, what = _line_of(error, data), "is no UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ScenarioError([Problem(str(path), line, key, what, FORMAT)]) from None


def _line_of(error: Exception, data: bytes) -> int:
    """Where a fault is: JSON that is damaged at its byte, an entry of another shape where the entry begins."""
    if isinstance(error, UnicodeDecodeError):
        # msgspec says where in the text it is, not where in the file.
        return len(data[: _first_bad_byte(data)].split(b"\n"))
    entry = re.search(r"\$\[(\d+)\]", str(error))
    byte = re.search(r"\(byte (\d+)\)", str(error))
    end = len(data.rstrip())
    if entry is not None:
        try:
            end = data.find(bytes(msgspec.json.decode(data, type=list[msgspec.Raw])[int(entry[1])]))
        except (msgspec.DecodeError, RecursionError):  # What follows the entry is damaged, or nested without end.
            end = 0
    elif byte is not None:
        end = int(byte[1])
    elif isinstance(error, msgspec.ValidationError | RecursionError):
        end = 0
    return data.count(b"\n", 0, end) + 1


def _first_bad_byte(data: bytes) -> int:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _choose(group: ShareGpt, messages: list[_Message]) -> Conversation | None:
    """What of a conversation is asked; None: nothing."""
    if len(messages) < 2:
        return None
    if not group.multi_turn:
        # As vLLM, which does not look at who says what.
        turns = [_said(group, messages[0], messages[1])]
        return Conversation("", 0, tuple(turns)) if _fits(group, turns[0], 0, first=True) else None
    system = messages[0].value if messages[0].role == "system" else ""
    system_tokens = tokens_of(system) if system else 0
    turns, context_tokens = [], system_tokens
    for said in _pairs(group, messages):
        if not _fits(group, said, context_tokens, first=not turns):
            break
        turns.append(said)
        context_tokens += said.prompt_tokens + said.output_tokens
    return Conversation(system, system_tokens, tuple(turns)) if turns else None


def _pairs(group: ShareGpt, messages: list[_Message]) -> Iterator[Said]:
    """Turns of a user, each with its answer, until somebody speaks out of turn."""
    roles = [message.role in USER_ROLES for message in messages]
    start = roles.index(True) if True in roles else len(messages)
    for at in range(start, len(messages) - 1, 2):
        if not roles[at] or roles[at + 1]:
            return
        yield _said(group, messages[at], messages[at + 1])


def _said(group: ShareGpt, prompt: _Message, answer: _Message) -> Said:
    return Said(prompt.value, tokens_of(prompt.value), group.output_tokens or tokens_of(answer.value))


def _fits(group: ShareGpt, said: Said, context_tokens: int, *, first: bool) -> bool:
    """By the rules of vLLM's is_valid_sequence; later turns of a conversation may be short."""
    short = said.prompt_tokens < LEAST_TOKENS or (group.output_tokens is None and said.output_tokens < LEAST_TOKENS)
    total = context_tokens + said.prompt_tokens + said.output_tokens
    return not (first and short) and said.prompt_tokens <= group.max_prompt_tokens and total <= group.max_total_tokens


def tokens_of(text: str) -> int:
    """An estimate: a token for each 4 bytes of UTF-8 (OpenAI's rule of thumb: 4 characters of English)."""
    return max(1, -(-len(text.encode()) // BYTES_PER_TOKEN))
