"""UEs of a cell: which clients they are, their radio, other users of the cell, and which packets take which bearer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cosim.scenario.section import Finding, Name, Section, out_of_range, problem, problems
from cosim.scenario.units import Decibel, Duration, Length, PositiveDuration, Power, Rate, Size, Speed

LOWEST_SINR_DB, HIGHEST_SINR_DB = -30.0, 60.0
# 3GPP TS 23.501 Table 5.7.4-1: priority level of non-GBR and delay-critical 5QIs; lower is served first.
PRIORITY_OF_5QI = {1: 20, 2: 40, 3: 30, 4: 50, 5: 10, 6: 60, 7: 70, 8: 80, 9: 90, 69: 5, 70: 55, 79: 65, 80: 68, 85: 21}


_SINR = (LOWEST_SINR_DB, HIGHEST_SINR_DB, f"{LOWEST_SINR_DB:g}dB to {HIGHEST_SINR_DB:g}dB")
MOST_BURSTS_PER_S = 100_000
_GNB_HEIGHT_M = (1.5, 150.0, "1.5m to 150m")
# TR 38.901 Table 7.4.1-1; UMi's and UMa's break point needs more than the environment's 1 m.
_UE_HEIGHT_M = {
    "inh": (1.0, 22.5, "1m to 22.5m"),
    "umi": (1.5, 22.5, "1.5m to 22.5m"),
    "uma": (1.5, 22.5, "1.5m to 22.5m"),
}


class TracePoint(Section):
    """SINR from a time on."""

    at: Duration
    sinr_up: Decibel
    sinr_down: Decibel

    @model_validator(mode="after")
    def _is_possible(self) -> TracePoint:
        if found := out_of_range(self, {"sinr_up": _SINR, "sinr_down": _SINR}):
            raise problems(found)
        return self


class Position(Section):
    """Place relative to the gNB, or velocity's components."""

    x: Length = 50.0
    y: Length = 0.0


class Velocity(Section):
    """Metres a second along the axes; `km/h` is taken too."""

    x: Speed = 0.0
    y: Speed = 0.0


class Geometry(Section):
    """A place in a TR 38.901 scenario, at time 0, and how it moves."""

    scenario: Literal["umi", "uma", "inh"] = Field("umi", description="Street canyon, urban macro, indoor office.")
    position: Position = Position()
    velocity: Velocity = Velocity()
    gnb_height: Length = 10.0
    ue_height: Length = 1.5
    line_of_sight: Literal["yes", "no", "drawn"] = Field("drawn", description="Drawn: by Table 7.4.2-1.")
    shadowing: bool = True
    fading: bool = True
    gnb_power: Power = Field(44.0, description="Over the whole carrier.")
    ue_power: Power = Field(23.0, description="Power class 3 (38.101-1 6.2.1).")
    antenna_gain: Decibel = 8.0
    gnb_noise_figure: Decibel = 5.0
    ue_noise_figure: Decibel = 9.0
    interference_margin: Decibel = Field(0.0, description="What other cells add to the noise.")

    @model_validator(mode="after")
    def _is_possible(self) -> Geometry:
        ranges = {"gnb_height": _GNB_HEIGHT_M, "ue_height": _UE_HEIGHT_M[self.scenario]}
        if found := out_of_range(self, ranges):
            raise problems(found)
        return self


class Interruption(Section):
    """A gap in which nothing passes between UE and cell; packets wait at both ends."""

    at: Duration
    duration: PositiveDuration
    cause: Literal["handover", "outage"] = "outage"


class UeRadio(Section):
    """Exactly one of a fixed SINR, a trace and a geometry."""

    sinr: Decibel | None = Field(None, description="Of both directions, over the whole carrier and for one layer.")
    sinr_up: Decibel | None = None
    sinr_down: Decibel | None = None
    trace: str | list[TracePoint] | None = Field(
        None, description="CSV file (columns t_s, sinr_up_db, sinr_down_db) or points; each holds until the next."
    )
    geometry: Geometry | None = None

    @model_validator(mode="after")
    def _one_radio(self) -> UeRadio:
        found: list[Finding] = []
        fixed = [key for key in ("sinr", "sinr_up", "sinr_down") if getattr(self, key) is not None]
        given = [*fixed[:1], *(key for key in ("trace", "geometry") if getattr(self, key) is not None)]
        if len(given) > 1:
            found.append(((given[1],), f"has {' and '.join(given)}", "one of sinr, trace and geometry"))
        for key in fixed:
            if not LOWEST_SINR_DB <= getattr(self, key) <= HIGHEST_SINR_DB:
                allowed = f"{LOWEST_SINR_DB:g}dB to {HIGHEST_SINR_DB:g}dB"
                found.append(((key,), f"{getattr(self, key):g} dB is outside what the model knows", allowed))
        if isinstance(self.trace, list):
            if not self.trace:
                found.append((("trace",), "has no point", "at least one point"))
            for index, (before, after) in enumerate(zip(self.trace, self.trace[1:], strict=False)):
                if after.at <= before.at:
                    what = f"{after.at / 1e9:g} s does not come after {before.at / 1e9:g} s"
                    found.append((("trace", index + 1, "at"), what, "times that rise from point to point"))
        if found:
            raise problems(found)
        return self


class UeGroup(UeRadio):
    """UEs of some clients, and their radio. Without any of sinr, trace and geometry the SINR is 20 dB."""

    clients: list[Name] = Field(default_factory=list, description="Names of client groups; none: the group's own name.")
    interruptions: list[Interruption] = Field(default_factory=list)

    @model_validator(mode="after")
    def _interruptions_follow_one_another(self) -> UeGroup:
        for index, (before, after) in enumerate(zip(self.interruptions, self.interruptions[1:], strict=False)):
            if after.at < before.at + before.duration:
                raise problem(
                    ("interruptions", index + 1, "at"), "begins before the last one has ended", "a later time"
                )
        return self


class FullBuffer(Section):
    """Always something to send."""

    kind: Literal["full_buffer"]


class ConstantRate(Section):
    """Bytes at an even rate."""

    kind: Literal["cbr"]
    rate: Rate


class PoissonBursts(Section):
    """Bursts of one size at random times; the mean rate is given."""

    kind: Literal["poisson"]
    rate: Rate
    burst: Size

    @model_validator(mode="after")
    def _can_be_simulated(self) -> PoissonBursts:
        bursts_per_s = self.rate / (8 * self.burst)
        if bursts_per_s > MOST_BURSTS_PER_S:
            what = f"makes {bursts_per_s:.3g} bursts a second of this rate"
            raise problem(("burst",), what, f"at most {MOST_BURSTS_PER_S:g} a second, or kind: cbr")
        return self


Traffic = Annotated[FullBuffer | ConstantRate | PoissonBursts, Field(discriminator="kind")]


class Background(UeRadio):
    """Other users of the cell; their traffic takes radio resources and goes nowhere."""

    count: int = Field(1, ge=0, le=1000)
    uplink: Traffic | None = None
    downlink: Traffic | None = None


class QosFlow(Section):
    """A bearer of its own for some packets of every UE. The first flow that matches takes a packet."""

    name: Name
    five_qi: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 69, 70, 79, 80, 85] = Field(
        9, description="TS 23.501 Table 5.7.4-1: its priority decides who is served first."
    )
    path: Name | None = Field(None, description="Packets to and from this path's server.")
    max_packet: Size | None = Field(None, description="Packets of at most this size, such as acknowledgements.")

    @property
    def priority(self) -> int:
        """Lower is served first."""
        return PRIORITY_OF_5QI[self.five_qi]
