"""Camera frames as real JPEG: synthetic ones that all differ, or a folder's."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cosim.clients.streams import stream
from cosim.entry_store import EntryStore


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
        self._shape = (height, width)
        self._quality = quality
        self._detail = detail
        self._rng = stream(seed, "frames", client)

    @cached_property
    def _scene(self) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
        """The scene, and by how much it is shifted from frame to frame."""
        height, width = self._shape
        noise = self._rng.integers(0, 256, (height, width, 3), dtype=np.uint8).astype(np.float32)
        ramp = np.linspace(0, 255, width, dtype=np.float32)[None, :, None]
        hue = self._rng.uniform(0.3, 1.0, 3).astype(np.float32)
        scene = np.clip(self._detail * noise + (1 - self._detail) * ramp * hue, 0, 255).astype(np.uint8)
        down, right = self._rng.integers(1, 97, 2)
        return scene, (int(down), int(right))

    def jpeg(self, index: int) -> bytes:
        """The encoded frame; equal arguments give equal bytes with one version of the encoder."""
        from PIL import Image

        scene, (down, right) = self._scene
        shift = (down * (index + 1) % scene.shape[0], right * (index + 1) % scene.shape[1])
        pixels = np.roll(scene, shift, (0, 1))
        # A counter in the corner: shifts repeat after some thousand frames.
        side = 8 if pixels.shape[1] >= 8 * 32 else 4
        bits = np.unpackbits(np.array([index], dtype=">u4").view(np.uint8)) * np.uint8(255)
        per_row = pixels.shape[1] // side
        rows = np.zeros((-(-bits.size // per_row), per_row), np.uint8)
        rows.flat[: bits.size] = bits
        squares = rows.repeat(side, axis=0).repeat(side, axis=1)
        pixels[: squares.shape[0], : squares.shape[1]] = squares[:, :, None]
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=self._quality)
        return buffer.getvalue()


class KeptFrames:
    """Frames of a source that are kept between runs. `key` says all that they depend on but their number."""

    def __init__(self, source: FrameSource, store: EntryStore, key: Mapping[str, object]) -> None:
        import PIL

        self._source = source
        self._store = store
        code = Path(__file__).read_text()
        self._key = json.dumps([key, code, PIL.__version__, np.__version__], sort_keys=True, default=repr).encode()

    def jpeg(self, index: int) -> bytes:
        """The encoded frame."""
        key = self._key + str(index).encode()
        kept = self._store.get(key)
        if kept is None:
            kept = self._source.jpeg(index)
            self._store.put(key, kept)
        return kept


class FolderFrames:
    """The JPEG files of a folder in order of name, from the start again after the last."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))

    def __len__(self) -> int:
        return len(self._files)

    def jpeg(self, index: int) -> bytes:
        """The file's bytes."""
        return self._files[index % len(self._files)].read_bytes()
