"""Packet-delivery traces of mahimahi: what is read, how it is kept, what is refused at which line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.bridge.messages import Opportunities
from cosim.link_words import value_words
from cosim.network.topology import topology
from cosim.scenario import mahimahi
from cosim.scenario.link_values import MahimahiRate
from cosim.scenario.series import parse_opportunities, write_opportunities
from tests.links import again, cloud_of, faults, loaded

RATE = {"kind": "mahimahi", "file": "cell.up"}


def test_a_trace_is_read_and_kept_in_the_resolved_scenario(tmp_path: Path) -> None:
    (tmp_path / "cell.up").write_text("1\n1\n3\n 7\n7\n7\n")
    first = loaded(tmp_path, {"rate_up": RATE, "queue_up": "30kB"})
    (tmp_path / "cell.up").unlink()
    rate = cloud_of(first).rate_up
    assert isinstance(rate, MahimahiRate)
    assert (rate.opportunities, rate.file, rate.read_from) == ((1, 1, 3, 7, 7, 7), None, "cell.up")
    assert "opportunities: 1*2 2 4*3\n" in first.resolved_yaml()
    second = again(tmp_path, first)
    assert second.scenario == first.scenario
    assert second.hash() == first.hash()
    link = topology(second.scenario.network, {"u": "u"}, seed=1, pcap_directory=None).paths["cloud"]
    times_ns = tuple(t_ms * 1_000_000 for t_ms in (1, 1, 3, 7, 7, 7))
    assert link.uplink.opportunities == Opportunities(times_ns, 7_000_000, 1504)
    assert (link.uplink.rate_bps, link.uplink.queue_bytes) == (None, 30_000)
    assert link.downlink.opportunities is None


def test_the_mean_rate_is_told() -> None:
    rate = MahimahiRate.model_validate({"kind": "mahimahi", "opportunities": "1 " * 1000})
    assert value_words("rate", rate) == "delivery trace of the scenario: mean 12 Mbit/s over 1 s"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "has no opportunity after 0 ms"),
        ("0\n0\n", 2, "has no opportunity after 0 ms"),
        ("1\n\n2\n", 2, "is empty"),
        ("1\n2.5\n", 2, "'2.5' is no time in ms"),
        ("1\n-2\n", 2, "'-2' is no time in ms"),
        ("1\n5\n4\n", 3, "goes back in time: 4 ms after 5 ms"),
        ("1\n604800001\n", 2, "604800001 ms is later than 7 days"),
    ],
)
def test_a_fault_is_told_at_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    (tmp_path / "cell.up").write_text(text)
    assert faults(tmp_path, {"rate": RATE})[0].startswith(f"cell.up:{line} | network.paths.cloud.rate.file: {what}")


def test_a_trace_that_no_scenario_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cell.up").write_text("1\n2\n3\n")
    monkeypatch.setattr(mahimahi, "MOST_OPPORTUNITIES", 2)
    (told,) = faults(tmp_path, {"rate": RATE})
    assert told.startswith("cell.up:3 | network.paths.cloud.rate.file: has more than 2 lines")
    monkeypatch.undo()
    monkeypatch.setattr(mahimahi, "LONGEST_TEXT", 4)
    (told,) = faults(tmp_path, {"rate": RATE})
    assert "has opportunities at too many times (3 ms)" in told


@pytest.mark.parametrize("text", ["", "0", "x", "1*0", "1*", "-1", "1,2", "1*1000001"])
def test_opportunities_that_cannot_be(tmp_path: Path, text: str) -> None:
    (told,) = faults(tmp_path, {"rate": {"kind": "mahimahi", "opportunities": text}})
    assert 'opportunities such as "0 1*3 2"' in told


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=50).map(sorted).filter(lambda times: times[-1] > 0))
def test_opportunities_read_back(times_ms: list[int]) -> None:
    assert parse_opportunities(write_opportunities(tuple(times_ms))) == tuple(times_ms)
