"""How long a message and its reply take over one link, on ns-3's TCP as cosim runs it or on this kernel's own.

    benchmarks/tcp_path.py --rate 50Mbit/s --delay 22ms --size 150kB --period 0.5s --json
    benchmarks/tcp_path.py --rate 50Mbit/s --delay 22ms --size 150kB --period 0.5s --json --linux
    benchmarks/tcp_path.py --table

`message_ms` is a list: from the client's send until the reply's last byte is back, for each message, all on one
connection whose handshake is done before the first. The link has the rate and the one-way delay each way. With
--table, the rows of Linux's figures; exit status 1 if any measurement is out of its tolerance.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # to run as a file

from benchmarks.command import Outcome, carry_out, command_line, count, quantity
from benchmarks.errors import ArgumentsError
from benchmarks.tcp_rig import on_linux, on_ns3, table
from benchmarks.tcp_rig.exchange import MTU_BYTES, Exchange
from cosim.scenario.units import Duration, PositiveDuration, Rate, Size

PERIOD = "0.5s"
MOST_MTU_BYTES = 9_000


def size(text: str) -> int:
    """A size with its unit, or a whole number of bytes."""
    return int(text) if text.isascii() and text.isdigit() and int(text) else quantity(Size)(text)


def size_or_none(text: str) -> int:
    """A size; 0 and "none" are none."""
    return 0 if text in ("0", "none") else size(text)


def gaps(text: str) -> tuple[int, ...]:
    """Durations with commas between."""
    return tuple(quantity(Duration)(part) for part in text.split(","))


def arguments() -> argparse.ArgumentParser:
    parser = command_line(__doc__)
    add = parser.add_argument
    add("--rate", type=quantity(Rate), help='of the link, each way, such as "50Mbit/s"')
    add("--delay", type=quantity(Duration), help='one way, such as "22ms"')
    add("--size", type=size, help='of each message, such as "150kB" or 150000')
    add("--reply", type=size, default="1kB", help="size of each reply (default 1kB)")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--period", type=quantity(PositiveDuration), help=f"from a send to the next (default {PERIOD})")
    pace.add_argument(
        "--gaps",
        type=gaps,
        help="from a reply (first: the handshake) to the next send; several with commas, the last repeated",
    )
    add(
        "--warmup-size",
        "--warmup",
        type=size_or_none,
        default="0",
        help="one message before, not printed (default none)",
    )
    add(
        "--queue",
        type=size_or_none,
        default="none",
        help="limit of what waits at the link, such as 64kB (default none)",
    )
    add("--cc", choices=("cubic", "bbr"), default="cubic", help="congestion control of both hosts (default cubic)")
    add("--idle-restart", choices=("on", "off"), default="on", help="net.ipv4.tcp_slow_start_after_idle (default on)")
    add("--drop", type=count(0), default=0, help="lose this segment (from 1) of the first measured message once")
    add("--drop-reply", type=count(0), default=0, help="the same of that message's reply")
    add("--messages", type=count(1), default=6, help="how many are measured (default 6)")
    add("--mtu", type=count(576, MOST_MTU_BYTES), default=MTU_BYTES, help=f"of an IP packet (default {MTU_BYTES})")
    add("--tls", choices=("on", "off"), default="off", help="a TLS handshake before the first message (ns-3 only)")
    add("--linux", action="store_true", help="measure this kernel's TCP instead (root, /dev/net/tun)")
    add("--pcap", type=Path, metavar="DIR", help="write the packets there")
    add("--table", action="store_true", help="measure every row of Linux's figures")
    return parser


def exchange_of(options: argparse.Namespace) -> Exchange:
    """Raises ArgumentsError on values that do not go together."""
    for name in ("rate", "delay", "size"):
        if getattr(options, name) is None:
            raise ArgumentsError(f"--{name} is missing; it needs --rate, --delay and --size, or --table")
    if options.linux and options.tls == "on":
        raise ArgumentsError("--linux has no TLS; leave --tls off")
    period_ns = options.period if options.period or options.gaps else quantity(PositiveDuration)(PERIOD)
    exchange = Exchange(
        rate_bps=options.rate,
        delay_ns=options.delay,
        size_bytes=options.size,
        reply_bytes=options.reply,
        period_ns=period_ns,
        gaps_ns=options.gaps or (),
        warmup_bytes=options.warmup_size,
        queue_bytes=options.queue or None,
        congestion_control=options.cc,
        idle_restart=options.idle_restart == "on",
        drop=options.drop,
        drop_reply=options.drop_reply,
        messages=options.messages,
        mtu_bytes=options.mtu,
        tls=options.tls == "on",
        seed=options.seed,
    )
    exchange.check()
    return exchange


def measure(exchange: Exchange, options: argparse.Namespace) -> dict[str, Any]:
    """`message_ms`, and on Linux how late the rig was. Raises ChildError, RigError."""
    if options.pcap is not None:
        options.pcap.mkdir(parents=True, exist_ok=True)
    if options.linux:
        pcap = None if options.pcap is None else options.pcap / "linux.pcap"
        measured = on_linux.measure(exchange, pcap=pcap)
        return {"stack": "linux", "message_ms": measured.message_ms, "late_ms": measured.late_ms}
    with tempfile.TemporaryDirectory() as folder:
        message_ms = on_ns3.measure(exchange, Path(folder), pcap=options.pcap)
    return {"stack": "ns3", "message_ms": message_ms}


def run_table(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Outcome:
    def measure_row(row: list[str]) -> list[float]:
        row_options = parser.parse_args([*row, *["--linux"] * options.linux])
        message_ms: list[float] = measure(exchange_of(row_options), row_options)["message_ms"]
        return message_ms

    found = table.compare(measure_row, lambda line: print(line, flush=True))
    within = [ok for row in found for ok in row["within"]]
    print(f"{sum(within)} of {len(within)} messages are within")
    return Outcome({"rows": found, "within": sum(within), "messages": len(within)}, (), all(within))


def run_exchange(options: argparse.Namespace) -> Outcome:
    found = measure(exchange_of(options), options)
    return Outcome(found, [" ".join(f"{value:.1f}" for value in found["message_ms"])])


def main() -> int:
    """Measure and print; returns the exit status."""
    parser = arguments()
    options = parser.parse_args()
    return carry_out(parser, options, lambda: run_table(parser, options) if options.table else run_exchange(options))


if __name__ == "__main__":
    sys.exit(main())
