"""NR cells in scenarios: what is filled in, what is refused and where, what can change in a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.scenario.errors import MOST_SHOWN, ScenarioError
from cosim.scenario.load import Loaded, load
from cosim.scenario.network import Ns3Network
from cosim.scenario.nr import NrAccess
from cosim.scenario.nr_carrier import Carrier, slots
from cosim.scenario.nr_trace import MOST_POINTS, read_trace

MS = 1_000_000


def written(folder: Path, access: dict[str, Any], **overrides: Any) -> Path:
    """A scenario whose one group of clients, `cam`, is at an NR cell."""
    file = folder / "s.yaml"
    data: dict[str, Any] = {
        "schema_version": 1,
        "duration": "10s",
        "network": {"kind": "ns3", "access": {"kind": "nr", **access}, "paths": {"edge": {"delay": "1ms"}}},
        "tiers": {"edge": {"path": "edge", "engine": {"kind": "stub"}}},
        "clients": [{"name": "cam", "kind": "frames", "tier": "edge", "period": "500ms"}],
        **overrides,
    }
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


def loaded(folder: Path, access: dict[str, Any], **overrides: Any) -> Loaded:
    return load(written(folder, access, **overrides), environment={})


def access_of(network: object) -> NrAccess:
    assert isinstance(network, Ns3Network)
    assert isinstance(network.access, NrAccess)
    return network.access


def faults(folder: Path, access: dict[str, Any], **overrides: Any) -> list[str]:
    """`line: key: what; allowed` of every fault."""
    file = written(folder, access, **overrides)
    with pytest.raises(ScenarioError) as raised:
        load(file, environment={})
    lines = file.read_text().splitlines()
    told = []
    for problem in raised.value.problems:
        assert problem.line is not None
        place = lines[problem.line - 1].strip() if problem.origin == str(file) else f"line {problem.line}"
        told.append(f"{place} | {problem.key}: {problem.what}; {problem.allowed}")
    return told


def test_every_preset_is_a_cell_and_reads_back_as_itself(tmp_path: Path) -> None:
    for preset in ("default", "lena", "oai"):
        first = loaded(tmp_path, {"preset": preset})
        file = tmp_path / "resolved.yaml"
        file.write_text(first.resolved_yaml())
        assert load(file, environment={}).scenario == first.scenario


def test_presets_fill_in_what_is_not_given(tmp_path: Path) -> None:
    access = access_of(loaded(tmp_path, {"preset": "lena", "gnb": {"timing": {"k2": 4}}}).scenario.network)
    assert (access.gnb.timing.k2, access.gnb.timing.schedule_ahead, access.gnb.scheduler) == (4, 2, "tdma-pf")
    assert (access.carrier.n_rb, access.carrier.bandwidth) == (106, 40_000_000)
    wide = access_of(loaded(tmp_path, {"preset": "lena", "carrier": {"bandwidth": "100MHz"}}).scenario.network)
    assert wide.carrier.n_rb == 266
    assert access_of(loaded(tmp_path, {}).scenario.network).carrier.n_rb == 273
    oai = access_of(loaded(tmp_path, {"preset": "oai"}).scenario.network)
    assert slots(oai.carrier) == [(14, 0)] * 7 + [(6, 4)] + [(0, 14)] * 2


@pytest.mark.parametrize(
    ("duplex", "numerology", "letters"),
    [
        ("FDD", 0, "F"),
        ("DDDSU", 1, "DDDSU"),
        ("DSUUD", 1, "DSUUD"),
        ("7DS2U", 1, "DDDDDDDSUU"),
        ("DDDSUDDSUU", 1, "DDDSUDDSUU"),
        ("DDDSUUDDDD", 1, "DDDSUUDDDD"),
        ("ddsu", 1, "DDSU"),
        ("DSU", 2, None),
        ("DS2U", 2, "DSUU"),
    ],
)
def test_patterns_of_38213(duplex: str, numerology: int, letters: str | None) -> None:
    special = (10, 2)
    shape = {"D": (14, 0), "S": special, "U": (0, 14), "F": (14, 14)}
    bandwidth = {0: "20MHz", 1: "40MHz", 2: "40MHz"}[numerology]
    given = {"duplex": duplex, "numerology": numerology, "bandwidth": bandwidth}
    if letters is None:
        with pytest.raises(ValueError, match=r"lasts 0\.75 ms"):
            Carrier.model_validate(given)
    else:
        assert slots(Carrier.model_validate(given)) == [shape[letter] for letter in letters]


@pytest.mark.parametrize(
    ("access", "fault"),
    [
        ({"carrier": {"duplex": "DDDD"}}, "duplex: DDDD | network.access.carrier.duplex: 'DDDD' has no uplink slot"),
        ({"carrier": {"duplex": "UUUU"}}, "duplex: UUUU | network.access.carrier.duplex: 'UUUU' has no downlink slot"),
        ({"carrier": {"duplex": "DUDUD"}}, "'DUDUD' changes direction more often than two patterns in a row"),
        ({"carrier": {"duplex": "DSU"}}, "'DSU' lasts 1.5 ms; a pattern lasts 0.5, 0.625, 1, 1.25"),
        ({"carrier": {"duplex": "DDDSS"}}, "'DDDSS' has no uplink slot with room for data"),
        ({"carrier": {"duplex": "FDD", "dmrs_per_rb_symbol": 11}}, "'FDD' has no uplink slot with room for data"),
        (
            {"carrier": {"duplex": "DDDDS", "srs_symbols": 3, "special_slot": {"downlink": 8, "uplink": 5}}},
            "'DDDDS' has no uplink slot with room for data",
        ),
        ({"carrier": {"frequency": "1Hz"}}, "network.access.carrier.frequency: 1Hz is out of range; 410MHz to 100GHz"),
        ({"carrier": {"duplex": "hello"}}, "'hello' is no duplex pattern; FDD, or letters D, S, U"),
        ({"carrier": {"duplex": "99D"}}, "'99D' has 99 slots"),
        ({"carrier": {"bandwidth": "55MHz"}}, "bandwidth: 55MHz | network.access.carrier.bandwidth: 55 MHz is no"),
        ({"carrier": {"bandwidth": "5MHz", "numerology": 2}}, "5 MHz is no bandwidth at 60 kHz"),
        ({"preset": "lena", "carrier": {"bandwidth": "41MHz"}}, "41 MHz is no bandwidth at 30 kHz"),
        ({"carrier": {"bandwidth": "100MHz", "guard_share": "0%"}}, "leaves 277 RBs of 100 MHz; 1 to 275 RBs"),
        ({"carrier": {"bandwidth": 40}}, "40 has no unit: '40MHz' or '40GHz'?"),
        ({"carrier": {"special_slot": {"downlink": 10, "uplink": 6}}}, "10 downlink and 6 uplink symbols are more"),
        (
            {"gnb": {"uplink": {"sr_period": "sl3"}}},
            "sr_period: sl3 | network.access.gnb.uplink.sr_period: 'sl3'",
        ),
        ({"gnb": {"uplink": {"sr_period": "sl5"}}}, "allowed: sym2, sym6or7, sl1, sl2, sl4, sl8"),
        ({"gnb": {"uplink": {"first_grant": "2GB"}}}, "first_grant: 2GB is out of range; 1B to 1MB"),
        (
            {"gnb": {"uplink": {"configured_grant": {"period": 1, "size": "1GB"}}}},
            "size: 1GB | network.access.gnb.uplink.configured_grant.size: 1GB is out of range",
        ),
        ({"gnb": {"link_adaptation": {"bler_target": "100%"}}}, "bler_target: 100% is out of range; 0.0001% to 90%"),
        ({"gnb": {"rlc": {"rlc_header": "1MB"}}}, "rlc_header: 1MB is out of range; 1B to 64B"),
        ({"gnb": {"rlc": {"buffer": "1402B"}}}, "gnb.rlc.buffer: 1402 bytes hold no packet; at least ue_mtu (1400 B)"),
        ({"kpi_interval": "1us"}, "network.access.kpi_interval: 1us is out of range; at least 1ms"),
        ({"gnb": {"scheduler": "fifo"}}, "network.access.gnb.scheduler"),
        ({"gnb": {"drx": {"cycle": "10ms", "on": "20ms", "inactivity": "5ms"}}}, "is longer than the cycle"),
        (
            {"gnb": {"drx": {"cycle": "40ms", "on": "2ms", "inactivity": "0ms"}}},
            "gnb.drx.on: 2 ms is shorter than the duplex pattern",
        ),
        ({"ues": {"nobody": {"sinr": "20dB"}}}, "network.access.ues.nobody: no clients are named 'nobody'"),
        ({"ues": {"a": {"clients": ["cam", "x"], "sinr": "2dB"}}}, "no clients are named 'x'; allowed: cam"),
        ({"ues": {"cam": {"sinr": "20dB"}, "b": {"clients": ["cam"]}}}, "are UEs of 'cam' already"),
        ({"ues": {"cam": {"sinr": "200dB"}}}, "200 dB is outside what the model knows; -30dB to 60dB"),
        (
            {"ues": {"cam": {"trace": [{"at": "0s", "sinr_up": "99dB", "sinr_down": "0dB"}]}}},
            "sinr_up: 99dB | network.access.ues.cam.trace.0.sinr_up: 99dB is out of range; -30dB to 60dB",
        ),
        ({"ues": {"cam": {"geometry": {"ue_height": "0m"}}}}, "ue_height: 0m is out of range; 1.5m to 22.5m"),
        ({"ues": {"cam": {"geometry": {"gnb_height": "-9m"}}}}, "gnb_height: -9m is out of range; 1.5m to 150m"),
        ({"ues": {"cam": {"sinr": 20}}}, "20 has no unit: '20dB'?"),
        ({"ues": {"cam": {"sinr": "2dB", "geometry": {}}}}, "has sinr and geometry; one of sinr, trace and geometry"),
        (
            {"ues": {"cam": {"interruptions": [{"at": "1s", "duration": "2s"}, {"at": "2s", "duration": "1s"}]}}},
            "interruptions.1.at: begins before the last one has ended",
        ),
        ({"background": {"cam": {}}}, "its UEs would have the names of the clients 'cam'; another name"),
        ({"background": {"x": {"downlink": {"kind": "torrent"}}}}, "network.access.background.x.downlink"),
        (
            {"background": {"x": {"downlink": {"kind": "poisson", "rate": "1Gbit/s", "burst": "1B"}}}},
            "burst: 1B | network.access.background.x.downlink.burst: makes 1.25e+08 bursts a second",
        ),
        ({"qos": [{"name": "default"}]}, "'default' names two bearers"),
        ({"qos": [{"name": "a", "path": "moon"}]}, "network.access.qos.0.path: no path 'moon'; allowed: edge"),
        ({"preset": "nokia"}, "network.access.preset"),
    ],
)
def test_what_no_cell_can_be_is_named_with_its_line(tmp_path: Path, access: dict[str, Any], fault: str) -> None:
    told = faults(tmp_path, access)
    assert any(fault in line for line in told), told


def test_a_trace_is_read_in_and_its_faults_have_its_lines(tmp_path: Path) -> None:
    trace = tmp_path / "walk.csv"
    trace.write_text("t_s,sinr_down_db,sinr_up_db\n0,20,10\n1.5,-3,-9\n")
    scenario = loaded(tmp_path, {"ues": {"cam": {"trace": "walk.csv"}}}).scenario
    points = access_of(scenario.network).ues["cam"].trace
    assert isinstance(points, list)
    assert [(point.at // MS, point.sinr_up, point.sinr_down) for point in points] == [(0, 10, 20), (1500, -9, -3)]
    for text, line, what in [
        ("t_s,sinr_down_db,sinr_up_db\n2,20,10\n1,20,10\n", 3, "goes back in time: 1 s after 2 s"),
        ("t_s,sinr_down_db,sinr_up_db\n0,20,loud\n", 2, "0,20,loud is no row of three numbers"),
        ("t_s,sinr_down_db,sinr_up_db\n0,20\n", 2, "0,20 is no row of three numbers"),
        ("t_s,sinr_down_db,sinr_up_db\n-1,2,2\n", 2, "-1 s is no time of a run"),
        ("t_s,sinr_down_db,sinr_up_db\n0,nan,2\n", 2, "2 or nan dB is outside what the model knows"),
        ("time,up,down\n0,1,1\n", 1, "has the columns time,up,down"),
        ("t_s,sinr_down_db,sinr_up_db\n1e300,2,2\n", 2, "1e+300 s is no time of a run"),
        ("t_s,sinr_down_db,sinr_up_db\n1,2,2\n1.0000000001,2,2\n", 3, "goes back in time: 1 s after 1 s"),
        ("", 1, "has the columns none"),
    ]:
        trace.write_text(text)
        with pytest.raises(ScenarioError) as raised:
            loaded(tmp_path, {"ues": {"cam": {"trace": "walk.csv"}}})
        (problem,) = raised.value.problems
        assert (problem.origin, problem.line, problem.what) == (str(trace), line, what)
        assert problem.key == "network.access.ues.cam.trace"
    trace.write_text("t_s,sinr_down_db,sinr_up_db\n" + "x\n" * 1000)
    with pytest.raises(ScenarioError) as raised:
        loaded(tmp_path, {"ues": {"cam": {"trace": "walk.csv"}}})
    assert len(raised.value.problems) == MOST_SHOWN + 1
    trace.write_text("t_s,sinr_down_db,sinr_up_db\n" + "".join(f"{t_s},2,2\n" for t_s in range(MOST_POINTS + 1)))
    with pytest.raises(ScenarioError, match=f"walk.csv:{MOST_POINTS + 2}: .*: has more than {MOST_POINTS} rows"):
        read_trace(trace, "k", ("s.yaml", 1))


def test_a_trace_that_a_spreadsheet_wrote_is_read(tmp_path: Path) -> None:
    trace = tmp_path / "walk.csv"
    trace.write_bytes(b"\xef\xbb\xbft_s,sinr_up_db,sinr_down_db\r\n0,1,2\r\n\r\n1,3,4\r\n")
    assert [point["at"] for point in read_trace(trace, "k", ("s.yaml", 1))] == ["0ns", "1000000000ns"]


def test_a_trace_that_cannot_be_read_is_a_fault_of_the_key_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(128, 256)))
    os.mkfifo(tmp_path / "pipe")
    for name, why in [
        ("none", "No such file"),
        ("binary", "invalid start byte"),
        ("pipe", "no regular file"),
        ("/dev/zero", "no regular file"),
        (".", "directory"),
    ]:
        (told,) = faults(tmp_path, {"ues": {"cam": {"trace": name}}})
        assert told.startswith(f"trace: {name} | network.access.ues.cam.trace: ")
        assert "cannot be read: " in told
        assert why in told


def test_what_has_no_effect_is_said(tmp_path: Path) -> None:
    late = [{"at": "10s", "duration": "1s"}]
    on = {"at": "1s", "set": {"network.access.background.later.uplink": {"kind": "full_buffer"}}}
    access = {"ues": {"cam": {"interruptions": late}}, "background": {"idle": {}, "later": {}}}
    warnings = loaded(tmp_path, access, timeline=[on]).warnings
    assert warnings == (
        "network.access.ues.cam.interruptions.0: comes after the last request is issued, at 10 s",
        "network.access.background.idle: has neither uplink nor downlink, so it takes nothing of the cell",
    )


def test_what_a_running_cell_can_change(tmp_path: Path) -> None:
    timeline = [
        {"at": "1s", "set": {"network.access.ues.cam.sinr_up": "3dB"}},
        {"at": "2s", "set": {"network.access.gnb.scheduler": "tdma-rr", "network.access.gnb.uplink.sr_period": "sl40"}},
        {"at": "3s", "set": {"network.access.gnb.uplink.proactive_grant": {"period": 20, "size": "100B"}}},
        {"at": "4s", "set": {"network.access.background.x.downlink": None}},
    ]
    access = {
        "ues": {"cam": {"sinr": "20dB"}},
        "background": {"x": {"downlink": {"kind": "full_buffer"}}},
    }
    states = loaded(tmp_path, access, timeline=timeline).timeline
    ends = [access_of(state.network) for state in states]
    assert [end.ues["cam"].sinr_up for end in ends] == [3.0] * 4
    assert [end.gnb.scheduler for end in ends] == ["ofdma-pf"] + ["tdma-rr"] * 3
    assert [end.gnb.uplink.proactive_grant is None for end in ends] == [True, True, False, False]
    assert [end.background["x"].downlink is None for end in ends] == [False, False, False, True]


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("network.access.carrier.bandwidth", "20MHz", "cannot change in a run"),
        ("network.access.ues.cam.clients", ["cam"], "cannot change in a run"),
        ("network.access.ues.bob.sinr", "2dB", "is not in this scenario; network.access.ues has cam"),
        ("network.paths.cloud.delay", "2ms", "is not in this scenario; network.paths has edge"),
        ("network.access.ues.cam.geometry.velocity.x", "1m/s", "network.access.ues.cam.geometry has nothing"),
        ("network.access.background.x.sinr", "1dB", "changes nothing, since sinr_up and sinr_down are given"),
        ("network.access.ues.cam.sinr", "2", "has no unit"),
        ("network.access.gnb.uplink.sr_period", "sl7", "is no period of a scheduling request"),
    ],
)
def test_what_it_cannot(tmp_path: Path, path: str, value: object, fault: str) -> None:
    timeline = [{"at": "1s", "set": {path: value}}]
    background = {"x": {"sinr_up": "3dB", "sinr_down": "4dB", "uplink": {"kind": "full_buffer"}}}
    told = faults(tmp_path, {"ues": {"cam": {"sinr": "20dB"}}, "background": background}, timeline=timeline)
    assert any(fault in line for line in told), told


def test_a_pipe_has_no_cell(tmp_path: Path) -> None:
    network = {"kind": "pipe", "access": {"kind": "nr"}, "paths": {"edge": {}}}
    told = faults(tmp_path, {}, network=network)
    assert any("network.access.kind" in line for line in told), told


def test_outages_follow_one_another(tmp_path: Path) -> None:
    outages = [{"at": "1s", "duration": "500ms"}, {"at": "1.2s", "duration": "1s"}]
    network = {"kind": "ns3", "access": {"kind": "nr"}, "paths": {"edge": {"outages": outages}}}
    assert "begins before the last one has ended" in faults(tmp_path, {}, network=network)[0]
