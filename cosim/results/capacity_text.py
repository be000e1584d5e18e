"""What capacity.json says in words, for the terminal and for a sweep's report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from cosim.results.store import ResultsError
from cosim.results.sweep_store import CAPACITY

HEADER = ("load", "runs", "n", "hit rate", "95 % interval", "requests/s", "mean e2el ms")


def read_answer(directory: Path) -> dict[str, Any] | None:
    """What a search for a capacity found; None where there was none, or it has not ended.

    Raises ResultsError for a damaged file.
    """
    path = directory / CAPACITY
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ResultsError(f"{path} is damaged: {error}; run `cosim capacity --resume`") from error
    return content if "curve" in content else None


def asked_text(content: dict[str, Any]) -> str:
    """What was looked for."""
    what = (
        f"{content['target']:.1%} of the requests of tier {content['tier']} within the deadline of {content['class']}"
    )
    return f"the largest {content['vary']} with {what}"


def curve_rows(content: dict[str, Any]) -> list[tuple[str, ...]]:
    """The loads that were run, in order, under HEADER."""
    return [
        (
            str(row["load"]),
            str(row["runs"]),
            str(row["n"]),
            _share(row["sla_hit_rate"]),
            f"{_share(row['low'])} to {_share(row['high'])}",
            f"{row['request_throughput']:.2f}",
            "-" if row["mean_e2el_ms"] is None else f"{row['mean_e2el_ms']:.1f}",
        )
        for row in content["curve"]
    ]


def answer_lines(content: dict[str, Any]) -> Iterator[str]:
    """The capacity, the knee, and what speaks against them."""
    low, high = content["capacity_low"], content["capacity_high"]
    if content["capacity"] is None:
        yield (
            f"no load from {content['searched'][0]} on meets it: --from goes lower; where the interval reaches the "
            "target, more requests (`duration`, --num-runs) would tell"
        )
    elif content["beyond"]:
        yield f"capacity: at least {content['capacity']}, the largest that was tried; --to goes further"
    else:
        ends = f"{'below the range' if low is None else low} to {'not bounded' if high is None else high}"
        yield f"capacity: {content['capacity']}; a search with other seeds is expected to end within {ends}"
    if content["knee"] is not None:
        yield f"knee (largest throughput / latency): {content['knee']}"
    if content["met_above"]:
        yield f"not a descent: {', '.join(map(str, content['met_above']))} meet it too"
    yield from (f"INVALID: {reason}" for reason in content["invalid"])
    yield from (f"not counted, since it does not decide: {reason}" for reason in content["invalid_elsewhere"])


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
