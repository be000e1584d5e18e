"""Radio in the time line: what a UE's link did, below the latency of its requests, on the same axis."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from cosim.results.charts import PART_COLOURS, part_colour
from cosim.results.parts import FINER_PARTS
from cosim.results.population import populate
from cosim.results.radio_series import CELL, RadioSeries
from cosim.results.radio_tracks import HEIGHT, LOST_COLOUR
from cosim.results.records import RequestRecord
from cosim.results.report import events
from cosim.results.series import HOLD_WINDOWS, Grid, Measured
from cosim.results.store import Samples
from cosim.results.timeline import Timeline, timeline
from tests.drawings import corners, numbers
from tests.results_factory import MS, S, ended


def radio(metric: str, values: dict[int, float], ue: str | None = "cam", direction: str = "up") -> Samples:
    who = '"cell": "1"' if ue is None else f'"ue": "{ue}"'
    labels = f'{{{who}, "direction": "{direction}"}}'
    t_ns, value = np.array([*values], dtype=np.int64), np.array([*values.values()], dtype=np.float64)
    return Samples("radio", f"radio_{metric}", labels, t_ns, value)


def draw(sampled: list[Samples], requests: list[RequestRecord] | None = None, end_ns: int = 10 * S) -> Timeline:
    requests = requests or [ended("r-0", S, 400 * MS, client="cam")]
    return timeline(populate(requests, ["edge"], [500 * MS]), [], sampled, [], end_ns)


def paths(drawing: Timeline) -> dict[str, ET.Element]:
    """The paths of the drawing by their titles."""
    return {e.findtext("title") or "": e for e in ET.fromstring(drawing.svg).iter("path")}


def texts(drawing: Timeline) -> list[str]:
    return [e.text or "" for e in ET.fromstring(drawing.svg).iter("text")]


def test_a_run_without_a_cell_has_no_radio() -> None:
    drawing = draw([])
    assert [*drawing.keys] == ["requests"]
    assert drawing.notes == []


def test_sinr_of_both_directions_on_one_scale_from_what_is_least() -> None:
    up = radio("sinr_db", {1 * S: -6.0, 2 * S: 18.0})
    down = radio("sinr_db", {1 * S: 6.0}, direction="down")
    drawing = draw([up, down])
    found = paths(drawing)
    # Windows end at the time of their sample and last 0.1 s; a value is kept for 1 s from its window's start.
    assert corners(found["cam \u2191 uplink SINR, dB: -6.0 to 18.0"]) == [
        (900, HEIGHT),
        (1900, HEIGHT),
        (1900, 0),
        (2900, 0),
    ]
    assert corners(found["cam \u2193 downlink SINR, dB: 6.0 to 6.0"]) == [(900, HEIGHT / 2), (1900, HEIGHT / 2)]
    assert {"cam", "SINR, dB", "\u2191 -6.0 to 18.0", "\u2193 6.0 to 6.0"} <= set(texts(drawing))
    assert numbers(drawing, "cam")["\u2191 uplink: SINR, dB"] == ("2", "6.0", "18.0")


def test_a_value_is_kept_until_the_next_one_for_a_second_at_most() -> None:
    measured = Measured(3 * S)
    measured.add(np.array([300, 300, 500, 2500]) * MS, np.array([1.0, 3.0, 4.0, 9.0]))
    envelope = measured.envelope(Grid(100 * MS, 30))
    expected = [np.nan] * 2 + [2.0] * 2 + [4.0] * HOLD_WINDOWS + [np.nan] * 10 + [9.0] * 6
    assert np.array_equal(envelope.high, expected, equal_nan=True)
    assert measured.known().tolist() == [2, 4, 9]
    binned = measured.envelope(Grid(500 * MS, 6))
    assert binned.mean is not None
    assert np.array_equal(binned.mean, [8 / 3, 4, 4, np.nan, 9, 9], equal_nan=True)
    assert (binned.low[0], binned.high[0]) == (2, 4)


def test_queue_and_share_of_prbs_are_zero_where_nothing_is_said() -> None:
    drawing = draw(
        [
            radio("max_queue_bytes", {1 * S: 30_000.0, 2 * S: 60_000.0}),
            radio("prb_share", {1 * S: 0.5}),
            radio("dropped_packets", {2 * S: 4.0}),
        ]
    )
    found = paths(drawing)
    queue = corners(found["cam \u2191 uplink queue: max 60 kB"])
    assert [y for x, y in queue if x in (900, 1000, 1900)] == [24, 12, 12, 24, 24, 0]
    share = corners(found["cam \u2191 uplink share of PRBs: max 50%"])
    assert share[:4] == [(0, 24), (900, 24), (900, 12), (1000, 12)]
    drops = found["cam \u2191 uplink: packets dropped"]
    assert (drops.get("stroke"), corners(drops)) == (LOST_COLOUR, [(1950, 0)])
    assert numbers(drawing, "cam")["\u2191 uplink: packets dropped"] == ("4", "", "")
    assert numbers(drawing, "cam")["\u2191 uplink: share of PRBs"] == ("", "0%", "50%")


def test_throughput_is_in_bits_per_second() -> None:
    drawing = draw([radio("delivered_bytes", {1 * S: 125_000.0})])
    assert numbers(drawing, "cam")["\u2191 uplink: throughput"] == ("", "100 kbit/s", "10 Mbit/s")


def test_the_latency_of_the_ues_own_requests_stands_above_its_radio() -> None:
    requests = [
        ended("r-0", 1 * S, 400 * MS, client="cam"),
        ended("r-1", 2 * S, 800 * MS, client="cam"),
        ended("r-2", 3 * S, 500 * MS, "timeout", client="cam"),
        ended("r-3", 3 * S, 100 * MS, "cancelled", client="cam"),
        ended("r-4", 4 * S, 9000 * MS, client="other"),
    ]
    drawing = draw([radio("mcs_mean", {1 * S: 7.0})], requests)
    found = paths(drawing)
    latency = corners(found["cam: e2el by scheduled time, 400 to 800 ms"])
    # What is scheduled at 1 s lies in the window that begins then.
    assert [(x, y) for x, y in latency if x in (1000, 1100)][:4] == [(1000, 24), (1000, 12), (1100, 12), (1100, 24)]
    assert corners(found["cam: requests without an answer"]) == [(3000, 0)]
    assert {"max 800 ms", "1 unanswered"} <= set(texts(drawing))
    # By the factory: a tenth of e2el in access, 1/50 in transport, 1/100 in the core each way, 1/25 in the WAN, 1/60.
    network = corners(found["cam: e2el in the network by scheduled time, 95 to 189 ms"])
    assert [y for x, y in network if x in (1000, 2000)] == [24, pytest.approx(12, abs=0.1), 24, 0]
    assert [what for what in numbers(drawing, "cam")][:2] == ["e2el of ok requests, ms", "requests without an answer"]
    assert corners(found["cam \u2191 uplink MCS: 7.0 to 7.0"])[0] == (900, HEIGHT * 0.75)


def test_background_ues_count_in_the_cell_alone() -> None:
    drawing = draw(
        [
            radio("prb_share", {S: 0.9}, ue="video-0"),
            radio("prb_share", {S: 1.0}, ue=None, direction="down"),
            radio("mcs_mean", {S: 5.0}, ue=None),
        ]
    )
    radios = {name for name, *_ in drawing.numbers} - {"edge"}
    assert radios == {"cell"}
    assert numbers(drawing, "cell") == {"\u2193 downlink: share of PRBs": ("", "1%", "100%")}


def test_the_six_busiest_ues_are_drawn_the_busiest_in_detail() -> None:
    requests = [ended(f"r-{k}", S, 400 * MS, client=f"cam-{k}") for k in range(8)]
    sampled = [radio("prb_share", {S: 0.1 + k / 100}, ue=f"cam-{k}") for k in range(8)]
    sampled += [radio("bler", {S: 0.1}, ue=f"cam-{k}") for k in range(8)]
    drawing = draw(sampled, requests)
    radios = {name: numbers(drawing, name) for name, *_ in drawing.numbers if name.startswith("cam")}
    assert [*radios] == [f"cam-{k}" for k in range(2, 8)]
    assert {name for name, rows in radios.items() if "\u2191 uplink: BLER" in rows} == {"cam-7"}
    assert drawing.notes == [
        "Radio is drawn of the 6 UEs that had most PRBs, of 8 with clients.",
        "BLER, HARQ, throughput, waits and the network's part of e2el are drawn of cam-7 alone, which had most.",
        "What a window has no value of (SINR, MCS, BLER, HARQ, waits) keeps the one before, for 1 s at most.",
    ]


@pytest.mark.parametrize(
    ("interval_ns", "times_ms", "shares", "delivered"),
    [
        (1 * S, [1000, 1300], [0.5] * 10 + [0.5] * 3, [1000.0] * 10 + [10_000 / 3] * 3),
        (50 * MS, [50, 100], [0.5] + [0.0] * 12, [20_000.0] + [0.0] * 12),
    ],
)
def test_windows_of_other_lengths(
    interval_ns: int, times_ms: list[int], shares: list[float], delivered: list[float]
) -> None:
    """Two samples of a share of 0.5 and of 10 kB; the second window of 1 s was cut at 0.3 s."""
    series = RadioSeries(1300 * MS, ["cam"], interval_ns)
    for metric, value in (("prb_share", 0.5), ("delivered_bytes", 10_000.0), ("mcs_mean", 7.0)):
        series.add(radio(metric, {t * MS: value for t in times_ms}))
    up = series.of("cam")["up"]
    grid = Grid(100 * MS, 13)
    assert up.counted["radio_prb_share"].envelope(grid).high.tolist() == pytest.approx(shares)
    assert up.counted["radio_delivered_bytes"].envelope(grid).high.tolist() == pytest.approx(delivered)
    assert set(up.measured["radio_mcs_mean"].known()) == {7.0}
    assert series.of(CELL) == {}


def test_an_hour_of_six_ues_stays_small() -> None:
    windows = np.arange(1, 36_000, dtype=np.int64) * 100 * MS
    draws = np.random.default_rng(1).random(35_999)
    names = [f"cam-{k}" for k in range(6)]
    metrics = [
        "prb_share",
        "max_queue_bytes",
        "delivered_bytes",
        "sinr_db",
        "mcs_mean",
        "bler",
        "harq_rounds_mean",
        "sr_wait_ms",
    ]
    sampled = [
        Samples("radio", f"radio_{metric}", f'{{"ue": "{ue}", "direction": "{way}"}}', windows, draws)
        for ue in names
        for metric in metrics
        for way in ("up", "down")
    ]
    requests = [ended(f"r-{k}", k * S, 400 * MS, client=names[k % 6]) for k in range(3500)]
    drawing = draw(sampled, requests, 3600 * S)
    assert len(drawing.svg) < 2_500_000
    assert any("in bins of 2 s" in note for note in drawing.notes)


def test_gaps_between_a_ue_and_its_cell_are_events() -> None:
    ues = {"cam": {"interruptions": [{"at": "20s", "duration": "150ms", "cause": "handover"}]}, "other": {}}
    changes = [{"at": "5s", "set": {"network.access.ues.cam.sinr": "3dB"}}]
    scenario = {"network": {"access": {"kind": "nr", "ues": ues}}, "timeline": changes}
    assert events(scenario) == [(5 * S, "network.access.ues.cam.sinr = 3dB"), (20 * S, "cam: handover, 150ms")]
    assert events({"network": {"access": {"kind": "link"}}}) == []


def test_outages_of_paths_are_events() -> None:
    outages = [{"at": "25s", "duration": "700ms"}]
    network = {"core": {"outages": outages}, "paths": {"edge": {"outages": []}, "cloud": {"outages": outages}}}
    assert events({"network": network}) == [(25 * S, "core: outage, 700ms"), (25 * S, "cloud: outage, 700ms")]


def test_parts_of_the_access_have_a_colour_of_their_own() -> None:
    colours = [part_colour(part.name) for part in FINER_PARTS]
    assert len(set(colours)) == len(FINER_PARTS) == 16
    assert len(set(PART_COLOURS.values())) == len(PART_COLOURS)
    assert part_colour("up_access_later") == part_colour("up_access")
    assert all(part.covers for part in FINER_PARTS)
