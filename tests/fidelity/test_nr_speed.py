"""The command that measures how fast a cell is simulated: what it prints and refuses (how fast is the machine's)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.nr_rig import speed
from benchmarks.nr_rig.speed import CpuTime
from benchmarks.nr_speed import arguments, figures, point_of
from cosim.bridge.messages import Link
from cosim.bridge.nr_messages import NrAccess
from cosim.clock import NS_PER_S

COMMAND = Path(__file__).parents[2] / "benchmarks" / "nr_speed.py"


def nr_speed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(COMMAND), *words], capture_output=True, text=True, check=False)


def loads(*words: str, seconds: int = 1) -> dict[str, speed.SpeedLoad]:
    point = point_of(arguments().parse_args(list(words)))
    return speed.loads(point, dict.fromkeys(("udp", "tcp", "idle", "mac"), seconds * NS_PER_S))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--rows", "udp,fast"), "--rows: 'fast' is none of udp, tcp, idle, mac, start"),
        (("--preset", "default", "--bandwidth", "41MHz"), "--bandwidth: 41 MHz is no bandwidth at 30 kHz"),
        (("--sinr", "25"), "--sinr: '25' has no unit"),
        (("--sinr", "-50dB"), "--sinr: -50 dB is outside what the model knows"),
        (("--repetitions", "0"), "'0' is not a whole number from 1 to 100"),
    ],
)
def test_bad_arguments_are_refused(words: tuple[str, ...], text: str) -> None:
    done = nr_speed(*words)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_the_cell_is_that_of_5g_lenas_figures() -> None:
    access = loads()["udp"].topology.access
    assert isinstance(access, NrAccess)
    downlink = [shape.dl_symbols > 0 for shape in access.cell.carrier.slots]
    assert downlink == [True, True, False, False, True]
    assert (access.cell.carrier.ul_rbs, len(access.cell.ues), access.cell.scheduler.ofdma) == (106, 20, False)
    assert access.cell.kpi_window_ns == 100_000_000


def test_the_mac_alone_is_full_both_ways_and_a_start_is_compared_with_links() -> None:
    rows = loads("--preset", "default", "--ues", "3")
    mac, link = rows["mac"].topology.access, rows["start_link"].topology.access
    assert isinstance(mac, NrAccess)
    assert [(ue.background, ue.ul_traffic, ue.dl_traffic, ue.ul.kind) for ue in mac.cell.ues] == [
        (True, True, True, 0)
    ] * 3
    assert isinstance(link, Link)
    assert isinstance(rows["start"].topology.access, NrAccess)


def test_figures_are_medians_with_their_spread_and_a_verdict() -> None:
    def rates(*values: float) -> list[CpuTime]:
        return [CpuTime(int(NS_PER_S / value), NS_PER_S, issued=40, arrived=39) for value in values]

    result = figures(
        {
            "udp": rates(10, 30, 20),
            "mac": rates(80, 99, 120),
            "start": [CpuTime(1_400_000_000, 0), CpuTime(1_500_000_000, 0), CpuTime(1_700_000_000, 0)],
            "start_link": [CpuTime(1_000_000_000, 0)] * 3,
        }
    )
    udp, mac, start = (result[f"{name}_cpu_s"] for name in ("udp_sim_s_per", "mac_sim_s_per", "start_added"))
    assert [round(udp[key]) for key in ("median", "low", "high")] == [20, 10, 30]
    assert (udp["met"], udp["issued"], udp["arrived"]) == (True, 40, 39)
    assert (round(mac["median"]), mac["least"], mac["met"]) == (99, 100.0, False)
    assert (start["median"], start["most"], start["met"]) == (0.5, 0.5, True)


@pytest.mark.ns3
def test_each_row_simulates_what_it_says() -> None:
    rows = loads("--ues", "4")
    for name in ("udp", "tcp"):
        # Two messages a second of each UE, the second of warm-up too; the last ones may be under way.
        time = speed.measure(rows[name])
        assert time.cpu_ns > 0
        assert time.simulated_ns == NS_PER_S
        assert 13 <= time.arrived <= time.issued == 16
    assert all(speed.measure(rows[name]).simulated_ns == NS_PER_S for name in ("idle", "mac"))
    assert speed.measure(rows["start"]).cpu_ns > speed.measure(rows["start_link"]).cpu_ns / 2


@pytest.mark.ns3
def test_a_missed_target_is_status_1_and_what_was_measured_one_json_object() -> None:
    done = nr_speed("--rows", "mac", "--ues", "200", "--seconds", "1", "--repetitions", "1", "--json")
    assert done.returncode in (0, 1), done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert list(result) == ["mac_sim_s_per_cpu_s"]
    assert done.returncode == (0 if result["mac_sim_s_per_cpu_s"]["met"] else 1)
