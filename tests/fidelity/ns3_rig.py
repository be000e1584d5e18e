"""An ns-3 network in its process, for the tests beside this file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from cosim.bridge.child import Runtime
from cosim.bridge.messages import (
    Closed,
    Connected,
    Delivered,
    Delivery,
    Direction,
    Link,
    LinkCounters,
    Reset,
    Topology,
    Transport,
)
from cosim.bridge.nr_messages import NrAccess
from cosim.network.ns3 import Ns3Network

MS = 1_000_000
S = 1_000_000_000
# Far beyond any test; nothing happens there.
LATER = 3_600 * S

SILENCE_LIMIT_S = 240.0


def link(
    up_ns: int,
    down_ns: int | None = None,
    *,
    rate_bps: int | None = None,
    jitter_ns: int = 0,
    loss: float = 0.0,
    queue_bytes: int | None = None,
) -> Link:
    """A link of equal values each way but for the delay."""
    uplink = Direction(up_ns, rate_bps, jitter_ns, loss, queue_bytes)
    downlink = Direction(up_ns if down_ns is None else down_ns, rate_bps, jitter_ns, loss, queue_bytes)
    return Link(uplink, downlink)


def topology(
    *,
    ues: Sequence[str] = ("ue",),
    access: Link | NrAccess | None = None,
    core: Link | None = None,
    wan: Link | None = None,
    mtu_bytes: int = 1400,
    congestion_control: str = "cubic",
    slow_start_after_idle: bool = True,
    tls: bool = False,
    seed: int = 1,
    pcap_directory: Path | None = None,
) -> Topology:
    """UEs, one path `cloud`; links without delay unless given."""
    return Topology(
        ues=tuple(ues),
        access=access or link(0),
        core=core or link(0),
        paths={"cloud": wan or link(0)},
        mtu_bytes=mtu_bytes,
        transport=Transport(congestion_control, slow_start_after_idle, tls),
        seed=seed,
        pcap_directory=None if pcap_directory is None else str(pcap_directory),
    )


class Rig:
    """A network, the deliveries and gauges so far, and identifiers counted up."""

    def __init__(self, topology: Topology, directory: Path) -> None:
        self.runtime = Runtime()
        self.gauges: list[tuple[int, str, str, dict[str, str], float]] = []
        self.net = Ns3Network(
            topology,
            runtime=self.runtime,
            log=directory / "ns3.log",
            silence_limit_s=SILENCE_LIMIT_S,
            gauge=lambda *row: self.gauges.append(row),
        )
        self.now_ns = 0
        self.seen: list[Delivery] = []
        self._messages = 0
        self._connections = 0

    def __enter__(self) -> Rig:
        try:
            self.net.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.net.stop(politely=True)
        self.runtime.close()

    def open(self, ue: str = "ue", at_ns: int | None = None) -> int:
        self._connections += 1
        self.net.open(self._connections, ue, "cloud", self.now_ns if at_ns is None else at_ns)
        return self._connections

    def send(
        self, connection: int, n_bytes: int, *, up: bool = True, wakes: bool = True, at_ns: int | None = None
    ) -> int:
        self._messages += 1
        at_ns = self.now_ns if at_ns is None else at_ns
        self.net.send(connection, self._messages, n_bytes, at_ns, up=up, wakes=wakes)
        return self._messages

    def advance(self, until_ns: int = LATER) -> list[Delivery]:
        self.now_ns, deliveries = self.net.advance(until_ns)
        self.seen += deliveries
        return deliveries

    def settle(self, at_ns: int) -> list[Delivery]:
        """Go to a time and execute everything up to it, consequential or not."""
        before = len(self.seen)
        while self.now_ns < at_ns:
            self.advance(at_ns)
        self.seen += self.net.settle(at_ns)
        return self.seen[before:]

    def delivered(self, message: int) -> Delivered:
        """Advance until a message sent with `wakes` has arrived."""
        while True:
            for delivery in self.seen:
                if isinstance(delivery, Delivered) and delivery.message == message:
                    return delivery
            assert self.now_ns < LATER, f"message {message} never arrived"
            self.advance()

    def transfer(self, connection: int, n_bytes: int, *, up: bool = True, at_ns: int | None = None) -> Delivered:
        return self.delivered(self.send(connection, n_bytes, up=up, at_ns=at_ns))

    def spaced(self, count: int, gap_ns: int = 50 * MS) -> list[Delivered]:
        """Small messages up so far apart that they never meet, from the next full second on."""
        connection = self.open()
        start_ns = self.now_ns // S * S + 1 * S
        self.settle(start_ns)
        messages = [self.send(connection, 100, wakes=False, at_ns=start_ns + i * gap_ns) for i in range(count)]
        self.settle(start_ns + count * gap_ns + 1 * S)
        by_message = {d.message: d for d in self.seen if isinstance(d, Delivered)}
        return [by_message[message] for message in messages]

    def link(self, name: str, *, up: bool = True) -> LinkCounters:
        """What one direction of a link did so far."""
        return next(entry for entry in self.net.account().links if (entry.link, entry.up) == (name, up))

    def connected(self, connection: int) -> Connected:
        return next(d for d in self.seen if isinstance(d, Connected) and d.connection == connection)

    def ended(self, connection: int) -> Closed | Reset | None:
        for delivery in self.seen:
            if isinstance(delivery, (Closed, Reset)) and delivery.connection == connection:
                return delivery
        return None

    def check_account(self) -> None:
        """Every byte is delivered, lost or discarded."""
        for bytes_ in self.net.account().connections:
            assert bytes_.sent == bytes_.delivered + bytes_.lost + bytes_.discarded, bytes_
            assert min(bytes_.sent, bytes_.delivered, bytes_.lost, bytes_.discarded) >= 0, bytes_
