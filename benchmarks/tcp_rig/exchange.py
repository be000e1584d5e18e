"""What is exchanged: the link, the messages, when they are sent and what is lost."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.errors import ArgumentsError

MTU_BYTES = 1500
# IPv4, TCP and its timestamp option.
HEADER_BYTES = 52


@dataclass(frozen=True)
class Exchange:
    """A client sends `size_bytes`, the server answers with `reply_bytes` once it has them all; `messages` times.

    `period_ns` is from a send to the next, `gaps_ns` from a reply (at first: from the connection's handshake) to the
    next send, the last gap repeated; one of the two is given. `warmup_bytes` is one message before, 0 for none.
    `drop` and `drop_reply` are segments, counted from 1, of the first measured message and of its reply that are lost
    once, 0 for none. `queue_bytes` is what waits behind the packet being sent, None for no limit.
    """

    rate_bps: int
    delay_ns: int
    size_bytes: int
    reply_bytes: int = 1_000
    period_ns: int | None = None
    gaps_ns: tuple[int, ...] = ()
    warmup_bytes: int = 0
    queue_bytes: int | None = None
    congestion_control: str = "cubic"
    idle_restart: bool = True
    drop: int = 0
    drop_reply: int = 0
    messages: int = 6
    mtu_bytes: int = MTU_BYTES
    tls: bool = False
    seed: int = 1

    @property
    def segment_bytes(self) -> int:
        """Payload of a full segment."""
        return self.mtu_bytes - HEADER_BYTES

    def segments(self, n_bytes: int) -> int:
        """How many segments a message fills."""
        return -(-n_bytes // self.segment_bytes)

    def gap_ns(self, index: int) -> int:
        """From the reply before to the send of measured message `index`."""
        return self.gaps_ns[min(index, len(self.gaps_ns) - 1)]

    def check(self) -> None:
        """Raises ArgumentsError with what is wrong and what is allowed."""
        for name, segment, n_bytes in (
            ("--drop", self.drop, self.size_bytes),
            ("--drop-reply", self.drop_reply, self.reply_bytes),
        ):
            if segment > self.segments(n_bytes):
                raise ArgumentsError(f"{name} {segment}: the message has {self.segments(n_bytes)} segments")
