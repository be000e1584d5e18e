"""A comparison as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from cosim.results.compare import Comparison, PointComparison, Row
from cosim.results.terminal import columns, number, percent, wrapped

NAMED_KEYS = 12
# Wider than other tables: the verdict, which comes last, is a sentence.
TABLE_WIDTH = 140
HEADER = ("tier", "figure", "A", "B", "unpaired", "verdict")


def comparison_lines(comparison: Comparison) -> list[str]:
    """What was compared, what speaks against it, and a table for each pair of points."""
    lines = [f"A  {comparison.a}", f"B  {comparison.b}"]
    # Not wrapped: they begin with a directory, however long, and one greps for what follows it.
    lines += [f"  - {text}" for text in [*comparison.objections, *comparison.lacking]]
    for point in comparison.points:
        lines += ["", *_point_lines(point, named=len(comparison.points) > 1)]
    return lines


def _point_lines(point: PointComparison, *, named: bool) -> Iterator[str]:
    if named:
        yield f"A  {point.a}"
        yield f"B  {point.b}"
    for difference in point.differs[:NAMED_KEYS]:
        a, b = ("(not there)" if value is None else value for value in (difference.a, difference.b))
        yield from wrapped(f"{difference.key}: {a} -> {b}", first="  ", others="    ")
    if len(point.differs) > NAMED_KEYS:
        yield f"  and {len(point.differs) - NAMED_KEYS} more keys"
    if not point.differs:
        yield "  the scenarios are the same but for the seed"
    yield from wrapped(_pairing(point), first="  ", others="    ")
    yield from columns(HEADER, [_cells(row) for row in point.rows], TABLE_WIDTH)


def _pairing(point: PointComparison) -> str:
    if not point.seeds:
        return f"not paired: {point.not_paired}; {point.runs_a} run(s) of A, {point.runs_b} of B"
    text = f"{len(point.seeds)} pair(s) of runs of equal seeds (of {point.runs_a} and {point.runs_b}): "
    text += f"{point.requests_paired} requests in both, {point.only_a} only in A, {point.only_b} only in B"
    return text if point.not_paired is None else f"not paired: {point.not_paired}; {text}"


def _cells(row: Row) -> tuple[str, ...]:
    if row.sla_class is not None:
        figure, a, b, scale = f"hit rate {row.sla_class}", percent(row.a), percent(row.b), 100
    else:
        figure, a, b, scale = f"{row.metric} {row.statistic}", number(row.a), number(row.b), 1
    left_out = (
        f" ({row.unanswered_pairs} unanswered left out)" if row.unanswered_pairs and row.statistic == "mean" else ""
    )
    unpaired = "-"
    if row.unpaired_low is not None and row.unpaired_high is not None:
        unpaired = f"[{number(scale * row.unpaired_low)}, {number(scale * row.unpaired_high)}]"
    return row.tier, figure, a, b, unpaired, row.verdict + left_out
