"""What a value of a link may be besides a plain number: distributions, bursts, queue disciplines, imported traces."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from cosim.scenario.section import Section, problem
from cosim.scenario.series import Opportunities, RttSamples
from cosim.scenario.units import Duration, PositiveDuration, Rate, Ratio, Size

LEAST_SHAPE, GREATEST_SHAPE = 0.05, 1000.0
LONGEST_INTERVAL_NS = 3600 * 10**9


class GammaJitter(Section):
    """A random extra delay, gamma-distributed; shape 1 is exponential, a small one mostly nothing."""

    kind: Literal["gamma"]
    mean: Duration
    shape: float = Field(1.0, ge=LEAST_SHAPE, le=GREATEST_SHAPE, description="Variance is mean^2 / shape.")
    hold: Duration = Field(0, description="How long a draw stands for all packets; 0: each packet has its own.")

    @model_validator(mode="after")
    def _ends(self) -> GammaJitter:
        if self.hold > LONGEST_INTERVAL_NS:
            raise problem(("hold",), "is longer than a link can hold a draw", "at most 1h")
        return self


class _Imported(Section):
    """A value from a file, which the resolved scenario holds itself."""

    file: str | None = None
    read_from: str | None = Field(None, description="Written by cosim: the file that was taken in.")

    def _check_one_of(self, key: str) -> None:
        given = getattr(self, key)
        if (self.file is None) == (given is None):
            what = f"has {'neither file nor' if given is None else 'both file and'} {key}"
            raise problem(("file",) if self.file is not None else (), what, f"one of file and {key}")


class RttTrace(_Imported):
    """Round-trip times over time; each holds until the next, and after the last the trace begins again."""

    kind: Literal["trace"]
    file: str | None = Field(
        None, description="A CSV file with columns such as t_s and rtt_ms, or what `ping` printed."
    )
    time_column: str | None = Field(None, description="Name of a CSV's column of times, if it is none of the usual.")
    rtt_column: str | None = Field(None, description="Name of a CSV's column of round-trip times, likewise.")
    interval: PositiveDuration = Field(
        1_000_000_000, description="Between pings whose output has no times, as `ping` without -D."
    )
    samples: RttSamples | None = Field(None, description="Time in s and round-trip time in ms of each: `0 64.9, 1 65`.")
    lost: int = Field(0, ge=0, description="Written by cosim: samples without an answer, which were left out.")

    @model_validator(mode="after")
    def _one_source(self) -> RttTrace:
        self._check_one_of("samples")
        return self

    @property
    def most_above_least_ns(self) -> int:
        """The greatest round-trip time less the least; 0 while the file is not read."""
        rtts_ns = [rtt_ns for _, rtt_ns in self.samples or ()]
        return max(rtts_ns) - min(rtts_ns) if rtts_ns else 0

    @property
    def period_ns(self) -> int:
        """After this time it begins again: the last sample holds for as long as the one before it."""
        assert self.samples is not None
        last_ns = self.samples[-1][0]
        return last_ns + (last_ns - self.samples[-2][0]) if len(self.samples) > 1 else 0


class MahimahiRate(_Imported):
    """The times at which a link could deliver 1504 bytes, as mahimahi records them; after the last they begin again."""

    kind: Literal["mahimahi"]
    file: str | None = Field(
        None, description="A packet-delivery trace of mahimahi: a line with ms for each 1504 bytes."
    )
    opportunities: Opportunities | None = Field(
        None, description="Gaps in ms between the times, each with `*n` if there are n at once: `0 1*3 2`."
    )

    @model_validator(mode="after")
    def _one_source(self) -> MahimahiRate:
        self._check_one_of("opportunities")
        return self


class GilbertElliott(Section):
    """Loss in bursts: a chain of two states that may change after each packet (Elliott 1963)."""

    kind: Literal["gilbert-elliott"]
    good_to_bad: Ratio = Field(description="Chance of each packet that the good state turns bad.")
    bad_to_good: Ratio = Field(description="Chance of each packet that the bad state turns good.")
    loss_bad: Ratio = 1.0
    loss_good: Ratio = 0.0

    @model_validator(mode="after")
    def _ends(self) -> GilbertElliott:
        if self.bad_to_good == 0:
            raise problem(("bad_to_good",), "a burst would never end", "more than 0%")
        return self

    @property
    def mean_loss(self) -> float:
        """Share of packets lost in the long run: the bad state has the share good_to_bad of both chances' sum."""
        bad = self.good_to_bad / (self.good_to_bad + self.bad_to_good)
        return bad * self.loss_bad + (1 - bad) * self.loss_good


class FqCodel(Section):
    """Flow queues in round robin, each with CoDel (RFC 8290); defaults are Linux's."""

    kind: Literal["fq-codel"]
    target: PositiveDuration = Field(5_000_000, description="Delay that CoDel leaves standing.")
    interval: PositiveDuration = Field(100_000_000, description="How long it is watched.")
    flows: int = Field(1024, ge=1, le=65_536)
    quantum: Size = Field(1514, description="Bytes of a flow in each round.")
    packets: int = Field(10_240, ge=1, le=1_000_000, description="Limit of all queues together.")

    @model_validator(mode="after")
    def _is_possible(self) -> FqCodel:
        if self.target > self.interval:
            raise problem(("target",), "is longer than the interval", f"at most {self.interval / 1e6:g}ms")
        if self.interval > LONGEST_INTERVAL_NS:
            raise problem(("interval",), "is longer than CoDel can wait", "at most 1h")
        if not 256 <= self.quantum <= 65_536:
            raise problem(("quantum",), f"{self.quantum} bytes are out of range", "256B to 65536B")
        return self


def _plain_or_section(value: Any) -> str:
    return "section" if isinstance(value, (dict, Section)) else "plain"


def _discipline(value: Any) -> Any:
    """`fq-codel` for one with Linux's values, `{kind: fifo}` for the plain word."""
    kind = value.get("kind") if isinstance(value, dict) else value
    if kind == "fq-codel" and isinstance(value, str):
        return {"kind": kind}
    if kind == "fifo" and isinstance(value, dict) and len(value) == 1:
        return kind
    if isinstance(kind, str) and kind not in ("fifo", "fq-codel"):
        raise problem((), f"unknown discipline {kind!r}", ("fifo", "fq-codel"))
    return value


_CHOICE = Discriminator(_plain_or_section)
Delay = Annotated[Annotated[Duration, Tag("plain")] | Annotated[RttTrace, Tag("section")], _CHOICE]
Jitter = Annotated[
    Annotated[Duration, Tag("plain")] | Annotated[GammaJitter | RttTrace, Field(discriminator="kind"), Tag("section")],
    _CHOICE,
]
LinkRate = Annotated[Annotated[Rate, Tag("plain")] | Annotated[MahimahiRate, Tag("section")], _CHOICE]
Loss = Annotated[Annotated[Ratio, Tag("plain")] | Annotated[GilbertElliott, Tag("section")], _CHOICE]
Discipline = Annotated[
    Annotated[Literal["fifo"], Tag("plain")] | Annotated[FqCodel, Tag("section")],
    _CHOICE,
    BeforeValidator(_discipline),
]
