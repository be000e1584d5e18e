"""Where the time goes at each point: mean parts of the latency of a tier as stacked bars on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cosim.results.charts import TICK_LETTER_WIDTH, WIDTH, line, open_svg, part_colour, small, text, ticks
from cosim.results.parts import in_order

ROW, BAR = 20, 14
LABEL_LETTERS = 60
# What follows a bar: its length and a note, px.
NOTE_WIDTH = 190


@dataclass(frozen=True, slots=True)
class PointBar:
    """A point's mean parts in ms, empty where no run answered a request; `note` follows the bar's length."""

    point: int
    label: str
    parts_ms: dict[str, float]
    note: str = ""

    @property
    def total_ms(self) -> float:
        """Length of the bar."""
        return sum(self.parts_ms.values())


def stacked(bars: Sequence[PointBar], tier: str) -> str:
    """The bars as SVG, one row each, in the order given; empty without bars."""
    if not bars:
        return ""
    letters = min(max(len(bar.label) for bar in bars), LABEL_LETTERS)
    left, right = TICK_LETTER_WIDTH * letters + 12, WIDTH - NOTE_WIDTH
    longest_ms = max(bar.total_ms for bar in bars) or 1.0
    scale = (right - left) / longest_ms
    bottom = 4 + ROW * len(bars)
    out = [open_svg("stacked", bottom + 34, f"Mean parts of the end-to-end latency of {tier} by point, in ms")]
    for tick in ticks(0, longest_ms):
        x = left + tick * scale
        out += [line(x, 4, x, bottom, "grid"), text(x, bottom + 16, f"{tick:g}", "tick", "middle")]
    out.append(text((left + right) / 2, bottom + 31, "ms, mean over counted ok requests", "tick", "middle"))
    for number, bar in enumerate(bars):
        y = 4 + number * ROW
        out.append(small(left - 8, y + 14, bar.label, left - 12, "end"))
        at_ms = 0.0
        for name in in_order(bar.parts_ms):
            ms = bar.parts_ms[name]
            if ms <= 0:
                continue
            title = escape(f"{name}: {ms:.3f} ms ({ms / bar.total_ms:.1%})")
            out.append(
                f'<rect class="seg" x="{left + at_ms * scale:.2f}" y="{y + (ROW - BAR) / 2:g}" '
                f'width="{ms * scale:.2f}" height="{BAR}" fill="{part_colour(name)}"><title>{title}</title></rect>'
            )
            at_ms += ms
        words = f"{bar.total_ms:.1f} ms" if bar.parts_ms else "no answer"
        words += f", {bar.note}" if bar.note else ""
        out.append(text(left + at_ms * scale + 6, y + 14, words, "tick"))
    return "".join([*out, "</svg>"])
