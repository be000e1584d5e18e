"""The columns of traces, and what stands in their cells.

Azure LLM inference trace: Azure/AzurePublicDataset, AzureLLMInferenceDataset2023.md and 2024.md (the latter's times end
in +00:00). BurstGPT: HPMLL/BurstGPT, its release's BurstGPT_1.csv (later files add `Session ID` and `Elapsed time`).
Mooncake: kvcache-ai/Mooncake, FAST25-release/traces; the ids of blocks of 512 tokens, the last one perhaps not full.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from cosim.scenario.traces import ArrivalUnit, TraceColumns
from cosim.scenario.units import NS_PER_UNIT

FORMATS = {
    "azure": TraceColumns(
        arrival="TIMESTAMP", unit="datetime", prompt_tokens="ContextTokens", output_tokens="GeneratedTokens"
    ),
    "burstgpt": TraceColumns(
        arrival="Timestamp",
        unit="s",
        prompt_tokens="Request tokens",
        output_tokens="Response tokens",
        session="Session ID",
    ),
    "mooncake": TraceColumns(
        arrival="timestamp",
        unit="ms",
        prompt_tokens="input_length",
        output_tokens="output_length",
        hash_ids="hash_ids",
    ),
}
MOST_TOKENS = 1_000_000
LONGEST_NUMBER = 40
_LATEST_NS = 2**63 - 1
_DATETIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HashIds = tuple[int | str, ...]


class CellError(Exception):
    """A cell that holds something else than its column should; `allowed` says what that is."""

    def __init__(self, what: str, allowed: str) -> None:
        super().__init__(what)
        self.allowed = allowed


class MissingColumn(NamedTuple):
    """A column that a trace should have; `nearest`: one that it has."""

    name: str
    nearest: str | None


def required(columns: TraceColumns) -> list[str]:
    """The columns without which there is no request."""
    return [columns.arrival, columns.prompt_tokens, columns.output_tokens]


def all_of(columns: TraceColumns) -> list[str]:
    """Every column that is read."""
    optional = (columns.session, columns.turn, columns.hash_ids)
    return [*required(columns), *(name for name in optional if name is not None)]


def present(columns: TraceColumns, header: Sequence[str]) -> TraceColumns:
    """A public trace's columns without those optional ones that this file has not."""
    absent = {key: None for key in ("session", "hash_ids") if getattr(columns, key) not in header}
    return columns.model_copy(update=absent)


def recognised(header: Sequence[str]) -> str | None:
    """The public trace that has these columns."""
    return next((name for name, columns in FORMATS.items() if set(required(columns)) <= set(header)), None)


def most_alike(header: Sequence[str]) -> str | None:
    """The public trace that has most columns of nearly these names; None where not one is near."""
    near = {name: sum(gap.nearest is not None for gap in missing(all_of(FORMATS[name]), header)) for name in FORMATS}
    same = {name: len(set(required(FORMATS[name])) & set(header)) for name in FORMATS}
    best = max(FORMATS, key=lambda name: (same[name], near[name]))
    return best if same[best] or near[best] else None


def missing(wanted: Sequence[str], header: Sequence[str]) -> Iterator[MissingColumn]:
    """Columns that a file has not."""
    folded = {name.casefold(): name for name in header}
    for name in wanted:
        if name not in header:
            near = difflib.get_close_matches(name.casefold(), folded, n=1)
            yield MissingColumn(name, folded[near[0]] if near else None)


def tokens(value: Any) -> int:
    """A number of tokens, perhaps zero. Raises CellError."""
    number = _number(value, "a whole number of tokens")
    if number < 0 or number > MOST_TOKENS or number != number.to_integral_value():
        raise CellError(f"{_short(value)} is no number of tokens", f"1 to {MOST_TOKENS}")
    return int(number)


def turn(value: Any) -> int | None:
    """The number of a question in its session; None for an empty cell. Raises CellError."""
    if value is None or value == "":
        return None
    number = _number(value, "the number of a turn")
    if not 0 <= number <= MOST_TOKENS or number != number.to_integral_value():
        raise CellError(f"{_short(value)} is no number of a turn", f"0 to {MOST_TOKENS}")
    return int(number)


def session(value: Any) -> str | None:
    """The name of a session; None for an empty cell. Raises CellError."""
    if isinstance(value, (dict, list, bool)):
        raise CellError(f"{_short(value)} is no name of a session", "a text or a number")
    text = "" if value is None else str(value).strip()
    if len(text) > 200:
        raise CellError("is too long for a session's name", "at most 200 characters")
    return text or None


def arrival_ns(value: Any, unit: ArrivalUnit) -> int:
    """A time, ns since whatever the trace counts from. Raises CellError."""
    if unit == "datetime":
        return _datetime_ns(value)
    number = _number(value, f"a time in {unit}")
    if number < 0:
        raise CellError(f"{_short(value)} lies before the trace's own zero", f"a time in {unit}, zero or more")
    if number.adjusted() > 20 or number * NS_PER_UNIT[unit] > _LATEST_NS:
        raise CellError(f"{_short(value)} {unit} is no time", f"at most {_LATEST_NS // NS_PER_UNIT['s']} s")
    return round(number * NS_PER_UNIT[unit])


def hash_ids(value: Any, prompt_tokens: int, block_tokens: int) -> HashIds:
    """The ids of a prompt's blocks. Raises CellError unless there is one for each block, the last perhaps not full."""
    allowed = f"a list with an id for each {block_tokens} tokens of the prompt"
    if isinstance(value, str):  # A cell of a CSV file.
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise CellError(f"{_short(value)} is no list", allowed) from None
    good = isinstance(value, list) and all(type(item) in (int, str) for item in value)
    if not good:
        raise CellError(f"{_short(value)} is no list of ids", allowed)
    blocks = -(-prompt_tokens // block_tokens)
    if len(value) != blocks:
        what = f"has {len(value)} ids, but {prompt_tokens} tokens fill {blocks} blocks of {block_tokens}"
        raise CellError(what, "a list that fits, or another block_tokens")
    return tuple(value)


def _number(value: Any, wanted: str) -> Decimal:
    if value is None or value == "":
        raise CellError("is empty", wanted)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or len(str(value)) > LONGEST_NUMBER:
        raise CellError(f"{_short(value)} is no number", wanted)
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise CellError(f"{_short(value)} is no number", wanted) from None
    if not number.is_finite():
        raise CellError(f"{_short(value)} is no finite number", wanted)
    return number


def _datetime_ns(value: Any) -> int:
    allowed = "a time such as 2023-11-16 18:15:46.6805900"
    match = _DATETIME.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if match is None:
            raise ValueError
        seconds = datetime.fromisoformat(match[1] + (match[3] or "Z")) - _EPOCH
    except (ValueError, OverflowError):
        raise CellError(f"{_short(value)} is no time", allowed) from None
    whole_s = seconds.days * 86_400 + seconds.seconds
    if whole_s < 0:
        raise CellError(f"{_short(value)} lies before 1970", allowed)
    return whole_s * NS_PER_UNIT["s"] + int((match[2] or "0").ljust(9, "0"))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
