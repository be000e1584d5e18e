"""Inline SVG: where the time goes, an interval, a request's parts. No scripts, no namespaces, no links."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cosim.results.parts import FINER_PARTS, contract_part, in_order

WIDTH = 1160
LABEL_WIDTH, LABEL_LETTERS = 130, 17
# Mean width of a letter of a label and of the smaller ones at an axis, px.
LETTER_WIDTH, TICK_LETTER_WIDTH = 6.8, 6.0
# Row and bar of a tier's own bar and of one that follows it, in px.
ROW, BAR = 38, 28
SECOND_ROW, SECOND_BAR = 30, 20
TIER_GAP = 12

PART_COLOURS = {
    "up_pool": "#c6dbef",
    "up_retry": "#d9a7b0",
    "up_connect": "#a6cde8",
    "up_transport": "#7fb8dc",
    "up_access": "#4292c6",
    "up_core": "#2b7bba",
    "up_wan": "#0b559f",
    "frontend": "#fdd0a2",
    "queue": "#bdbdbd",
    "prefill": "#f07818",
    "decode": "#4daf62",
    "egress": "#a8dba0",
    "down_transport": "#d5d3e8",
    "down_access": "#a5a1cd",
    "down_core": "#817cbb",
    "down_wan": "#5b3b98",
}
# Radio: teal on the way up, orchid on the way down; waits are pale, what repairs is dark.
PART_COLOURS |= dict(
    zip(
        (part.name for part in FINER_PARTS),
        (
            *("#d3f0ee", "#f6dff1"),  # sr_wait
            *("#b0e2df", "#ecc8e4"),  # grant_wait
            *("#86d0cb", "#deabd3"),  # queue
            *("#4fb3ad", "#cb85bf"),  # air
            *("#2a9791", "#b15fa4"),  # harq
            *("#127a75", "#934183"),  # rlc_recovery
            *("#0a5b57", "#6f2664"),  # pdcp_reorder
            *("#a3b8b7", "#bda8b9"),  # processing
        ),
        strict=True,
    )
)
OTHER_COLOUR = "#d4b9da"
TIER_COLOURS = ("#3f7fbf", "#e0606e", "#2a9145", "#b9a52c", "#3fb0cf", "#aa4499")
DASHES = ("", "7 3", "2 3", "9 3 2 3")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a waterfall: parts in ms, beside the bar's label; `second` sets it below the bar before it.

    `note` follows its length in the drawing.
    """

    label: str
    parts_ms: dict[str, float]
    second: bool = False
    note: str = ""

    @property
    def total_ms(self) -> float:
        """Length of the bar."""
        return sum(self.parts_ms.values())


def part_colour(name: str) -> str:
    """Fill of a part; a finer part without one has that of the part that it refines."""
    return PART_COLOURS.get(name) or PART_COLOURS.get(contract_part(name), OTHER_COLOUR)


def colour_of(place: int) -> tuple[str, str]:
    """Colour and dashes of the curve of the tier at a place."""
    return TIER_COLOURS[place % len(TIER_COLOURS)], DASHES[place // len(TIER_COLOURS) % len(DASHES)]


def ticks(low: float, high: float, about: int = 8) -> list[float]:
    """Round values in [low, high], 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    spacing = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.ceil(low / spacing - 1e-9), math.floor(high / spacing + 1e-9)
    return [round(k * spacing, 9) for k in range(first, last + 1)]


def waterfall(bars: Sequence[Bar]) -> str:
    """Bars of parts in ms, on one scale, in the order in which a request passes through them.

    A bar without parts is a row with its note.
    """
    if not bars:
        return ""
    longest_ms = max(bar.total_ms for bar in bars) or 1.0
    top = 6
    tops: list[float] = []
    y: float = top
    for place, bar in enumerate(bars):
        y += TIER_GAP if place and not bar.second else 0
        tops.append(y)
        y += SECOND_ROW if bar.second else ROW
    bottom, right = y, WIDTH - (160 if any(bar.note for bar in bars) else 80)
    scale = (right - LABEL_WIDTH) / longest_ms
    out = [open_svg("waterfall", bottom + 34, "Parts of the end-to-end latency of each tier, in ms")]
    for tick in ticks(0, longest_ms):
        x = LABEL_WIDTH + tick * scale
        out.append(line(x, top, x, bottom, "grid"))
        out.append(text(x, bottom + 16, f"{tick:g}", "tick", "middle"))
    out.append(text(right, bottom + 31, "ms", "tick", "end"))
    for bar, y in zip(bars, tops, strict=True):
        height = SECOND_BAR if bar.second else BAR
        middle = y + (SECOND_ROW if bar.second else ROW) / 2
        label, kind = shorten(bar.label, LABEL_LETTERS), "tick" if bar.second else "label"
        out.append(text(LABEL_WIDTH - 8, middle + 5, label, kind, "end", bar.label))
        at_ms = 0.0
        for name in in_order(bar.parts_ms):
            ms = bar.parts_ms[name]
            if ms <= 0:
                continue
            x, width = LABEL_WIDTH + at_ms * scale, ms * scale
            colour = part_colour(name)
            title = f"{bar.label} {name}: {ms:.3f} ms ({ms / bar.total_ms:.1%})"
            out.append(
                f'<rect class="seg" x="{x:.2f}" y="{middle - height / 2:.1f}" width="{width:.2f}" height="{height}" '
                f'fill="{colour}"><title>{escape(title)}</title></rect>'
            )
            if width >= 7 * len(name) + 8:
                out.append(
                    f'<text x="{x + width / 2:.2f}" y="{middle + 4:.1f}" class="inside" text-anchor="middle" '
                    f'fill="{ink(colour)}">{escape(name)}</text>'
                )
            at_ms += ms
        words = f"{bar.total_ms:.1f} ms{bar.note}" if bar.parts_ms else bar.note
        out.append(text(LABEL_WIDTH + at_ms * scale + 6, middle + 5, words, "value"))
    return "".join([*out, "</svg>"])


def strip(parts_ms: dict[str, float], longest_ms: float) -> str:
    """A request's parts as a small bar on a scale that ends at `longest_ms`; empty where there is nothing to draw."""
    if longest_ms <= 0 or not parts_ms:
        return ""
    width, height = 220, 14
    out = [
        f'<svg class="strip" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(', '.join(f'{name} {parts_ms[name]:.1f} ms' for name in in_order(parts_ms)))}</title>"
    ]
    x = 0.0
    for name in in_order(parts_ms):
        length = parts_ms[name] / longest_ms * width
        out.append(f'<rect x="{x:.2f}" y="1" width="{length:.2f}" height="12" fill="{part_colour(name)}"/>')
        x += length
    return "".join([*out, "</svg>"])


def interval(rate: float | None, low: float | None, high: float | None) -> str:
    """A rate as a bar from 0 to 1 with its interval as a line; empty where it is undefined."""
    if rate is None or low is None or high is None:
        return ""
    width, height = 160, 14
    left, right = low * width, high * width
    return (
        f'<svg class="interval" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{rate:.1%}, {low:.1%} to {high:.1%}</title>"
        f'<rect class="track" x="0" y="3" width="{width}" height="8"/>'
        f'<rect class="rate" x="0" y="3" width="{rate * width:.1f}" height="8"/>'
        f'<path class="whisker" d="M{left:.1f} 7H{right:.1f}M{left:.1f} 3v8M{right:.1f} 3v8"/>'
        "</svg>"
    )


def open_svg(name: str, height: float, label: str, width: float = WIDTH) -> str:
    """The start of a drawing; its label is what a screen reader says."""
    return (
        f'<svg class="chart {name}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'role="img"><title>{escape(label)}</title>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of a class of the style sheet."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(
    x: float, y: float, words: str, kind: str, anchor: str = "start", full: str = "", letter: float = LETTER_WIDTH
) -> str:
    """A line of text of a class of the style sheet; where it is not `full`, that is its tooltip."""
    title = f"<title>{escape(full)}</title>" if full and full != words else ""
    # Shortened words of wide letters are squeezed into the room that they were shortened for.
    fit = f' textLength="{letter * len(words):g}" lengthAdjust="spacingAndGlyphs"' if title else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{fit}>{title}{escape(words)}</text>'


def small(x: float, y: float, words: str, room: float, anchor: str = "start") -> str:
    """A line of the small text at an axis, shortened to fit into so many px."""
    fitting = shorten(words, max(int(room / TICK_LETTER_WIDTH), 3))
    return text(x, y, fitting, "tick", anchor, words, TICK_LETTER_WIDTH)


def shorten(words: str, letters: int) -> str:
    """Words of at most so many letters: the beginning and the end of longer ones, which tell names apart."""
    if len(words) <= letters:
        return words
    end = (letters - 1) // 2
    return f"{words[: letters - 1 - end]}\u2026{words[-end:]}"


def ink(colour: str) -> str:
    """Black or white, whichever is read better on a colour.

    Relative luminance, with the weights of ITU-R BT.709 and a plain square for the gamma.
    """
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "#000" if 0.2126 * red**2 + 0.7152 * green**2 + 0.0722 * blue**2 > 0.2 else "#fff"
