"""Messages between cosim and its children: typed, versioned, msgpack on the wire; those of engine hosts have a module.

Every socket carries one request and one reply at a time. All times are int nanoseconds of virtual time since the
run's epoch, except `wall_*_ns`, which are the child's monotonic clock.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from cosim.bridge.nr_messages import CellKnob, NrAccess, UeKnob

PROTOCOL_VERSION = 6

NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A child could not carry out a request; `text` says why and what to do."""

    text: str


class MessageRefused(msgspec.Struct, frozen=True, tag=True):
    """A message was malformed, too large, of another version or out of order; it changed nothing. `count`: so far."""

    text: str
    count: int


class Stop(msgspec.Struct, frozen=True, tag=True):
    """The child answers `Stopped` and exits."""


class Stopped(msgspec.Struct, frozen=True, tag=True):
    """The last message of a child."""


class GilbertElliott(msgspec.Struct, frozen=True):
    """Loss in bursts: a state that may change with every packet, and the share of packets lost in each state.

    All four are probabilities per packet. netem's `gemodel` calls them p, r, 1-k and 1-h. Sources: Gilbert, Capacity of
    a burst-noise channel, BSTJ 39 (1960); Elliott, Estimates of error rates for codes on burst-noise channels, BSTJ 42
    (1963).
    """

    good_to_bad: Probability
    bad_to_good: Probability
    loss_good: Probability = 0.0
    loss_bad: Probability = 1.0


class FqCodel(msgspec.Struct, frozen=True):
    """FlowQueue-CoDel as the queue of a direction; the defaults are those of RFC 8290 5.2.

    `target_ns`, `interval_ns`: of CoDel (RFC 8289 4.2, 4.3). `flows`: queues that connections are hashed to.
    `quantum_bytes`: of a round of deficit round robin. `packets`: the limit over all queues.
    """

    target_ns: Positive = 5_000_000
    interval_ns: Positive = 100_000_000
    flows: Positive = 1024
    quantum_bytes: Positive = 1514
    packets: Positive = 10_240


class Opportunities(msgspec.Struct, frozen=True):
    """When a link delivers: at each of `times_ns` up to `bytes_per_opportunity`, over and over with `period_ns`.

    Times are relative to the run's epoch, do not decrease, may be equal, and lie in 0 to `period_ns`, both included. No
    time, in a `Set`: the direction keeps those that it has.
    Source: mahimahi's link queue (Netravali et al., Mahimahi: accurate record-and-replay for HTTP, USENIX ATC 2015),
    whose packets have at most 1,504 bytes and whose period is the last time of the trace.
    """

    times_ns: tuple[NotNegative, ...]
    period_ns: Positive
    bytes_per_opportunity: Positive = 1504


class Direction(msgspec.Struct, frozen=True, tag=True):
    """One direction of a link.

    `rate_bps` None: no serialisation delay. `queue_bytes` None: never drops. `jitter_ns`: mean of an extra delay with a
    gamma distribution of shape `jitter_shape` (1: exponential), the same for all packets that enter within
    `jitter_hold_ns`; 0: each has its own. `loss`: of each packet by itself; what `burst_loss` loses is lost too.
    `fq_codel`: instead of one queue of `queue_bytes`, first in, first out. `opportunities`: instead of a rate.
    """

    delay_ns: int
    rate_bps: Positive | None = None
    jitter_ns: int = 0
    loss: float = 0.0
    queue_bytes: int | None = None
    jitter_shape: float = 1.0
    jitter_hold_ns: NotNegative = 0
    burst_loss: GilbertElliott | None = None
    fq_codel: FqCodel | None = None
    opportunities: Opportunities | None = None


class Link(msgspec.Struct, frozen=True, tag="link"):
    """Both directions of a link; `uplink` leads away from the UE."""

    uplink: Direction
    downlink: Direction


class Transport(msgspec.Struct, frozen=True):
    """What the hosts' TCP and TLS do; sizes in bytes."""

    congestion_control: str
    slow_start_after_idle: bool
    tls: bool


class Topology(msgspec.Struct, frozen=True):
    """UEs, each with an access link of its own or all in one cell, then a router, the core and one server per path."""

    ues: tuple[str, ...]
    access: Link | NrAccess
    core: Link
    paths: dict[str, Link]
    mtu_bytes: int
    transport: Transport
    seed: int
    pcap_directory: str | None


class ConfigureNetwork(msgspec.Struct, frozen=True, tag=True):
    """First message to the ns-3 process."""

    version: int
    topology: Topology


class NetworkReady(msgspec.Struct, frozen=True, tag=True):
    """The topology stands; `versions` names ns-3 and the compiler."""

    version: int
    versions: dict[str, str]


class Open(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Start the TCP (and TLS) handshake of a new connection from a UE to a path's server."""

    at_ns: int
    connection: int
    ue: str
    path: str


class Send(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Hand a message to a connection; it leaves once the handshakes are done and earlier messages have left.

    `up`: from the UE to the server. `wakes`: its delivery is consequential, so that `advance` returns at it.
    """

    at_ns: int
    connection: int
    message: int
    n_bytes: int
    up: bool
    wakes: bool


class Close(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Close a connection from one side.

    `up`: from the UE's. What has not been handed to TCP yet is discarded; `wakes`: the server's notice of it is
    consequential (a request is still being served there). Otherwise from the server's, which does nothing if a part
    of a request has arrived; the UE's notice of it is always consequential, and data that arrives later is answered
    with RST.
    """

    at_ns: int
    connection: int
    up: bool
    wakes: bool


Knob = Direction | UeKnob | CellKnob
"""What can be changed while the network runs.

A `Direction` is at `network.access.uplink`, `network.core.downlink`, `network.paths.NAME.uplink` and so on.
"""


class Set(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Give what is at a path from the scenario's root a new value."""

    at_ns: int
    path: str
    value: Knob


class Lose(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Lose one TCP segment with payload: the `segment`-th, counted from 1, that a direction of a link is given next."""

    at_ns: int
    link: str
    up: bool
    segment: int


Command = Open | Send | Close | Set | Lose


class Advance(msgspec.Struct, frozen=True, tag=True):
    """Execute the commands at their times and every event up to `until_ns`, or to the first consequential delivery."""

    commands: list[Command]
    until_ns: int


class Connected(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The client may send its first request byte: TCP and TLS handshakes are done."""

    t_ns: int
    connection: int


class Delivered(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The last byte of a message became readable at the far end.

    `emitted_ns`: when TCP emitted the copy of the segment whose arrival made it readable, and the sender's interface
    had sent the connection's segment before it (Linux's TCP small queues keep it in TCP until then).
    `hops_ns`: that segment's time in each hop in the order it crossed them; `t_ns == emitted_ns + sum(hops_ns)`.
    """

    t_ns: int
    message: int
    emitted_ns: int
    hops_ns: tuple[int, ...]


class Closed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The connection is over: the server saw the UE's close (`up`), or the UE saw the server's."""

    t_ns: int
    connection: int
    up: bool


class Reset(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """TCP gave the connection up (too many retransmissions); always consequential."""

    t_ns: int
    connection: int


Delivery = Connected | Delivered | Closed | Reset


class Kpi(msgspec.Struct, frozen=True, array_like=True):
    """Key performance indicators of a part of the network at a time: `values` by metric, the unit in its name."""

    t_ns: int
    source: str
    labels: dict[str, str]
    values: dict[str, float]


class Advanced(msgspec.Struct, frozen=True, tag=True):
    """Reply to `Advance`: the network's time, deliveries in order of time, wall time inside ns-3's Run.

    `kpis`: of the time since the last reply, in order of time.
    """

    now_ns: int
    deliveries: list[Delivery]
    run_wall_ns: int
    kpis: list[Kpi]


class Account(msgspec.Struct, frozen=True, tag=True):
    """Ask for the byte account of every connection and the counters of every link."""


class ConnectionBytes(msgspec.Struct, frozen=True):
    """Application bytes of one direction of a connection, each counted where it happens.

    `sent` at the API, `delivered` when read at the far end, `lost` when TCP gave up, `discarded` when cancelled or
    still under way at the account. sent == delivered + lost + discarded.
    """

    connection: int
    up: bool
    sent: int
    delivered: int
    lost: int
    discarded: int


class LinkCounters(msgspec.Struct, frozen=True):
    """What one direction of a link did: `packets` whose transmission has begun, `n_bytes` of IP sent so far."""

    link: str
    up: bool
    packets: int
    n_bytes: int
    dropped_queue: int
    dropped_loss: int
    max_queue_bytes: int


class Accounted(msgspec.Struct, frozen=True, tag=True):
    """Reply to `Account`; `kpis`: what `Advanced` has not brought yet."""

    connections: list[ConnectionBytes]
    links: list[LinkCounters]
    kpis: list[Kpi]


NetworkRequest = ConfigureNetwork | Advance | Account | Stop
NetworkReply = NetworkReady | Advanced | Accounted | Stopped | MessageRefused | Failed
