"""A profile as an engine sees it: what a step, a front end and a chunk of egress take on the hardware it stands for."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

from cosim.bridge.engine_messages import ProfiledExecutor, Signature

ChunkPosition = Literal["first", "next", "last"]
ChargeSource = Literal["interpolated", "extrapolated", "predicted"]


class Charge(NamedTuple):
    """A duration that was not measured now, and what it rests on."""

    duration_ns: int
    source: ChargeSource


class Profile(Protocol):
    """Durations by shape. `draw` is uniform in [0, 1): the quantile of what was measured; a roofline ignores it.

    `label` names the hardware and the quantisation. Durations are before `time_scale`.
    """

    label: str

    @property
    def executor(self) -> ProfiledExecutor:
        """What the engine host needs to be told instead of hardware."""

    def step(self, signature: Signature, draw: float) -> Charge:
        """An engine core's step: schedule, forward, sample."""

    def frontend(self, *, prompt_tokens: int, encoder_tokens: int, images: int, draw: float) -> Charge:
        """One request's front end: parsing, image processing, chat template, tokeniser."""

    def egress(self, position: ChunkPosition, draw: float) -> Charge:
        """Output processing and SSE encoding of one chunk; `last` also where it is the only one."""

    def describe(self) -> dict[str, Any]:
        """What the manifest says of the profile: kind, hardware, quantisation, file and its hash, what was measured."""
