"""A recorded profile: durations drawn from measured samples, interpolated between measured shapes.

Steps are of three families, each a `Surface` of its own, since other code runs in them: batches that only decode, that
only prefill, and mixed ones. Features, none of which can make a step shorter:

* of every batch: its tokens, padded to the next CUDA-graph size where a graph is used;
* of prefills: sequences, pairs of query and key of their attention, encoder tokens, images;
* of decodes: their context tokens, and in a mixed batch all its sequences: as the engine has so many seats, of which
  either takes one, batches with every seat taken bound all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from cosim.bridge.engine_messages import ProfiledExecutor, Signature
from cosim.profile.base import Charge, ChunkPosition
from cosim.profile.graphs import padding
from cosim.profile.recorded_file import RecordedFile
from cosim.profile.surface import Drawn, Shape, Surface

Family = str
FAMILIES: tuple[Family, ...] = ("decode", "prefill", "mixed")


class RecordedProfile:
    """What was measured on some hardware; see `cosim.profile.base.Profile`."""

    def __init__(self, recorded: RecordedFile, executor: ProfiledExecutor) -> None:
        self.label = recorded.header.label
        self._recorded = recorded
        self._executor = executor
        self._steps = {family: surface for family in FAMILIES if (surface := self._surface(family)) is not None}
        self._frontend = Surface(
            [_frontend_shape(line.prompt_tokens, line.encoder_tokens, line.images) for line in recorded.frontends],
            [line.durations_ns for line in recorded.frontends],
            _frontend_terms,
        )
        self._egress = {line.position: line.durations_ns for line in recorded.egress}

    @property
    def executor(self) -> ProfiledExecutor:
        """What the engine host needs to be told instead of hardware."""
        return self._executor

    def step(self, signature: Signature, draw: float) -> Charge:
        """An engine core's step; a family that was not measured is extrapolated from the nearest that was."""
        family = family_of(signature)
        measured = self._steps.get(family)
        if measured is not None:
            return _charge(measured.draw(self._shape(signature, family), draw))
        parts = [surface.draw(self._shape(signature, name), draw) for name, surface in self._steps.items()]
        return Charge(max(part.duration_ns for part in parts), "extrapolated")

    def frontend(self, *, prompt_tokens: int, encoder_tokens: int, images: int, draw: float) -> Charge:
        """One request's front end."""
        return _charge(self._frontend.draw(_frontend_shape(prompt_tokens, encoder_tokens, images), draw))

    def egress(self, position: ChunkPosition, draw: float) -> Charge:
        """One chunk's output processing and SSE encoding."""
        samples = self._egress[position]
        return Charge(samples[int(draw * len(samples))], "interpolated")

    def describe(self) -> dict[str, Any]:
        """What was measured, on what, and how well it predicts its own shapes when they are left out."""
        header = self._recorded.header
        plain: dict[str, Any] = msgspec.to_builtins(header)
        kept = {key: value for key, value in plain.items() if key not in ("grids", "model", "kind")}
        return kept | {
            "kind": "recorded",
            "file": self._recorded.path.name,
            "sha256": self._recorded.digest,
            "steps": {family: _summary(surface) for family, surface in self._steps.items()},
            "frontend": _summary(self._frontend),
        }

    def _surface(self, family: Family) -> Surface | None:
        lines = [line for line in self._recorded.steps if family_of(line.signature) == family]
        if not lines:
            return None
        shapes = [self._shape(line.signature, family) for line in lines]
        # Which kernels decode hangs on the number of rows, so that a batch of three may be faster than one of two.
        return Surface(shapes, [line.durations_ns for line in lines], _TERMS[family], grouped=family == "decode")

    def _shape(self, signature: Signature, family: Family) -> Shape:
        engine = self._recorded.header.engine
        tokens = padding(
            signature,
            mode=engine.cudagraph_mode,
            sizes=engine.cudagraph_capture_sizes,
            max_num_seqs=engine.max_num_seqs,
        ).tokens
        prefill = (
            signature.prefill_sequences,
            signature.prefill_attention,
            signature.encoder_tokens,
            signature.images,
        )
        if family == "decode":
            return (tokens, signature.decode_context_tokens)
        if family == "prefill":
            return (tokens, *prefill)
        sequences = signature.prefill_sequences + signature.decode_sequences
        return (tokens, *prefill, sequences, signature.decode_context_tokens)


def family_of(signature: Signature) -> Family:
    """Which of the three families a batch is of."""
    if signature.prefill_tokens == 0:
        return "decode"
    return "mixed" if signature.decode_sequences else "prefill"


def _decode_terms(shape: Shape) -> Sequence[float]:
    return (1.0, *shape)


def _prefill_terms(shape: Shape) -> Sequence[float]:
    # Attention within an image grows with the square of its tokens.
    encoder, images = shape[3], shape[4]
    return (1.0, *shape, encoder * encoder / max(images, 1.0))


def _frontend_terms(shape: Shape) -> Sequence[float]:
    return (1.0, *shape)


_TERMS = {"decode": _decode_terms, "prefill": _prefill_terms, "mixed": _prefill_terms}


def _frontend_shape(prompt_tokens: int, encoder_tokens: int, images: int) -> Shape:
    return (prompt_tokens, encoder_tokens, images)


def _charge(drawn: Drawn) -> Charge:
    return Charge(drawn.duration_ns, "interpolated" if drawn.inside else "extrapolated")


def _summary(surface: Surface) -> dict[str, Any]:
    errors = np.abs(surface.leave_one_out())
    known = errors[np.isfinite(errors)]
    return {
        "shapes": len(surface.medians),
        "samples": sum(len(values) for values in surface.samples),
        "leave_one_out": {
            "median": float(np.median(known)) if len(known) else None,
            "p90": float(np.quantile(known, 0.9)) if len(known) else None,
        },
    }
