"""Cameras that ask about each frame, every period."""

from __future__ import annotations

import zlib

from cosim.clients.backoff import Backoff
from cosim.clients.base import OnOverrun, Question, ask
from cosim.clients.body import chat_body, text_of
from cosim.clients.images import FrameSource
from cosim.clients.streams import stream
from cosim.scenario.clients import Frames


class FramesClient:
    """One camera from `start_ns` to `end_ns`: frame k is due at phase + k * period * (1 + drift) + capture jitter.

    Phase, drift and jitter are drawn by seed, so that a period which divides the radio's does not lock to it.
    """

    closed_loop = False

    def __init__(
        self,
        group: Frames,
        index: int,
        *,
        seed: int,
        start_ns: int,
        end_ns: int,
        model: str,
        source: FrameSource | None,
    ) -> None:
        self.name = f"{group.name}-{index}"
        self.group = group.name
        self.tier = group.tier
        self.on_overrun: OnOverrun = group.on_overrun
        self._settings = group
        self._end_ns = end_ns
        self._model = model
        self._source = source
        self.backoff = Backoff(seed, self.name)
        clock = stream(seed, "frames-clock", self.name)
        self._phase_ns = start_ns + int(clock.integers(0, group.period))
        self._period_ns = group.period * (1 + clock.uniform(-group.drift_ppm, group.drift_ppm) * 1e-6)
        self._jitter = stream(seed, "frames-jitter", self.name)
        self._words = stream(seed, "frames-text", self.name)
        self._count = 0
        self._last_ns = start_ns

    def next_question(self, not_before_ns: int) -> Question | None:
        """The next frame's; None after the client's end."""
        del not_before_ns
        index = self._count
        nominal_ns = self._phase_ns + round(index * self._period_ns)
        if nominal_ns >= self._end_ns:
            return None
        self._count += 1
        jitter_ns = round(self._jitter.normal(0, self._settings.jitter)) if self._settings.jitter else 0
        # Capture times keep their order, and none lies before the client is there.
        self._last_ns = max(self._last_ns, nominal_ns + jitter_ns)
        text = text_of(self._settings.prompt_tokens, self._words)
        return ask(
            self._settings,
            client=self.name,
            index=index,
            t_scheduled_ns=self._last_ns,
            prompt_tokens=self._settings.prompt_tokens,
            output_tokens=self._settings.output_tokens,
            make_body=lambda: self._body(index, text),
        )

    def _body(self, index: int, text: str) -> bytes:
        jpeg = self._source.jpeg(index) if self._source is not None else None
        seed = zlib.crc32(f"{self.name}/{index}".encode())
        return chat_body(model=self._model, text=text, output_tokens=self._settings.output_tokens, seed=seed, jpeg=jpeg)
