"""Round-trip times from files: which files are read, as what, and what is refused at which line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosim.scenario import series
from cosim.scenario.link_values import RttTrace
from cosim.scenario.series import MOST_SAMPLES, parse_samples, write_samples
from tests.links import again, cloud_of, faults, loaded

PING = """\
PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.
64 bytes from 10.0.0.1: icmp_seq=1 ttl=57 time=12.3 ms
64 bytes from 10.0.0.1: icmp_seq=2 ttl=57 time=14.0 ms
64 bytes from 10.0.0.1: icmp_seq=2 ttl=57 time=15.0 ms (DUP!)
From 10.0.0.9 icmp_seq=3 Destination Host Unreachable
64 bytes from 10.0.0.1: icmp_seq=5 ttl=57 time=9.31 ms
64 bytes from 10.0.0.1: icmp_seq=4 ttl=57 time=1700 ms

--- 10.0.0.1 ping statistics ---
6 packets transmitted, 4 received, +1 duplicates, 20% packet loss, time 4005ms
rtt min/avg/max/mdev = 9.310/12.652/1700.000/1.912 ms
"""
PING_D = """\
PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.
[1763771234.100000] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=57 time=65.1 ms
no answer yet for icmp_seq=2
[1763771234.500250] 64 bytes from 10.0.0.1: icmp_seq=3 ttl=57 time=64.9 ms
"""
BUSYBOX = """\
PING 10.0.0.1 (10.0.0.1): 56 data bytes
64 bytes from 10.0.0.1: seq=0 ttl=57 time=3.000 ms
64 bytes from 10.0.0.1: seq=1 ttl=57 time=4.5 ms
"""
MAC = """\
PING 10.0.0.1 (10.0.0.1): 56 data bytes
64 bytes from 10.0.0.1: icmp_seq=0 ttl=57 time=3.125 ms
Request timeout for icmp_seq 1
64 bytes from 10.0.0.1: icmp_seq=2 ttl=57 time=4 ms
"""
WINDOWS = """\

Pinging 10.0.0.1 with 32 bytes of data:
Reply from 10.0.0.1: bytes=32 time=12ms TTL=57
Request timed out.
Reply from 10.0.0.1: bytes=32 time<1ms TTL=57
"""


def trace(folder: Path, text: str | bytes, **settings: Any) -> RttTrace:
    """What the path has after its file, beside the scenario, was taken in."""
    content = text.encode() if isinstance(text, str) else text
    (folder / "rtt.csv").write_bytes(content)
    delay = cloud_of(loaded(folder, {"delay": {"kind": "trace", "file": "rtt.csv", **settings}})).delay
    assert isinstance(delay, RttTrace)
    return delay


@pytest.mark.parametrize(
    ("text", "samples", "lost"),
    [
        ("t_s,rtt_ms\n0,64.9\n1,65\n2.5,60\n", "0 64.9, 1 65, 2.5 60", 0),
        ("rtt_ms, t_s\n64.9, 10\n65, 11\n", "0 64.9, 1 65", 0),
        ("# by hand\nhost,timestamp,rtt\n\na,1763771234.1,64.9\na,1763771234.6,65\n", "0 64.9, 0.5 65", 0),
        ("Time_MS,RTT_us\n100,64900\n350,65000.5\n", "0 64.9, 0.25 65.0005", 0),
        ("time,rtt_s\n2026-11-22T00:00:00Z,0.1\n2026-11-22T00:00:01.5+00:00,0.2\n", "0 100, 1.5 200", 0),
        ("t,latency_ms\n0,1\n1,\n2,timeout\n3,nan\n4,-\n5,2\n", "0 1, 5 2", 4),
        ("t_ns,ping\n5,1\n", "0 1", 0),
        ("\ufefft_s,rtt_ms\r\n0,1\r\n1,2\r\n", "0 1, 1 2", 0),
        (PING, "0 12.3, 1 14, 4 9.31", 1),
        (PING_D, "0 65.1, 0.40025 64.9", 1),
        (BUSYBOX, "0 3, 1 4.5", 0),
        (MAC, "0 3.125, 2 4", 1),
        (WINDOWS, "0 12, 2 1", 1),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, samples: str, lost: int) -> None:
    found = trace(tmp_path, text)
    assert found.samples == parse_samples(samples)
    assert (found.lost, found.file, found.read_from) == (lost, None, "rtt.csv")


def test_pings_without_times_are_an_interval_apart(tmp_path: Path) -> None:
    assert trace(tmp_path, BUSYBOX, interval="200ms").samples == ((0, 3_000_000), (200_000_000, 4_500_000))


def test_sequence_numbers_begin_again_after_16_bits(tmp_path: Path) -> None:
    text = "PING x\n" + "".join(f"64 bytes from x: icmp_seq={n % 65_536} time=1 ms\n" for n in (65_534, 65_535, 65_536))
    assert trace(tmp_path, text).samples == ((0, 10**6), (10**9, 10**6), (2 * 10**9, 10**6))


def test_columns_can_be_named(tmp_path: Path) -> None:
    text = "time,sent_ms,rtt,srtt_us\n9,0,1,2000\n9,500,1,3000\n"
    found = trace(tmp_path, text, time_column="sent_ms", rtt_column="SRTT_us")
    assert found.samples == ((0, 2_000_000), (500_000_000, 3_000_000))


def test_the_resolved_scenario_holds_the_trace(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t_s,rtt_ms\n" + "".join(f"{t / 10:g},{60 + t % 7}.25\n" for t in range(3000)))
    given = {"delay_up": {"kind": "trace", "file": "a.csv"}, "jitter": {"kind": "trace", "file": "a.csv"}}
    first = loaded(tmp_path, given)
    (tmp_path / "a.csv").unlink()
    second = again(tmp_path, first)
    assert second.scenario == first.scenario
    assert second.hash() == first.hash()
    assert second.resolved_yaml() == first.resolved_yaml()
    assert str(tmp_path) not in first.resolved_yaml()


def test_any_link_may_have_a_trace_and_a_flag_names_it_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "b.csv").write_text("t_s,rtt_ms\n0,7\n")
    monkeypatch.chdir(tmp_path / "here")
    value = "{kind: trace, file: b.csv}"
    flags = [f"network.{link}.delay={value}" for link in ("access.uplink", "core", "paths.cloud")]
    network = loaded(tmp_path, {}, flags=flags).scenario.network
    for delay in (network.access.uplink.delay, network.core.delay, network.paths["cloud"].delay):  # type: ignore[union-attr]
        assert isinstance(delay, RttTrace)
        assert delay.samples == ((0, 7_000_000),)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "has no round-trip time"),
        ("t_s,rtt_ms\n", 1, "has no round-trip time"),
        ("t_s,rtt_ms\n0,\n", 1, "has no round-trip time"),
        ("PING x\n\n--- x ping statistics ---\n", 1, "has no round-trip time"),
        ("a,b\n0,1\n", 1, "has the columns a,b, none of times"),
        ("t_s,b\n0,1\n", 1, "has the columns t_s,b, none of round-trip times"),
        ("t_s,time,rtt\n0,1,2\n", 1, "t_s and time could both be the column of times"),
        ("0,64.9\n1,65\n", 1, "has the columns 0,64.9, none of times"),
        ("t_s,rtt_ms\n0,1\n1\n", 3, "has 1 cells"),
        ("t_s,rtt_ms\n0,1\nx,2\n", 3, "'x' is no time"),
        ("t_s,rtt_ms\n0,1\n1,fast\n", 3, "'fast' is no round-trip time"),
        ("t_s,rtt_ms\n0,1\n\n1,inf\n", 4, "'inf' is no round-trip time"),
        ("t_s,rtt_ms\n0,1\n1,-2\n", 3, "-2 ms is no round-trip time"),
        ("t_s,rtt_ms\n0,4e6\n", 2, "4e+06 ms is no round-trip time"),
        ("t_s,rtt_ms\n5,1\n5,2\n", 3, "0 s after the first sample does not come after 0 s"),
        ("t_s,rtt_ms\n5,1\n7,1\n6,2\n", 4, "1 s after the first sample does not come after 2 s"),
        ("t_s,rtt_ms\n0,1\n1e9,2\n", 3, "1e+09 s after the first sample"),
        ('t_s,rtt_ms\n0,"' + "1" * 200_000 + "\n", 2, "is no CSV: field larger than field limit (131072)"),
    ],
)
def test_a_fault_is_told_at_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    (tmp_path / "rtt.csv").write_text(text)
    told = faults(tmp_path, {"delay": {"kind": "trace", "file": "rtt.csv"}})
    assert told[0].startswith(f"rtt.csv:{line} | network.paths.cloud.delay.file: {what}; ")


def test_a_file_that_cannot_be_read_is_told_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for file, why in (("gone.csv", "No such file or directory"), ("bytes", "'utf-8' codec"), (".", "Is a directory")):
        (told,) = faults(tmp_path, {"delay": {"kind": "trace", "file": file}})
        assert told.startswith(f"file: {file} | network.paths.cloud.delay.file: '{tmp_path}")
        assert why in told


def test_too_many_samples_are_refused(tmp_path: Path) -> None:
    text = "t_s,rtt_ms\n" + "".join(f"{t},1\n" for t in range(MOST_SAMPLES + 1))
    (tmp_path / "rtt.csv").write_text(text)
    (told,) = faults(tmp_path, {"delay": {"kind": "trace", "file": "rtt.csv"}})
    assert told.startswith(f"rtt.csv:{MOST_SAMPLES + 2} | ")
    assert trace(tmp_path, text.rsplit("\n", 2)[0]).samples is not None


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"kind": "trace"}, "delay: has neither file nor samples; one of file and samples"),
        ({"kind": "trace", "file": "x", "samples": "0 1"}, "delay.file: has both file and samples; one of"),
        ({"kind": "trace", "samples": "0 1, 0 2"}, "sample 2 is not at a later time than the one before"),
        ({"kind": "trace", "samples": "1 1"}, "sample 1 is not at 0"),
        ({"kind": "trace", "samples": "0 -1"}, "sample 1 is no time in s and round-trip time in ms"),
        ({"kind": "trace", "samples": ""}, "sample 1 is no time in s and round-trip time in ms"),
        ({"kind": "trace", "samples": 3}, 'is no samples; samples such as "0 64.9, 1 65.2"'),
        ({"kind": "trace", "samples": "0 9e9"}, "sample 1 is no time"),
        ({"kind": "trace", "samples": "0 4000000"}, "sample 1 is out of range"),
        ({"kind": "gamma", "mean": "1ms"}, "delay.kind: 'gamma' is not allowed; input should be 'trace'"),
    ],
)
def test_samples_that_cannot_be(tmp_path: Path, value: dict[str, Any], fault: str) -> None:
    assert fault in faults(tmp_path, {"delay": value})[0]


def test_samples_read_back_to_the_nanosecond() -> None:
    samples = ((0, 1), (1, 64_900_000), (10**9 + 1, 0), (123_456_789_012_345_678 // 10**3, series.LONGEST_RTT_NS))
    assert parse_samples(write_samples(samples)) == samples
