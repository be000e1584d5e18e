"""Values of links that are more than a number: on the wire, refused where they cannot be, changed in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosim.bridge.messages import Direction, FqCodel, GilbertElliott, Link
from cosim.network.topology import topology
from cosim.scenario.link_values import GilbertElliott as GilbertElliottSection
from tests.links import again, cloud_of, faults, loaded

MS = 1_000_000
BURSTS = {"kind": "gilbert-elliott", "good_to_bad": "1%", "bad_to_good": "25%"}
TRACE = {"kind": "trace", "samples": "0 60, 1 80, 2 70"}


def link(folder: Path, cloud: dict[str, Any]) -> Link:
    found = again(folder, loaded(folder, cloud))
    return topology(found.scenario.network, {"u": "u"}, seed=1, pcap_directory=None).paths["cloud"]


def test_every_value_reaches_its_direction(tmp_path: Path) -> None:
    cloud = {
        "delay": TRACE,
        "delay_down": "5ms",
        "jitter": {"kind": "gamma", "mean": "2ms", "shape": 0.5},
        "jitter_up": {"kind": "gamma", "mean": "3ms"},
        "loss": {**BURSTS, "loss_good": "0.1%", "loss_bad": "80%"},
        "loss_down": "2%",
        "rate": "10Mbit/s",
        "discipline_up": {"kind": "fq-codel", "target": "6ms", "interval": "90ms", "flows": 64, "quantum": "300B"},
        "discipline_down": "fq-codel",
    }
    assert link(tmp_path, cloud) == Link(
        uplink=Direction(
            30 * MS,
            10_000_000,
            3 * MS,
            burst_loss=GilbertElliott(0.01, 0.25, 0.001, 0.8),
            fq_codel=FqCodel(6 * MS, 90 * MS, 64, 300, 10_240),
        ),
        downlink=Direction(5 * MS, 10_000_000, 2 * MS, 0.02, jitter_shape=0.5, fq_codel=FqCodel()),
    )
    jitter = {"delay": "5ms", "jitter": {"kind": "trace", "samples": "0 80, 1 60"}, "discipline": {"kind": "fifo"}}
    assert link(tmp_path, jitter).uplink == Direction(15 * MS)


def test_the_mean_loss_of_bursts() -> None:
    """The chain is bad for 1/26 of the packets: its stationary distribution."""
    bursts = GilbertElliottSection.model_validate({**BURSTS, "loss_bad": "50%", "loss_good": "1%"})
    assert bursts.mean_loss == pytest.approx((0.5 + 25 * 0.01) / 26)


@pytest.mark.parametrize(
    ("cloud", "fault"),
    [
        ({"jitter": 5}, "jitter: 5 | network.paths.cloud.jitter: 5 has no unit: '5ms' or '5s'?"),
        ({"jitter": {"mean": "1ms"}}, "jitter: | network.paths.cloud.jitter: has no kind; one of gamma, trace"),
        ({"jitter": {"kind": "normal"}}, "kind: normal | network.paths.cloud.jitter.kind: unknown kind 'normal'; one"),
        ({"jitter": {"kind": "gamma"}}, "jitter: | network.paths.cloud.jitter.mean: is missing"),
        ({"jitter": {"kind": "gamma", "mean": "1ms", "shape": 0}}, "shape: 0 is not allowed"),
        (
            {"jitter": {"kind": "gamma", "mean": "1ms", "hold": "2h"}},
            "hold: is longer than a link can hold a draw; at most 1h",
        ),
        ({"jitter": {"kind": "gamma", "mean": "1ms", "hold": 5}}, "hold: 5 has no unit"),
        ({"jitter": {"kind": "gamma", "mean": "1ms", "shape": "2"}}, "shape: '2' is not allowed"),
        ({"jitter": {"kind": "gamma", "mean": "2h"}}, "jitter: is longer than any link's; at most 1h"),
        ({"jitter_up": "2h"}, "jitter_up: 2h | network.paths.cloud.jitter_up: is longer than any link's; at most 1h"),
        (
            {"delay": "50min", "jitter": {"kind": "trace", "samples": "0 1, 1 3600000"}},
            "jitter: makes a delay that is longer than any link's",
        ),
        ({"loss": {**BURSTS, "bad_to_good": "0%"}}, "loss.bad_to_good: a burst would never end; more than 0%"),
        ({"loss": {**BURSTS, "loss_bad": "101%"}}, "loss.loss_bad: '101%' must be at most 100%"),
        ({"loss": {**BURSTS, "burst": 3}}, "loss.burst: unknown key; allowed: bad_to_good, good_to_bad, kind"),
        ({"loss": 1}, "network.paths.cloud.loss: 1 has no unit: '1%' or '1'?"),
        ({"queue": "1MB"}, "queue: 1MB | network.paths.cloud.queue: there is no rate, so no packet ever waits; a rate"),
        ({"queue_up": "1MB", "rate_down": "1Mbit/s"}, "queue_up: 1MB | network.paths.cloud.queue_up: there is no rate"),
        ({"discipline": "fq-codel"}, "discipline: fq-codel | network.paths.cloud.discipline: there is no rate"),
        ({"discipline": "red"}, "discipline: unknown discipline 'red'; allowed: fifo, fq-codel"),
        ({"discipline": {"kind": "sfq"}}, "discipline: unknown discipline 'sfq'; allowed: fifo, fq-codel"),
        ({"discipline": 3}, "discipline: 3 is not allowed"),
        (
            {"rate": "1Mbit/s", "queue": "1MB", "discipline_up": "fq-codel"},
            "discipline_up: fq-codel | network.paths.cloud.discipline_up: stands beside a queue in bytes; queue: null",
        ),
        (
            {"rate": "1Mbit/s", "discipline": {"kind": "fq-codel", "target": "1s"}},
            "discipline.target: is longer than the interval; at most 100ms",
        ),
        ({"discipline": {"kind": "fq-codel", "quantum": "3B"}}, "discipline.quantum: 3 bytes are out of range; 256B"),
        ({"discipline": {"kind": "fq-codel", "flows": 0}}, "discipline.flows: 0 is not allowed"),
        ({"rate": {"kind": "codel"}}, "rate.kind: 'codel' is not allowed; input should be 'mahimahi'"),
        ({"rate": "fast"}, "rate: 'fast' is not a rate"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(tmp_path: Path, cloud: dict[str, Any], fault: str) -> None:
    assert fault in faults(tmp_path, cloud)[0]


@pytest.mark.parametrize(
    "cloud",
    [
        {"queue": "1MB", "rate_up": "1Mbit/s"},
        {"rate": "1Mbit/s", "queue_up": "1MB", "discipline_down": "fq-codel"},
        {"preset": "home-broadband", "discipline": "fq-codel"},
        {"discipline": "fq-codel", "rate": {"kind": "mahimahi", "opportunities": "1"}},
        {"loss": {**BURSTS, "good_to_bad": "0%"}},
    ],
)
def test_what_goes_together(tmp_path: Path, cloud: dict[str, Any]) -> None:
    assert again(tmp_path, loaded(tmp_path, cloud)).scenario == loaded(tmp_path, cloud).scenario


def test_an_access_link_has_them_too(tmp_path: Path) -> None:
    uplink = {"rate": "5Mbit/s", "jitter": {"kind": "gamma", "mean": "1ms", "shape": 2}, "discipline": "fq-codel"}
    flag = f"network.access.uplink={uplink}"
    network = loaded(tmp_path, {}, flags=[flag, f"network.access.downlink.loss={BURSTS}"]).scenario.network
    access = topology(network, {"u": "u"}, seed=1, pcap_directory=None).access
    assert isinstance(access, Link)
    assert access.uplink == Direction(0, 5_000_000, MS, jitter_shape=2, fq_codel=FqCodel())
    assert access.downlink == Direction(0, burst_loss=GilbertElliott(0.01, 0.25))
    (told,) = faults(tmp_path, {}, flags=["network.access.uplink.queue=1MB"])
    assert "network.access.uplink.queue: there is no rate" in told


def changed(folder: Path, cloud: dict[str, Any], **values: Any) -> Direction:
    """The uplink after the timeline has set values of the path; `__` stands for a dot."""
    entry = {"at": "1s", "set": {f"network.paths.cloud.{key.replace('__', '.')}": v for key, v in values.items()}}
    (state,) = again(folder, loaded(folder, cloud, timeline=[entry])).timeline
    return topology(state.network, {"u": "u"}, seed=1, pcap_directory=None).paths["cloud"].uplink


def test_what_can_change_in_a_run(tmp_path: Path) -> None:
    assert changed(tmp_path, {"delay": TRACE}, delay="3ms") == Direction(3 * MS)
    assert changed(tmp_path, {}, jitter={"kind": "gamma", "mean": "1ms", "shape": 2}) == Direction(
        0, None, MS, jitter_shape=2
    )
    held = {"kind": "gamma", "mean": "1ms", "hold": "50ms"}
    assert changed(tmp_path, {"jitter": held}, jitter__hold="20ms") == Direction(0, None, MS, jitter_hold_ns=20 * MS)
    assert changed(tmp_path, {"preset": "metro"}, jitter__mean="2ms", delay_up="1ms") == Direction(
        MS, None, 2 * MS, jitter_shape=0.1, jitter_hold_ns=100 * MS
    )
    assert changed(tmp_path, {"loss": BURSTS}, loss__good_to_bad="5%") == Direction(
        0, burst_loss=GilbertElliott(0.05, 0.25)
    )
    assert changed(tmp_path, {"loss": BURSTS}, loss="1%") == Direction(0, loss=0.01)
    fair = {"rate": "1Mbit/s", "discipline": "fq-codel"}
    assert changed(tmp_path, fair, discipline__target="1ms").fq_codel == FqCodel(target_ns=MS)
    assert changed(tmp_path, fair, discipline="fifo", queue="2kB") == Direction(0, 1_000_000, queue_bytes=2000)


@pytest.mark.parametrize(
    ("cloud", "setting", "fault"),
    [
        ({}, {"delay": {"kind": "trace", "file": "x"}}, "'network.paths.cloud.delay' cannot become a trace in a run"),
        ({}, {"rate": {"kind": "mahimahi", "opportunities": "1"}}, "cannot become a trace in a run; the trace under"),
        ({"delay": TRACE}, {"delay.samples": "0 1"}, "'network.paths.cloud.delay.samples' cannot change in a run"),
        ({}, {"jitter.mean": "1ms"}, "'network.paths.cloud.jitter.mean' is not in this scenario"),
        ({"rate": "1Mbit/s", "queue": "1MB"}, {"rate": None}, "there is no rate, so no packet ever waits; a rate"),
        ({"loss": BURSTS}, {"loss.bad_to_good": "0%"}, "a burst would never end"),
    ],
)
def test_what_cannot_change_in_a_run(
    tmp_path: Path, cloud: dict[str, Any], setting: dict[str, Any], fault: str
) -> None:
    entry = {"at": "1s", "set": {f"network.paths.cloud.{key}": value for key, value in setting.items()}}
    assert fault in faults(tmp_path, cloud, timeline=[entry])[0]


def test_a_swept_value_may_be_a_section(tmp_path: Path) -> None:
    flags = ["network.paths.cloud.loss={kind: gilbert-elliott, good_to_bad: 1%, bad_to_good: 25%}"]
    assert cloud_of(loaded(tmp_path, {"loss": "1%"}, flags=flags)).loss == GilbertElliottSection.model_validate(BURSTS)
