"""The command that measures TCP over one link: what it prints and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[2] / "benchmarks" / "tcp_path.py"
PATH = ("--rate", "50Mbit/s", "--delay", "22ms", "--size", "150kB")


def tcp_path(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(COMMAND), *arguments], capture_output=True, text=True, check=False)


def message_ms(*arguments: str) -> list[float]:
    done = tcp_path(*PATH, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: list[float] = json.loads(done.stdout.splitlines()[-1])["message_ms"]
    return found


def test_sizes_may_be_whole_numbers_of_bytes() -> None:
    assert message_ms("--size", "20000", "--messages", "1") == message_ms("--size", "20kB", "--messages", "1")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--rate", "50"), "'50' has no unit: '50bit/s' or '50Mbit/s'?"),
        (("--delay", "22"), "'22' has no unit: '22ms' or '22s'?"),
        (("--size", "0"), "'0' has no unit"),
        (("--reply", "1x"), "'1x'"),
        (("--gaps", "50ms,1"), "'1' has no unit: '1ms' or '1s'?"),
        (("--queue", "-9"), "'-9'"),
        (("--drop", "-1"), "'-1' is not a whole number"),
        (("--drop", "105"), "--drop 105: the message has 104 segments"),
        (("--drop-reply", "2"), "the message has 1 segments"),
        (("--mtu", "100"), "'100' is not a whole number from 576"),
        (("--period", "0s"), "must be greater than zero"),
        (("--period", "1s", "--gaps", "1s"), "not allowed with"),
        (("--linux", "--tls", "on"), "--linux has no TLS"),
    ],
)
def test_bad_arguments_are_refused(arguments: tuple[str, ...], text: str) -> None:
    done = tcp_path(*PATH, *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_missing_is_named() -> None:
    done = tcp_path("--rate", "50Mbit/s", "--size", "1kB")
    assert done.returncode == 2
    assert "--delay is missing" in done.stderr


@pytest.mark.ns3
def test_a_period_counts_from_the_send_and_gaps_from_the_reply() -> None:
    # 0.5 s exceed the RTO, so that the window closes; 0.05 s after a reply do not.
    every = message_ms("--period", "0.5s", "--messages", "3")
    after = message_ms("--gaps", "0.05s", "--messages", "3")
    mixed = message_ms("--gaps", "0.05s,0.05s,1s", "--messages", "3")
    assert every[0] == after[0]
    assert after[2] < 0.8 * every[2]
    assert mixed[:2] == after[:2]
    assert mixed[2] > 1.5 * after[2]


@pytest.mark.ns3
def test_a_lost_segment_costs_its_message_and_no_other() -> None:
    primed = ("--warmup-size", "1.5MB", "--gaps", "50ms", "--messages", "3")
    whole = message_ms(*primed)
    last = message_ms(*primed, "--drop", "104")
    reply = message_ms(*primed, "--drop-reply", "1")
    # An RTO or a tail loss probe of 200 ms and a round trip.
    assert last[0] > whole[0] + 200
    assert reply[0] > whole[0] + 200
    assert reply[1:] == whole[1:]


@pytest.mark.ns3
def test_a_short_queue_loses() -> None:
    assert message_ms("--queue", "20kB", "--messages", "1")[0] > message_ms("--messages", "1")[0] + 20
