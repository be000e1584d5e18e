"""An exchange on ns-3's TCP, in the ns-3 process that every run uses."""

from __future__ import annotations

from pathlib import Path

from benchmarks.errors import RigError
from benchmarks.tcp_rig.exchange import Exchange
from cosim.bridge.child import Runtime
from cosim.bridge.messages import Connected, Delivered, Delivery, Direction, Link, Topology, Transport
from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.network.ns3 import Ns3Network

UE, PATH = "client", "path"
SILENCE_LIMIT_S = 240.0
# An exchange that takes longer has broken down.
LONGEST_NS = 1_200 * NS_PER_S


def measure(exchange: Exchange, directory: Path, *, pcap: Path | None = None) -> list[float]:
    """Milliseconds of each measured message. Raises RigError, ChildError."""
    with _Client(exchange, directory, pcap) as client:
        now_ns = client.connect()
        if exchange.warmup_bytes:
            now_ns = client.exchange(exchange.warmup_bytes, now_ns)
        durations = []
        due_ns = now_ns
        for index in range(exchange.messages):
            start_ns = max(now_ns, due_ns) if exchange.period_ns is not None else now_ns + exchange.gap_ns(index)
            due_ns += exchange.period_ns or 0
            if index == 0:
                client.lose(exchange.drop, up=True, at_ns=start_ns)
                client.lose(exchange.drop_reply, up=False, at_ns=start_ns)
            now_ns = client.exchange(exchange.size_bytes, start_ns)
            durations.append((now_ns - start_ns) / NS_PER_MS)
        return durations


class _Client:
    """One connection over one link; the other two links of the topology take no time."""

    def __init__(self, exchange: Exchange, directory: Path, pcap: Path | None) -> None:
        self._reply_bytes = exchange.reply_bytes
        value = Direction(exchange.delay_ns, exchange.rate_bps, queue_bytes=exchange.queue_bytes)
        instant = Link(Direction(0), Direction(0))
        topology = Topology(
            ues=(UE,),
            access=Link(value, value),
            core=instant,
            paths={PATH: instant},
            mtu_bytes=exchange.mtu_bytes,
            transport=Transport(exchange.congestion_control, exchange.idle_restart, exchange.tls),
            seed=exchange.seed,
            pcap_directory=None if pcap is None else str(pcap),
        )
        self._runtime = Runtime()
        self._network = Ns3Network(
            topology, runtime=self._runtime, log=directory / "ns3.log", silence_limit_s=SILENCE_LIMIT_S
        )
        self._seen: list[Delivery] = []
        self._messages = 0

    def __enter__(self) -> _Client:
        try:
            self._network.wait_ready()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def connect(self) -> int:
        """Handshake; the time of its end."""
        self._network.open(1, UE, PATH, 0)
        now_ns = 0
        while not any(isinstance(delivery, Connected) for delivery in self._seen):
            now_ns += 10 * NS_PER_MS
            self._seen += self._network.settle(now_ns)
            if now_ns > LONGEST_NS:
                raise RigError("the handshake was not answered")
        return max(now_ns, next(d.t_ns for d in self._seen if isinstance(d, Connected)))

    def lose(self, segment: int, *, up: bool, at_ns: int) -> None:
        """Lose the segment with this number, counted from a time; 0 for none."""
        if segment:
            self._network.lose("access", up=up, segment=segment, at_ns=at_ns)

    def exchange(self, n_bytes: int, at_ns: int) -> int:
        """Send a message at a time and wait for the reply; when its last byte came back."""
        return self._transfer(self._reply_bytes, self._transfer(n_bytes, at_ns, up=True), up=False)

    def _transfer(self, n_bytes: int, at_ns: int, *, up: bool) -> int:
        self._messages += 1
        message = self._messages
        self._network.send(1, message, n_bytes, at_ns, up=up, wakes=True)
        while True:
            now_ns, deliveries = self._network.advance(at_ns + LONGEST_NS)
            for delivery in deliveries:
                if isinstance(delivery, Delivered) and delivery.message == message:
                    return delivery.t_ns
            if now_ns >= at_ns + LONGEST_NS:
                raise RigError(f"message {message} of {n_bytes} bytes took more than {LONGEST_NS // NS_PER_S} s")
            if not deliveries:
                raise RigError(f"TCP gave up message {message} of {n_bytes} bytes")

    def _close(self) -> None:
        self._network.stop(politely=True)
        self._runtime.close()
