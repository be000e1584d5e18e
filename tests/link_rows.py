"""Rows of link use, and the account that they must add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cosim.bridge.messages import LinkCounters

Row = tuple[int, str, str, dict[str, str], float]

WINDOW_NS = 100_000_000


def of_link(rows: Iterable[Row], link: str, direction: str) -> list[tuple[int, str, float]]:
    """Time, metric and value of a link's rows. `link`: `access/UE`, `core` or `paths.NAME`."""
    return [
        (t_ns, metric, value)
        for t_ns, source, metric, labels, value in rows
        if (_link(source, labels), labels["direction"]) == (link, direction)
    ]


def check_sums(rows: Iterable[Row], links: Iterable[LinkCounters]) -> None:
    """Bytes and drops of all windows are the account's, and the largest backlog is that of some window."""
    rows = list(rows)
    total: Counter[tuple[str, str, str]] = Counter()
    largest: dict[tuple[str, str], float] = {}
    for _, source, metric, labels, value in rows:
        key = _link(source, labels), labels["direction"]
        assert value > 0
        if metric == "link_max_queue_bytes":
            largest[key] = max(largest.get(key, 0), value)
        else:
            total[*key, metric] += int(value)
    for counters in links:
        key = counters.link, "up" if counters.up else "down"
        assert total.pop((*key, "link_bytes"), 0) == counters.n_bytes, counters
        dropped = counters.dropped_queue + counters.dropped_loss
        assert total.pop((*key, "link_dropped_packets"), 0) == dropped, counters
        assert largest.pop(key, 0) == counters.max_queue_bytes, counters
    assert not total
    assert not largest


def check_windows(rows: Iterable[Row], end_ns: int) -> None:
    """Rows come in order of time, once each, at ends of windows but for the last, which the run's end cuts."""
    rows = list(rows)
    times = [t_ns for t_ns, *_ in rows]
    assert times == sorted(times)
    assert all(t_ns % WINDOW_NS == 0 or t_ns == end_ns for t_ns in times)
    assert max(times, default=0) <= end_ns
    keys = [(t_ns, source, metric, *labels.values()) for t_ns, source, metric, labels, _ in rows]
    assert len(keys) == len(set(keys))


def _link(source: str, labels: dict[str, str]) -> str:
    return f"{source}/{labels['ue']}" if "ue" in labels else source
