"""vLLM's gauges in the time line: KV cache in use, preemptions, time in the scheduler's queue."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from cosim.results import engine_gauges
from cosim.results.engine_gauges import CACHE_HEIGHT, GAUGE_COLOURS, QUEUE_TIME_HEIGHT
from cosim.results.population import populate
from cosim.results.report import render
from cosim.results.store import Samples
from cosim.results.timeline import Timeline, timeline
from tests.drawings import corners, numbers
from tests.results_factory import MS, S, ended, made_up_run


def sample(metric: str, values: dict[int, float], source: str = "edge") -> Samples:
    t_ns, value = np.array([*values], dtype=np.int64), np.array([*values.values()], dtype=np.float64)
    return Samples(source, metric, "{}", t_ns, value)


def draw(*samples: Samples) -> Timeline:
    return timeline(populate([ended("r-0", S, 400 * MS)], ["edge"], []), [], samples, ["edge"], 10 * S)


def path(drawing: Timeline, title: str) -> ET.Element:
    (found,) = (e for e in ET.fromstring(drawing.svg).iter("path") if e.findtext("title") == title)
    return found


def words(drawing: Timeline) -> list[str]:
    return [e.text or "" for e in ET.fromstring(drawing.svg).iter("text")]


def test_the_cache_is_drawn_on_its_whole_size_with_its_preemptions() -> None:
    drawing = draw(
        sample("kv_cache_usage_perc", {S: 0.5, 2 * S: 0.75, 4 * S: 0.25}),
        sample("num_preemptions", {S: 0.0, 2 * S: 1.0, 3 * S: 1.0}),
        sample("num_preemptions", {4 * S: 4.0}),
    )
    half, three, quarter = (CACHE_HEIGHT * (1 - share) for share in (0.5, 0.75, 0.25))
    assert corners(path(drawing, "KV cache in use"))[:6] == [
        (1000, half),
        (2000, half),
        (2000, three),
        (4000, three),
        (4000, quarter),
        (10000, quarter),
    ]
    assert path(drawing, "preemption").get("d") == f"M2000 0v{CACHE_HEIGHT}M4000 0v{CACHE_HEIGHT}"
    assert {"KV cache", "max 75%", "4 preempted"} <= set(words(drawing))
    table = numbers(drawing, "edge")
    assert (table["KV cache in use"], table["preemptions"]) == (("", "", "75.0%"), ("4", "", ""))
    assert set(GAUGE_COLOURS) <= set(drawing.keys["engines"])


def test_queue_time_is_the_mean_of_those_that_were_scheduled() -> None:
    drawing = draw(
        sample("request_queue_time_seconds_count", {S: 1, 3 * S: 3, 4 * S: 3}),
        sample("request_queue_time_seconds_sum", {S: 0.010, 3 * S: 0.050, 4 * S: 0.050}),
    )
    assert corners(path(drawing, "time in the scheduler's queue")) == [
        (1000, QUEUE_TIME_HEIGHT / 2),
        (3000, QUEUE_TIME_HEIGHT / 2),
        (3000, 0),
        (10000, 0),
    ]
    assert "mean 16.7 ms" in words(drawing)
    assert numbers(drawing, "edge")["queue time, ms"] == ("3", "16.67", "20.00")


def test_what_never_was_has_no_track() -> None:
    drawing = draw(
        sample("kv_cache_usage_perc", {S: 0.0}),
        sample("num_preemptions", {S: 0.0, 2 * S: 0.0}),
        sample("request_queue_time_seconds_count", {S: 2}),
        sample("request_queue_time_seconds_sum", {S: 0.0}),
    )
    assert list(numbers(drawing, "edge")) == ["requests"]
    assert not {"KV cache", "queue time"} & set(words(drawing))


def test_many_preemptions_are_marked_by_bin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_gauges, "MAX_MARKS", 3)
    drawing = draw(sample("num_preemptions", {k * 30 * MS: float(k) for k in range(7)}))
    assert path(drawing, "preemption").get("d") == f"M30 0v{CACHE_HEIGHT}M120 0v{CACHE_HEIGHT}"
    assert numbers(drawing, "edge")["preemptions"][0] == "6"


def test_a_report_has_them(tmp_path: Path) -> None:
    text = render(made_up_run(tmp_path / "run", seconds=5))
    assert "KV cache in use" in text
    assert "3 preempted" in text
