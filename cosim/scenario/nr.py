"""Access over a 5G NR cell."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from cosim.scenario.nr_carrier import Carrier, slots
from cosim.scenario.nr_gnb import Gnb
from cosim.scenario.nr_presets import PRESETS, PresetName, laid_under
from cosim.scenario.nr_ues import Background, QosFlow, UeGroup
from cosim.scenario.section import Name, Section, out_of_range, problems
from cosim.scenario.units import LONGEST_DURATION_NS, PositiveDuration

MOST_CELL_UES = 1000


class NrAccess(Section):
    """One cell that all clients with a network path share; each client is a UE of its own."""

    kind: Literal["nr"]
    preset: PresetName = Field("default", description="Where the values come from that are not given here.")
    carrier: Carrier = Carrier()
    gnb: Gnb = Gnb()
    ues: dict[Name, UeGroup] = Field(default_factory=dict)
    background: dict[Name, Background] = Field(default_factory=dict)
    qos: list[QosFlow] = Field(default_factory=list)
    kpi_interval: PositiveDuration = 100_000_000

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("preset", "default"), str):
            return laid_under(PRESETS.get(given.get("preset", "default"), {}), given)
        return given

    @model_validator(mode="after")
    def _is_possible(self) -> NrAccess:
        found = out_of_range(self, {"kpi_interval": (10**6, LONGEST_DURATION_NS, "at least 1ms")})
        for keys, what, allowed in self.gnb.check(self.carrier.numerology):
            found.append((("gnb", *keys), what, allowed))
        pattern_ns = len(slots(self.carrier)) * self.carrier.slot_ns
        if self.gnb.drx is not None and self.gnb.drx.on < pattern_ns:
            what = f"{self.gnb.drx.on / 1e6:g} ms is shorter than the duplex pattern: a UE may hear no grant"
            found.append((("gnb", "drx", "on"), what, f"at least {pattern_ns / 1e6:g}ms"))
        names = [flow.name for flow in self.qos]
        for index, name in enumerate(names):
            if name in names[:index] or name == "default":
                found.append((("qos", index, "name"), f"{name!r} names two bearers", "a name of its own"))
        if sum(group.count for group in self.background.values()) > MOST_CELL_UES:
            found.append((("background",), "has more UEs than a cell", f"at most {MOST_CELL_UES}"))
        if found:
            raise problems(found)
        return self

    def group_of(self, client_group: str) -> UeGroup:
        """The UEs' settings of a group of clients: by `clients`, by name, or those of `default`."""
        for name, group in self.ues.items():
            if client_group in (group.clients or [name]):
                return group
        return self.ues.get("default", UeGroup())
