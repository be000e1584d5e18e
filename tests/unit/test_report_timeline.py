"""The time line: one axis, everything on it, bounded in size however long the run."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cosim.results import engine_tracks, series, tracks
from cosim.results.population import outcome, populate
from cosim.results.records import RequestRecord, StepsLine
from cosim.results.series import Grid, Held, Windows
from cosim.results.store import Samples, read_samples
from cosim.results.timeline import SAMPLED, Timeline, timeline
from cosim.results.timeseries import TimeseriesWriter
from tests.drawings import corners, numbers
from tests.results_factory import MS, S, ended, request, step

DEADLINES = [500 * MS, 1000 * MS]


def samples(source: str, metric: str, values: dict[int, float], labels: str = "{}") -> Samples:
    return Samples(source, metric, labels, np.array([*values], dtype=np.int64), np.array([*values.values()]))


def draw(
    requests: list[RequestRecord],
    steps: Iterable[StepsLine] = (),
    sampled: Iterable[Samples] = (),
    engines: list[str] | None = None,
    end_ns: int = 10 * S,
) -> Timeline:
    return timeline(populate(requests, ["edge"], DEADLINES), steps, sampled, engines or [], end_ns)


def plot(drawing: Timeline) -> ET.Element:
    return next(e for e in ET.fromstring(drawing.svg).iter("svg") if e.get("class") == "plot")


def test_the_whole_run_is_on_one_axis_in_ms() -> None:
    link = samples("core", "link_bytes", {100 * MS: 1250.0}, '{"direction": "up"}')
    queue = samples("edge", "num_requests_waiting", {2 * S: 3.0})
    drawing = draw([ended("r-0", S, 300 * MS)], [step("edge", t_start_ns=4 * S)], [link, queue], ["edge"])
    assert plot(drawing).get("viewBox", "").split()[:3] == ["0", "0", "10000"]
    (bar,) = (e for e in plot(drawing).iter("rect") if e.find("title") is not None)
    assert (bar.get("x"), bar.get("width")) == ("1000", "300")
    texts = [e.text for e in ET.fromstring(drawing.svg).iter("text")]
    for words in ("edge", "queues", "core up", "busy 0%", "max 100 kbit/s", "max 3 waiting"):
        assert words in texts
    assert not any("running" in (text or "") for text in texts[:-1]), "nobody said how many run"
    assert [*drawing.keys] == ["requests", "engines", "links"]
    assert drawing.notes == []


def test_nothing_to_draw() -> None:
    assert draw([]).notes == ["No request ended."]
    assert draw([], end_ns=0).svg == ""


def test_colours_follow_status_and_deadlines() -> None:
    kinds = [outcome(request(e2el_scheduled_ns=ms * MS), DEADLINES) for ms in (400, 800, 1200)]
    assert kinds == ["every deadline met", "some deadlines met", "no deadline met"]
    assert outcome(request(status="timeout"), DEADLINES) == "timeout"
    drawing = draw([ended("r-0", 0, 300 * MS), ended("r-1", S, 800 * MS), ended("r-2", 2 * S, S, "error")])
    fills = {e.findtext("rect/title", "").split()[0]: e.get("fill") for e in plot(drawing).iter("g") if e.get("fill")}
    assert fills == {
        "r-0": tracks.OUTCOME_COLOURS["every deadline met"],
        "r-1": tracks.OUTCOME_COLOURS["some deadlines met"],
        "r-2": tracks.OUTCOME_COLOURS["error"],
    }


def test_requests_that_overlap_get_lanes_of_their_own() -> None:
    drawing = draw([ended(f"r-{k:03d}", k * MS, 500 * MS) for k in range(12)])
    lanes = {e.get("y") for e in plot(drawing).iter("rect") if e.find("title") is not None}
    assert len(lanes) == tracks.MAX_LANES
    assert drawing.notes == ["More than 8 requests of edge overlap; the last lane holds the rest."]


def test_many_requests_are_binned_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "MAX_REQUESTS", 20)
    requests = [ended(f"r-{k:03d}", k * 50 * MS, (100 + k) * MS) for k in range(50)]
    requests.append(ended("late", 0, 9 * S, "timeout"))
    drawing = draw(requests)
    assert "The run has 51 requests, so they are drawn in bins of 0.1 s" in drawing.notes[0]
    columns, timeouts, envelope, middle = plot(drawing).iter("path")
    assert (columns.findtext("title"), timeouts.findtext("title")) == ("every deadline met", "timeout")
    # Bins of 0.1 s hold two requests each; the first also the one that timed out.
    assert (columns.get("d") or "").count("M") == 25
    assert (timeouts.get("d") or "").count("M") == 1
    assert envelope.findtext("title") == "edge e2el of ok requests: least to greatest"
    assert corners(middle)[0][0] == 0
    assert numbers(drawing, "edge") == {
        "requests a bin": ("51", "0.51", "3"),
        "e2el from the scheduled time of ok requests, ms": ("50", "124.5", "149.0"),
    }


def test_many_steps_are_binned_to_the_share_that_the_engine_was_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [step(index=k, t_start_ns=k * 50 * MS, duration_ns=25 * MS) for k in range(30)]
    # A step that lies in three bins of 0.1 s: 20, 100 and 30 ms.
    steps.append(step(index=30, t_start_ns=2080 * MS, duration_ns=150 * MS))
    exact = plot(draw([ended("r", 0, S)], steps))
    (path,) = exact.iter("path")
    assert (path.get("d") or "").count("M") == 31
    monkeypatch.setattr(engine_tracks, "MAX_STEPS", 10)
    drawing = draw([ended("r", 0, S)], steps)
    assert drawing.notes == ["The run has 31 steps, so they are drawn as the busy share of bins of 0.1 s."]
    (path,) = plot(drawing).iter("path")
    columns = re.findall(r"M([\d.]+) [\d.]+h100v([\d.]+)", path.get("d") or "")
    shares = {float(x): float(height) / engine_tracks.STEP_HEIGHT for x, height in columns}
    assert shares[0.0] == pytest.approx(0.5, abs=0.01)
    assert [shares[x] for x in (2000.0, 2100.0, 2200.0)] == pytest.approx([0.2, 1.0, 0.3], abs=0.01)
    assert numbers(drawing, "edge")["steps, ms"] == ("31", "29.03", "150.00")


def test_what_lies_past_the_end_keeps_no_engine_busy() -> None:
    steps = [step(t_start_ns=8 * S, duration_ns=4 * S), step(index=1, t_start_ns=12 * S, duration_ns=S)]
    assert ">busy 20%<" in draw([ended("r", 0, S)], steps).svg


def test_queues_hold_their_value_until_the_next_sample() -> None:
    values = {S: 2.0, 2 * S: 2.0, 3 * S: 0.0, 5 * S: 1.0}
    drawing = draw([ended("r", 0, S)], [], [samples("edge", "num_requests_waiting", values)], ["edge"])
    (line,) = (e for e in plot(drawing).iter("path"))
    assert corners(line) == [
        (1000, 0),
        (3000, 0),
        (3000, 24),
        (5000, 24),
        (5000, 12),
        (10000, 12),
    ]
    assert line.findtext("title") == "waiting in the scheduler"


def test_a_long_series_keeps_the_least_and_greatest_of_each_bin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MAX_CHANGES", 3)
    grid = Grid.over(S)
    held = Held(grid)
    held.add(np.array([10, 20, 30, 250]) * MS, np.array([4.0, 1.0, 2.0, 7.0]))
    held.add(np.array([320, 330, 5000]) * MS, np.array([0.0, 3.0, 99.0]))
    found = held.envelope(S)
    assert found.binned
    # A bin also holds the value that was there when it began; what lies past the end is left out.
    assert found.low.tolist() == [1, 2, 2, 0, 3, 3, 3, 3, 3, 3]
    assert found.high.tolist() == [4, 2, 7, 7, 3, 3, 3, 3, 3, 3]


def test_bins_are_round_and_bounded() -> None:
    assert Grid.over(1) == Grid(100 * MS, 1)
    assert Grid.over(200 * S) == Grid(100 * MS, 2000)
    assert Grid.over(201 * S) == Grid(200 * MS, 1005)
    assert Grid.over(3600 * S) == Grid(2 * S, 1800)
    assert Grid.over(24 * 3600 * S) == Grid(50 * S, 1728)


def test_windows_of_links_fall_into_bins_whole() -> None:
    windows = Windows(S)
    windows.add(np.array([100, 200, 200, 1000]) * MS, np.array([1.0, 2.0, 3.0, 4.0]))
    exact = windows.envelope(Grid(100 * MS, 10))
    assert exact.high.tolist() == [1, 5, 0, 0, 0, 0, 0, 0, 0, 4]
    binned = windows.envelope(Grid(500 * MS, 2))
    assert binned.mean is not None
    assert (binned.low.tolist(), binned.high.tolist()) == ([0, 0], [5, 4])
    assert binned.mean.tolist() == pytest.approx([1.2, 0.8])
    assert binned.edges_ns.tolist() == [0, 500 * MS, S]


def test_links_are_summed_over_ues_and_say_when_they_dropped() -> None:
    def link(metric: str, values: dict[int, float], ue: str) -> Samples:
        return samples("access", metric, values, f'{{"direction": "up", "ue": "{ue}"}}')

    sampled = [
        link("link_bytes", {S: 25_000.0, 2 * S: 12_500.0}, "a"),
        link("link_bytes", {S: 50_000.0}, "b"),
        link("link_max_queue_bytes", {S: 90_000.0}, "a"),
        link("link_max_queue_bytes", {S: 80_000.0}, "b"),
        link("link_dropped_packets", {2 * S: 3.0}, "a"),
        samples("paths.cloud", "link_bytes", {S: 0.0}, '{"direction": "down"}'),
        samples("core", "something_else", {S: 7.0}),
    ]
    drawing = draw([ended("r", 0, S)], [], sampled)
    assert drawing.notes == ["access is the sum over 2 UEs, its queue the longest of any."]
    assert numbers(drawing, "access up") == {
        "rate in windows of 0.1 s": ("", "70 kbit/s", "6 Mbit/s"),
        "longest queue, bytes": ("", "", "90000"),
        "packets dropped at the queue or lost": ("3", "", ""),
    }
    titles = [e.findtext("title") for e in plot(drawing).iter("path")]
    texts = [e.text for e in ET.fromstring(drawing.svg).iter("text")]
    # Of a queue and of drops, which both have no room, the drops are said.
    assert {"max 6 Mbit/s", "3 dropped"} <= set(texts)
    assert titles == ["access up: rate, max 6 Mbit/s", "access up: longest queue, max 90 kB", "packets dropped"]
    rate, _, drops = plot(drawing).iter("path")
    # The window that ends at 1 s began 0.1 s before.
    assert corners(rate)[:4] == [(0, 26), (900, 26), (900, 0), (1000, 0)]
    assert drops.get("d") == "M1950 0v26"


def test_links_stand_in_the_order_of_the_way_from_the_ue() -> None:
    names = ["paths.b", "core", "paths.a", "access"]
    sampled = [
        samples(name, "link_bytes", {S: 1.0 + k}, f'{{"direction": "{direction}"}}')
        for direction in ("down", "up")
        for k, name in enumerate(names)
    ]
    drawn = [*dict.fromkeys(name for name, *_ in draw([ended("r", 0, S)], [], sampled).numbers)][1:]
    assert drawn == [f"{name} {way}" for name in ("access", "core", "paths.a", "paths.b") for way in ("up", "down")]


def test_only_so_many_engines_and_links_are_drawn() -> None:
    steps = [step(f"engine-{k:02d}") for k in range(30)]
    sampled = [samples(f"paths.p{k:02d}", "link_bytes", {S: 1.0 + k}, '{"direction": "up"}') for k in range(30)]
    drawing = draw([ended("r", 0, S)], steps, sampled, ["engine-29"])
    assert drawing.notes == [
        "The first 24 of 30 engines are drawn.",
        "The 16 directions of links that carried most are drawn, of 30.",
    ]
    drawn = {name for name, *_ in drawing.numbers}
    assert {"engine-29", "engine-22", "paths.p14 up"} <= drawn
    assert not {"engine-23", "paths.p13 up"} & drawn


def test_an_hour_with_a_hundred_thousand_requests_stays_small() -> None:
    n = 100_000
    step_ns = 3600 * S // n

    def steps() -> Iterator[StepsLine]:
        for k in range(n):
            yield step(index=k, t_start_ns=k * step_ns, duration_ns=step_ns // 2)

    t_ns = np.arange(n, dtype=np.int64) * step_ns
    draws = np.random.default_rng(1).integers(0, 9, n).astype(float)
    sampled = [Samples("edge", metric, "{}", t_ns, draws) for metric in engine_tracks.QUEUES]
    windows = np.arange(1, 36_000, dtype=np.int64) * 100 * MS
    for name in ("access", "core", "paths.edge", "paths.cloud"):
        for direction in ("up", "down"):
            labels = f'{{"direction": "{direction}"}}'
            sampled.append(Samples(name, "link_bytes", labels, windows, draws[:35_999] * 1000))
    requests = [ended(f"r-{k:06d}", k * step_ns, (100 + k % 900) * MS) for k in range(n)]
    drawing = draw(requests, steps(), sampled, ["edge"], 3601 * S)
    assert len(drawing.svg) < 1_000_000


def test_samples_are_read_part_by_part_in_order(tmp_path: Path) -> None:
    writer = TimeseriesWriter(tmp_path / "timeseries", part_rows=4)
    for k in range(5):
        writer.add(k * S, "edge", "num_requests_running", {}, float(k))
        writer.add(k * S, "access", "link_bytes", {"ue": "b", "direction": "up"}, 2.0 * k)
        writer.add(k * S, "edge", "prefix_cache_hits", {}, 0.5)
    writer.close()
    found: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for sample in read_samples(tmp_path, SAMPLED):
        key = (sample.source, sample.metric, sample.labels)
        found.setdefault(key, []).extend(zip(sample.t_ns.tolist(), sample.value.tolist(), strict=True))
    assert found == {
        ("edge", "num_requests_running", "{}"): [(k * S, float(k)) for k in range(5)],
        ("access", "link_bytes", '{"direction": "up", "ue": "b"}'): [(k * S, 2.0 * k) for k in range(5)],
    }
    assert list(read_samples(tmp_path / "nothing", SAMPLED)) == []
    assert list(read_samples(tmp_path, ["another_metric"])) == []
