"""What capacity.json says in words, for the terminal and for a sweep's report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from cosim.results.store import ResultsError
from cosim.results.sweep_store import CAPACITY

HEADER = ("load", "runs", "n", "hit rate", "95 % interval", "requests/s", "mean e2el ms")
# As the scenario has it: a count, or a quantity with its unit.
Load = int | str


class LoadRow(msgspec.Struct, frozen=True):
    """A load of the curve."""

    load: Load
    runs: int
    n: int
    sla_hit_rate: float
    low: float | None
    high: float | None
    request_throughput: float
    mean_e2el_ms: float | None


class Answer(msgspec.Struct, frozen=True):
    """What a search found, with its question; see `cosim.sweep.capacity.write_capacity`."""

    vary: str
    tier: str
    sla_class: str = msgspec.field(name="class")
    target: float
    searched: tuple[Load, Load, Load]
    capacity: Load | None
    capacity_low: Load | None
    capacity_high: Load | None
    beyond: bool
    met_above: list[Load]
    knee: Load | None
    curve: list[LoadRow]
    invalid: list[str]
    invalid_elsewhere: list[str]


def read_answer(directory: Path) -> Answer | None:
    """What a search for a capacity found; None where there was none, or it has not ended.

    Raises ResultsError for a damaged file.
    """
    path = directory / CAPACITY
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        return msgspec.convert(content, Answer) if "curve" in content else None
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ResultsError(f"{path} is damaged: {error}; run `cosim capacity --resume`") from error


def asked_text(answer: Answer) -> str:
    """What was looked for."""
    requests = f"{100 * answer.target:g} % of the requests of tier {answer.tier}"
    return f"the largest {answer.vary} with {requests} within the deadline of {answer.sla_class}"


def curve_rows(answer: Answer) -> list[tuple[str, ...]]:
    """The loads that were run, in order, under HEADER."""
    return [
        (
            str(row.load),
            str(row.runs),
            str(row.n),
            _share(row.sla_hit_rate),
            f"{_share(row.low)} to {_share(row.high)}",
            f"{row.request_throughput:.2f}",
            "-" if row.mean_e2el_ms is None else f"{row.mean_e2el_ms:.1f}",
        )
        for row in answer.curve
    ]


def answer_lines(answer: Answer) -> Iterator[str]:
    """The capacity, the knee, and what speaks against them."""
    low, high = answer.capacity_low, answer.capacity_high
    if answer.capacity is None:
        lower = "" if answer.searched[0] == 1 else "--from goes lower; "
        more = "where the interval reaches the target, more requests (`duration`, --num-runs) would tell"
        yield f"no load from {answer.searched[0]} on meets it: {lower}{more}"
    elif answer.beyond:
        yield f"capacity: at least {answer.capacity}, the largest that was tried; --to goes further"
    else:
        begin = "below the range" if low is None else low
        if high is None:
            ends = f"from {begin} on: no load that was tried clearly misses; --to or more requests would bound it"
        else:
            ends = f"within {begin} to {high}"
        yield f"capacity: {answer.capacity}; a search with other seeds is expected to end {ends}"
    if answer.knee is not None:
        yield f"knee (largest throughput / latency): {answer.knee}"
    if answer.met_above:
        yield f"not a descent: {', '.join(map(str, answer.met_above))} meet it too"
    yield from (f"INVALID: {reason}" for reason in answer.invalid)
    yield from (f"not counted, since it does not decide: {reason}" for reason in answer.invalid_elsewhere)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
