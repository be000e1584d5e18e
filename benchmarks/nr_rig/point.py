"""What is measured: the cell as a scenario would have it, its UEs, and the load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from benchmarks.errors import ArgumentsError
from benchmarks.nr_rig.exchange import Load, UdpFlow
from cosim.bridge.messages import Direction, Link, Topology, Transport
from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.network.nr_topology import nr_access
from cosim.scenario.nr import NrAccess

LOADS = ("probes", "upload", "download", "peak-ul", "peak-dl")
BURST_BYTES = 150_000
PAYLOAD_BYTES = 1_400  # of a burst's datagrams, 108 at once
PROBE_BYTES = 64
PROBE_PERIOD_NS = 20 * NS_PER_MS
SPREAD_NS = 10 * NS_PER_MS
"""Messages are late by a random part of this, the longest slot pattern, so that they meet all of its slots."""
WARM_UP_NS = NS_PER_S
"""Until the gNB knows the UEs' SINR and, at full load, the queues have filled."""
DRAIN_NS = 10 * NS_PER_S
WINDOW_BYTES = 3_000_000
"""On their way at full load: more than the fastest cell carries in a round trip."""
MTU_BYTES = 1_500
PATH = "server"
GROUP = "default"

# Where a scenario has the value of an option.
KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "preset": (("preset",),),
    "duplex": (("carrier", "duplex"),),
    "bandwidth": (("carrier", "bandwidth"),),
    "numerology": (("carrier", "numerology"),),
    "dl_layers": (("carrier", "dl_layers"),),
    "mcs_table": (("carrier", "dl_mcs_table"), ("carrier", "ul_mcs_table")),
    "scheduler": (("gnb", "scheduler"),),
    "k2": (("gnb", "timing", "k2"),),
    "sinr": (("ues", GROUP, "sinr"),),
}


class ImpossibleCell(ArgumentsError):
    """Options that make no cell; the text names the option, what is wrong and what is allowed."""


@dataclass(frozen=True)
class Point:
    """A cell, its UEs and their load; times in ns. `options` are the keys of `KEYS`; None leaves the preset's value."""

    options: dict[str, Any]
    load: str
    ues: int = 1
    period_ns: int = 500 * NS_PER_MS
    measured_ns: int = 10 * NS_PER_S
    seed: int = 1

    def request(self) -> Load:
        """For the child. Raises ImpossibleCell."""
        until_ns = WARM_UP_NS + self.measured_ns
        return Load(self._topology(), tuple(self._flows(until_ns)), WARM_UP_NS, until_ns, DRAIN_NS, self.seed)

    @property
    def names(self) -> list[str]:
        """Of the UEs."""
        return [f"ue{number}" for number in range(self.ues)]

    def _topology(self) -> Topology:
        access = self._access()
        instant = Link(Direction(0), Direction(0))
        whole_run_ns = WARM_UP_NS + self.measured_ns + DRAIN_NS
        scenario = access.model_copy(update={"kpi_interval": whole_run_ns})
        return Topology(
            ues=tuple(self.names),
            access=nr_access(scenario, dict.fromkeys(self.names, GROUP), seed=self.seed),
            core=instant,
            paths={PATH: instant},
            mtu_bytes=MTU_BYTES,
            transport=Transport("cubic", slow_start_after_idle=True, tls=False),
            seed=self.seed,
            pcap_directory=None,
        )

    def _access(self) -> NrAccess:
        written: dict[str, Any] = {"kind": "nr"}
        for option, value in self.options.items():
            for keys in KEYS[option] if value is not None else ():
                section = written
                for key in keys[:-1]:
                    section = section.setdefault(key, {})
                section[keys[-1]] = value
        try:
            return NrAccess.model_validate(written)
        except ValidationError as error:
            raise ImpossibleCell(_told(error)) from None

    def _flows(self, until_ns: int) -> Iterator[UdpFlow]:
        if self.load.startswith("peak"):
            for ue in self.names:
                up = self.load == "peak-ul"
                yield UdpFlow(ue, PATH, up, payload_bytes=PAYLOAD_BYTES, until_ns=until_ns, window_bytes=WINDOW_BYTES)
            return
        for ue in self.names:
            for up in (True, False):
                yield UdpFlow(ue, PATH, up, 1, PROBE_BYTES, 0, until_ns, PROBE_PERIOD_NS, SPREAD_NS)
        if self.load in ("upload", "download"):
            packets = -(-BURST_BYTES // PAYLOAD_BYTES)
            spread_ns = min(SPREAD_NS, self.period_ns)
            for ue in self.names:
                up = self.load == "upload"
                yield UdpFlow(ue, PATH, up, packets, PAYLOAD_BYTES, WARM_UP_NS, until_ns, self.period_ns, spread_ns)


def _told(error: ValidationError) -> str:
    """Every fault with the option that it came from."""
    lines = []
    for fault in error.errors():
        found = fault.get("ctx", {}).get("found", [((), fault["msg"], "")])
        for keys, what, allowed in found:
            where = tuple(str(key) for key in (*fault["loc"], *keys))
            option = next((name for name, places in KEYS.items() if where in places), None)
            name = f"--{option.replace('_', '-')}" if option else ".".join(where)
            lines.append(f"{name}: {what}" + (f"; {allowed}" if allowed else ""))
    return "\n".join(dict.fromkeys(lines))
