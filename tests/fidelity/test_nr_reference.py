"""The command that measures UDP over one cell: what it prints, what it refuses, and a few of 5G-LENA's figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.nr_reference import arguments, point_of
from benchmarks.nr_rig.exchange import Direction, Load, Measured
from benchmarks.nr_rig.figures import figures
from benchmarks.nr_rig.point import BURST_BYTES, PAYLOAD_BYTES, WARM_UP_NS, Point
from benchmarks.nr_rig.table import Row, Tolerance, rows
from cosim.bridge.nr_messages import NrAccess

COMMAND = Path(__file__).parents[2] / "benchmarks" / "nr_reference.py"
LENA = ("--preset", "lena", "--duplex", "DDDSU", "--bandwidth", "40MHz", "--scheduler", "tdma-pf")
MS = 1_000_000


def nr_reference(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(COMMAND), *arguments], capture_output=True, text=True, check=False)


def measured(*arguments: str) -> dict[str, Any]:
    done = nr_reference(*LENA, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def request_of(*arguments_: str) -> Load:
    return point_of(arguments().parse_args(list(arguments_))).request()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--duplex", "DDD"), "--duplex: 'DDD' has no uplink slot"),
        (("--duplex", "DXU"), "--duplex: 'DXU' is no duplex pattern"),
        (("--bandwidth", "40"), "--bandwidth: '40' has no unit"),
        (("--preset", "default", "--bandwidth", "41MHz"), "--bandwidth: 41 MHz is no bandwidth at 30 kHz"),
        (("--preset", "lena", "--bandwidth", "41MHz"), "--bandwidth: 41 MHz is no bandwidth at 30 kHz"),
        (("--sinr", "5"), "--sinr: '5' has no unit"),
        (("--sinr", "-40dB"), "--sinr: -40 dB is outside what the model knows"),
        (("--mcs-table", "4"), "argument --mcs-table: invalid choice"),
        (("--numerology", "3"), "argument --numerology: invalid choice"),
        (("--scheduler", "edf"), "choose from 'tdma-pf', 'tdma-rr', 'ofdma-pf', 'ofdma-rr'"),
        (("--load", "both"), "choose from 'probes', 'upload', 'download', 'peak-ul', 'peak-dl'"),
        (("--ues", "0"), "'0' is not a whole number from 1 to 200"),
        (("--seconds", "1.5"), "'1.5' is not a whole number"),
        (("--period", "500"), "'500' has no unit: '500ms' or '500s'?"),
        (("--period", "1us"), "--period: is shorter than a subframe; at least 1ms"),
        (("--period", "0s"), "must be greater than zero"),
        (("--preset", "nokia"), "choose from 'default', 'lena', 'oai'"),
    ],
)
def test_bad_arguments_are_refused(arguments: tuple[str, ...], text: str) -> None:
    done = nr_reference(*arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("row", rows(), ids=lambda row: " ".join(row.command))
def test_every_row_of_the_table_is_a_cell(row: Row) -> None:
    assert isinstance(request_of(*row.command).topology.access, NrAccess)
    assert row.expect


def test_what_is_given_lies_over_the_preset() -> None:
    access = request_of("--preset", "lena", "--bandwidth", "100MHz", "--k2", "4", "--dl-layers", "2").topology.access
    assert isinstance(access, NrAccess)
    carrier = access.cell.carrier
    assert (carrier.dl_rbs, carrier.dl_layers, carrier.ul_mcs_table, access.cell.timing.k2_slots) == (266, 2, 2, 4)


def test_bursts_hold_150_kb_and_probes_run_beside_them() -> None:
    flows = request_of("--load", "upload", "--ues", "3", "--period", "250ms").flows
    bursts = [flow for flow in flows if flow.packets > 1]
    assert {flow.ue for flow in bursts} == {"ue0", "ue1", "ue2"}
    assert all(flow.up and flow.period_ns == 250 * MS for flow in bursts)
    assert 0 <= bursts[0].packets * PAYLOAD_BYTES - BURST_BYTES < PAYLOAD_BYTES
    assert [flow.up for flow in flows if flow.packets == 1] == [True, False] * 3


def test_figures_count_what_was_sent_while_it_measured() -> None:
    point = Point({"preset": "lena"}, "upload")
    request = point.request()
    late = WARM_UP_NS + MS
    found = figures(
        "upload",
        request,
        Measured(
            sent_ns=[[0, late, late], [late], [late, late]],
            arrived_ns=[[9 * MS, late + 4 * MS, late + 6 * MS], [late + MS], [late + 40 * MS, -1]],
            received_bytes=[0, 0, 0],
            up=Direction(24.0, 0.0),
            down=Direction(),
            simulated_ns=10**9,
            cpu_ns=10**8,
        ),
    )
    assert found["ul_latency_ms"] == {
        "mean": 5.0,
        "p50": 5.0,
        "p95": pytest.approx(5.9),
        "max": 6.0,
        "completed": 2,
        "issued": 2,
    }
    assert found["dl_latency_ms"]["mean"] == 1.0
    assert found["upload_ms"] == {"mean": 40.0, "p95": 40.0, "completed": 1, "issued": 2}
    assert (found["download_ms"], found["peak_ul_mbps"]) == (None, None)
    assert (found["mcs_mean"], found["bler"], found["sim_s_per_cpu_s"]) == (24.0, 0.0, 10.0)


def test_a_tolerance_is_the_larger_of_both() -> None:
    tolerance = Tolerance(absolute=0.5, share=0.05)
    assert tolerance.allows(5.5, 5)
    assert not tolerance.allows(5.51, 5)
    assert tolerance.allows(105, 100)
    assert not tolerance.allows(94.9, 100)


@pytest.mark.ns3
def test_small_packets_take_as_long_as_in_5g_lena() -> None:
    found = measured("--sinr", "30dB", "--seconds", "5")
    assert found["ul_latency_ms"]["mean"] == pytest.approx(5.36, abs=0.25)
    assert found["dl_latency_ms"]["mean"] == pytest.approx(1.53, abs=0.25)
    assert found["upload_ms"] is None
    assert found["bler"] < 0.05


@pytest.mark.ns3
def test_an_upload_takes_as_long_as_in_5g_lena() -> None:
    found = measured("--load", "upload", "--sinr", "25dB", "--seconds", "5")
    assert found["upload_ms"]["mean"] == pytest.approx(40.6, rel=0.05)
    assert found["upload_ms"]["completed"] == found["upload_ms"]["issued"] == 10
    assert found["mcs_mean"] == 24


@pytest.mark.ns3
@pytest.mark.parametrize(("load", "mbps"), [("peak-ul", 43), ("peak-dl", 172)])
def test_peak_rates_of_5g_lena(load: str, mbps: float) -> None:
    found = measured("--load", load, "--sinr", "30dB", "--seconds", "1")
    assert found[load.replace("peak-", "peak_") + "_mbps"] == pytest.approx(mbps, rel=0.05)
    assert found["ul_latency_ms"] is None


@pytest.mark.ns3
def test_nothing_gets_through_at_minus_10_db_and_the_run_ends() -> None:
    found = measured("--load", "upload", "--sinr", "-10dB", "--seconds", "2")
    assert found["upload_ms"]["completed"] == 0
    assert found["upload_ms"]["issued"] > 0
    assert found["upload_ms"]["mean"] is None


@pytest.mark.ns3
def test_the_same_seed_gives_the_same_figures() -> None:
    arguments = ("--load", "upload", "--ues", "5", "--period", "200ms", "--seconds", "2")
    first, second = (measured(*arguments, "--seed", "7") for _ in range(2))
    other = measured(*arguments, "--seed", "8")
    for found in (first, second, other):
        found.pop("sim_s_per_cpu_s")
    assert first == second
    assert first != other
