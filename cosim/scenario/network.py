"""The network section: access link, core, WAN paths and transport."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cosim.scenario.links import LinkDirection, Path, impossible
from cosim.scenario.nr import NrAccess
from cosim.scenario.section import Finding, Name, Section, problem, problems
from cosim.scenario.units import PositiveDuration

MTU_LEAST_BYTES = 576
MOST_PATHS = 250


class LinkAccess(Section):
    """An access link of its own for every UE."""

    kind: Literal["link"] = "link"
    uplink: LinkDirection = LinkDirection()
    downlink: LinkDirection = LinkDirection()


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
    core: Path = Path()
    paths: dict[Name, ServerPath] = Field(default_factory=dict)
    transport: Transport = Transport()

    @model_validator(mode="after")
    def _links_are_possible(self) -> _Network:
        named: list[tuple[tuple[str, ...], LinkDirection | Path]] = [
            *((("access", key), direction) for key, direction in self._access_directions().items()),
            (("core",), self.core),
            *((("paths", name), path) for name, path in self.paths.items()),
        ]
        found = [
            ((*keys, key), what, allowed)
            for keys, link in named
            for (key,), what, allowed in impossible(link, self.ue_mtu)
        ]
        if found:
            raise problems(found)
        return self

    def _access_directions(self) -> dict[str, LinkDirection]:
        """An access link's directions by key; an NR cell has none."""
        access = getattr(self, "access", None)
        return {"uplink": access.uplink, "downlink": access.downlink} if isinstance(access, LinkAccess) else {}

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
    access: Annotated[LinkAccess | NrAccess, Field(discriminator="kind")] = LinkAccess()
    paths: dict[Name, ServerPath] = Field(min_length=1, max_length=MOST_PATHS)
    pcap: bool = Field(False, description="Write a pcap file for each node.")

    @model_validator(mode="before")
    @classmethod
    def _an_access_is_a_link(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("access"), dict) and "kind" not in given["access"]:
            return {**given, "access": {"kind": "link", **given["access"]}}
        return given

    @model_validator(mode="after")
    def _the_cell_fits(self) -> Ns3Network:
        found: list[Finding] = []
        for index, flow in enumerate(self.access.qos if isinstance(self.access, NrAccess) else []):
            if flow.path is not None and flow.path not in self.paths:
                found.append((("access", "qos", index, "path"), f"no path {flow.path!r}", list(self.paths)))
        if isinstance(self.access, NrAccess):
            rlc = self.access.gnb.rlc
            if rlc.buffer < self.ue_mtu + rlc.pdcp_header:
                allowed = f"at least ue_mtu ({self.ue_mtu} B) and pdcp_header ({rlc.pdcp_header} B)"
                found.append((("access", "gnb", "rlc", "buffer"), f"{rlc.buffer} bytes hold no packet", allowed))
        if found:
            raise problems(found)
        return self


class PipeNetwork(_Network):
    """The deterministic double: rate and delay of each link, no packets, no TCP dynamics."""

    kind: Literal["pipe"]
    access: LinkAccess = LinkAccess()

    def drops(self) -> bool:
        """Whether a link asks for what takes packets to know."""
        links = [self.core, *self.paths.values()]
        if any(path.outages for path in links):
            return True
        directions = [path.direction(up=up) for path in links for up in (True, False)]
        directions += [self.access.uplink, self.access.downlink]
        return any(direction.takes_packets() for direction in directions)


Network = Annotated[Ns3Network | PipeNetwork, Field(discriminator="kind")]
