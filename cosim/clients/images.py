"""Camera frames as real JPEG: synthetic ones that all differ, or a folder's."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Protocol

import numpy as np

from cosim.clients.streams import stream


class FrameSource(Protocol):
    """Frame by number."""

    def jpeg(self, index: int) -> bytes:
        """The encoded frame."""


class SyntheticFrames:
    """Frames of a moving scene: a gradient, and noise whose share is `detail`, shifted from frame to frame.

    Every frame of every client differs, so that no cache of images or prefixes answers for it. The noise is drawn
    once and shifted because drawing it anew would take longer than encoding it.
    """

    def __init__(self, *, width: int, height: int, quality: int, detail: float, seed: int, client: str) -> None:
        from PIL import Image

        self._image = Image
        self._quality = quality
        rng = stream(seed, "frames", client)
        noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8).astype(np.float32)
        ramp = np.linspace(0, 255, width, dtype=np.float32)[None, :, None]
        hue = rng.uniform(0.3, 1.0, 3).astype(np.float32)
        self._scene = np.clip(detail * noise + (1 - detail) * ramp * hue, 0, 255).astype(np.uint8)
        self._shifts = rng.integers(1, 97, 2)

    def jpeg(self, index: int) -> bytes:
        """The encoded frame; equal arguments give equal bytes with one version of the encoder."""
        down, right = (int(shift) * (index + 1) for shift in self._shifts)
        pixels = np.roll(self._scene, (down % self._scene.shape[0], right % self._scene.shape[1]), (0, 1))
        # A counter in the corner: shifts repeat after some thousand frames.
        side = 8 if pixels.shape[1] >= 8 * 32 else 4
        bits = np.unpackbits(np.array([index], dtype=">u4").view(np.uint8)) * np.uint8(255)
        bits.resize(-(-bits.size // (pixels.shape[1] // side)), pixels.shape[1] // side)
        squares = bits.repeat(side, axis=0).repeat(side, axis=1)
        pixels[: squares.shape[0], : squares.shape[1]] = squares[:, :, None]
        buffer = io.BytesIO()
        self._image.fromarray(pixels).save(buffer, "JPEG", quality=self._quality)
        return buffer.getvalue()


class FolderFrames:
    """The JPEG files of a folder in order of name, from the start again after the last."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))

    def __len__(self) -> int:
        return len(self._files)

    def jpeg(self, index: int) -> bytes:
        """The file's bytes."""
        return self._files[index % len(self._files)].read_bytes()
