"""One thing that a run's numbers rest on, and the kinds of such things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "executed",
    "repeated",
    "profiled",
    "extrapolated",
    "predicted",
    "constant",
    "charged",
    "emulated",
    "idealised",
    "left out",
    "load",
]

KINDS = {
    "executed": "run for real on this machine and timed",
    "repeated": "recorded by an earlier run and used again",
    "profiled": "drawn from measurements of a profile, not executed in this run",
    "extrapolated": "charged past what a profile measured",
    "predicted": "computed by a formula from data of the hardware, not measured",
    "constant": "a value of the scenario",
    "charged": "measured, then counted as the scenario says",
    "emulated": "computed packet by packet",
    "idealised": "computed from a simpler model",
    "left out": "costs nothing here, does in a deployment",
    "load": "how requests are issued",
}


# What a figure of a link rests on, the firmest first.
LINK_KINDS = ("measured", "trace", "assumption", "scenario")


@dataclass(frozen=True, slots=True)
class Ground:
    """One thing that the numbers rest on; `kind` is a key of KINDS."""

    subject: str
    kind: Kind
    text: str
