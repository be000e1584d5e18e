"""The network section: access link, core, WAN paths and transport."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cosim.scenario.section import Name, Section, problem
from cosim.scenario.units import Duration, PositiveDuration, Rate, Ratio, Size

MTU_LEAST_BYTES = 576
MOST_PATHS = 250
LONGEST_LINK_DELAY_NS = 3600 * 10**9


class LinkDirection(Section):
    """One direction of an access link."""

    rate: Rate | None = Field(None, description="Serialisation rate; none: no serialisation delay.")
    delay: Duration = Field(0, description="One-way propagation delay.")
    jitter: Duration = Field(0, description="Mean of a random extra delay for each packet; packets keep their order.")
    loss: Ratio = Field(0.0, description="Share of packets lost, each on its own.")
    queue: Size | None = Field(None, description="Bytes that wait before packets are dropped; none: no limit.")


class LinkAccess(Section):
    """An access link of its own for every UE."""

    kind: Literal["link"] = "link"
    uplink: LinkDirection = LinkDirection()
    downlink: LinkDirection = LinkDirection()


class Path(Section):
    """A link with the same values each way unless a key with `_up` or `_down` says otherwise."""

    delay: Duration = Field(0, description="One way; applies each way.")
    delay_up: Duration | None = None
    delay_down: Duration | None = None
    rate: Rate | None = None
    rate_up: Rate | None = None
    rate_down: Rate | None = None
    jitter: Duration = Field(0, description="Mean of a random extra delay for each packet; packets keep their order.")
    jitter_up: Duration | None = None
    jitter_down: Duration | None = None
    loss: Ratio = 0.0
    loss_up: Ratio | None = None
    loss_down: Ratio | None = None
    queue: Size | None = None
    queue_up: Size | None = None
    queue_down: Size | None = None

    def direction(self, *, up: bool) -> LinkDirection:
        """The values of one direction."""
        suffix = "_up" if up else "_down"
        values = {}
        for key in LinkDirection.model_fields:
            own = getattr(self, key + suffix)
            values[key] = getattr(self, key) if own is None else own
        return LinkDirection.model_construct(**values)


class Gateway(Section):
    """What stands before a path's server and speaks with clients in its place; its own hop costs nothing."""

    http: Literal[2] = Field(
        description="HTTP version: 2. A client's requests share one connection, and giving one up leaves it open. "
        "Without a gateway clients speak HTTP/1.1, since vLLM's server has nothing else.",
    )


class ServerPath(Path):
    """The way to one server."""

    gateway: Gateway | None = None


class Transport(Section):
    """TCP and TLS of clients and servers, and the HTTP/1.1 connections between them."""

    congestion_control: Literal["cubic", "bbr"] = "cubic"
    slow_start_after_idle: bool = True
    tls: bool = Field(True, description="TLS 1.3 handshake round trips and record bytes.")
    keepalive: PositiveDuration = Field(
        5_000_000_000,
        description="The client closes a connection that was idle for this long (httpx: keepalive_expiry).",
    )
    server_keepalive: PositiveDuration = Field(
        5_000_000_000,
        description="The server closes a connection on which nothing arrived for this long since it wrote its last "
        "answer (uvicorn: timeout_keep_alive; vLLM: VLLM_HTTP_TIMEOUT_KEEP_ALIVE, 5 s).",
    )


class _Network(Section):
    ue_mtu: int = Field(1400, ge=MTU_LEAST_BYTES, le=9000, description="IP packet size at the UE, bytes.")
    access: LinkAccess = LinkAccess()
    core: Path = Path()
    paths: dict[Name, ServerPath] = Field(default_factory=dict)
    transport: Transport = Transport()

    @model_validator(mode="after")
    def _links_are_possible(self) -> _Network:
        named: list[tuple[tuple[str, ...], LinkDirection | Path]] = [
            (("access", "uplink"), self.access.uplink),
            (("access", "downlink"), self.access.downlink),
            (("core",), self.core),
            *((("paths", name), path) for name, path in self.paths.items()),
        ]
        for keys, link in named:
            for key in ("queue", "queue_up", "queue_down"):
                limit = getattr(link, key, None)
                if limit is not None and limit < self.ue_mtu:
                    raise problem((*keys, key), f"{limit} bytes hold no packet", f"at least ue_mtu ({self.ue_mtu} B)")
            for key in ("delay", "delay_up", "delay_down"):
                if (getattr(link, key, None) or 0) > LONGEST_LINK_DELAY_NS:
                    raise problem((*keys, key), "is longer than any link's", "at most 1h")
        return self

    @model_validator(mode="after")
    def _http2_is_chosen_in_tls(self) -> _Network:
        for name, path in self.paths.items():
            if path.gateway is not None and not self.transport.tls:
                what = "HTTP/2 is chosen in the TLS handshake (ALPN), and transport.tls is false"
                raise problem(("paths", name, "gateway"), what, "transport.tls: true, or no gateway")
        return self


class Ns3Network(_Network):
    """Real packets and TCP in an ns-3 process."""

    kind: Literal["ns3"]
    paths: dict[Name, ServerPath] = Field(min_length=1, max_length=MOST_PATHS)
    pcap: bool = Field(False, description="Write a pcap file for each node.")


class PipeNetwork(_Network):
    """The deterministic double: rate and delay of each link, no packets, no TCP dynamics."""

    kind: Literal["pipe"]

    def drops(self) -> bool:
        """Whether a link asks for loss or a bounded queue, which take packets to know."""
        links = [self.core, *self.paths.values()]
        directions = [path.direction(up=up) for path in links for up in (True, False)]
        directions += [self.access.uplink, self.access.downlink]
        return any(direction.loss or direction.queue is not None for direction in directions)


Network = Annotated[Ns3Network | PipeNetwork, Field(discriminator="kind")]
