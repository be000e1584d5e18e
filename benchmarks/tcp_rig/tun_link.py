"""A link in user space between two TUN devices: rate, delay, bounded queue, chosen losses."""

from __future__ import annotations

import heapq
import os
import select
import struct
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from cosim.clock import NS_PER_S, monotonic_ns

_PACKET_BYTES = 65_536
_READ_AT_ONCE = 32
# Below this the wait is spent in reading again: the timer of select is no finer.
_FINEST_WAIT_NS = 60_000
_SYN = 0x02
LINKTYPE_RAW = 101


@dataclass
class LinkSide:
    """One direction: from the TUN device of a host to that of the other.

    `drop_at` is a byte of the TCP stream, counted from 0; the first packet with it is lost. None for no loss.
    """

    source: int
    target: int
    rate_bps: int
    delay_ns: int
    queue_bytes: int | None = None
    drop_at: int | None = None
    dropped: int = 0
    _free_ns: int = 0
    _starts: deque[tuple[int, int]] = field(default_factory=deque)  # of packets that wait: when sent, bytes
    _waiting_bytes: int = 0
    _first_sequence: int | None = None

    def arrival_ns(self, packet: bytes, now_ns: int) -> int | None:
        """When a packet handed over now reaches the other host; None if it does not."""
        while self._starts and self._starts[0][0] <= now_ns:
            self._waiting_bytes -= self._starts.popleft()[1]
        start_ns = max(self._free_ns, now_ns)
        n_bytes = len(packet)
        if start_ns > now_ns:
            if self.queue_bytes is not None and self._waiting_bytes + n_bytes > self.queue_bytes:
                self.dropped += 1
                return None
            self._starts.append((start_ns, n_bytes))
            self._waiting_bytes += n_bytes
        self._free_ns = start_ns + n_bytes * 8 * NS_PER_S // self.rate_bps
        if self.drop_at is not None and self._carries(packet, self.drop_at):
            self.drop_at = None
            self.dropped += 1
            return None
        return self._free_ns + self.delay_ns

    def _carries(self, packet: bytes, byte: int) -> bool:
        """Whether an IPv4 packet with TCP holds a byte of the stream (RFC 791 3.1, RFC 9293 3.1)."""
        tcp = (packet[0] & 0x0F) * 4
        sequence = int.from_bytes(packet[tcp + 4 : tcp + 8], "big")
        if packet[tcp + 13] & _SYN:
            self._first_sequence = sequence + 1
            return False
        payload = len(packet) - tcp - (packet[tcp + 12] >> 4) * 4
        if self._first_sequence is None or payload <= 0:
            return False
        offset = (sequence - self._first_sequence) % 2**32
        return offset <= byte < offset + payload


class TunLink:
    """Carries packets until a file descriptor becomes readable; keeps how late it was."""

    def __init__(self, up: LinkSide, down: LinkSide, *, pcap: Path | None = None) -> None:
        self._sides = {up.source: up, down.source: down}
        self._late: list[tuple[int, int]] = []
        self._pcap = None if pcap is None else pcap.open("wb")
        if self._pcap is not None:
            self._pcap.write(struct.pack("!IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, _PACKET_BYTES, LINKTYPE_RAW))

    def worst_lateness_ns(self, start_ns: int, end_ns: int) -> int:
        """The worst lateness with which a packet was handed on in an interval of the monotonic clock."""
        return max((late for at_ns, late in self._late if start_ns <= at_ns <= end_ns), default=0)

    def carry(self, until_readable: int) -> None:
        """Move packets. The loop's own passes count as lateness too: what arrived meanwhile was seen late by that."""
        flying: list[tuple[int, int, int, bytes]] = []
        watched = [*self._sides, until_readable]
        sequence = 0
        now_ns = monotonic_ns()
        while True:
            wait_ns = flying[0][0] - now_ns if flying else NS_PER_S
            timeout_s = wait_ns / NS_PER_S if wait_ns > _FINEST_WAIT_NS else 0.0
            ready, _, _ = select.select(watched, [], [], timeout_s)
            woken_ns = monotonic_ns()
            if until_readable in ready:
                break
            for source in ready:
                side = self._sides[source]
                for _ in range(_READ_AT_ONCE):
                    try:
                        packet = os.read(source, _PACKET_BYTES)
                    except BlockingIOError:
                        break
                    now_ns = monotonic_ns()
                    if self._pcap is not None:
                        self._capture(now_ns, packet)
                    due_ns = side.arrival_ns(packet, now_ns)
                    if due_ns is not None:
                        sequence += 1
                        heapq.heappush(flying, (due_ns, sequence, side.target, packet))
            now_ns = monotonic_ns()
            while flying and flying[0][0] <= now_ns:
                due_ns, _, target, packet = heapq.heappop(flying)
                os.write(target, packet)
                written_ns = monotonic_ns()
                self._late.append((written_ns, written_ns - due_ns))
                now_ns = written_ns
            if ready:
                self._late.append((now_ns, now_ns - woken_ns))
        if self._pcap is not None:
            self._pcap.close()

    def _capture(self, now_ns: int, packet: bytes) -> None:
        assert self._pcap is not None
        seconds, ns = divmod(now_ns, NS_PER_S)
        self._pcap.write(struct.pack("!IIII", seconds % 2**32, ns, len(packet), len(packet)) + packet)
