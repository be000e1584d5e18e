"""Inline SVG: where the time goes, the distribution of latency, an interval. No scripts, no namespaces, no links."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from cosim.results.parts import in_order, part_of

WIDTH = 1160
LABEL_WIDTH = 110
CURVE_POINTS = 400

PART_COLOURS = {
    "up_pool": "#c6dbef",
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
OTHER_COLOUR = "#d4b9da"
TIER_COLOURS = ("#3f7fbf", "#e0606e", "#2a9145", "#b9a52c", "#3fb0cf", "#aa4499")
DASHES = ("", "7 3", "2 3", "9 3 2 3")


def part_colour(name: str) -> str:
    """Fill of a part; a finer part has the colour of the part that it refines."""
    return PART_COLOURS.get(part_of(name).name, OTHER_COLOUR)


def ticks(low: float, high: float, about: int = 8) -> list[float]:
    """Round values in [low, high], 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    spacing = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.ceil(low / spacing - 1e-9), math.floor(high / spacing + 1e-9)
    return [round(k * spacing, 9) for k in range(first, last + 1)]


def waterfall(tiers: dict[str, dict[str, float]]) -> str:
    """One bar per tier of its mean parts in ms, in the order in which a request passes through them."""
    totals = {name: sum(parts.values()) for name, parts in tiers.items()}
    longest_ms = max(totals.values(), default=0.0)
    if longest_ms <= 0:
        return ""
    row, bar, top = 44, 30, 8
    bottom = top + row * len(tiers)
    right = WIDTH - 80
    scale = (right - LABEL_WIDTH) / longest_ms
    out = [_open("waterfall", bottom + 34, "Mean parts of the end-to-end latency of each tier")]
    for tick in ticks(0, longest_ms):
        x = LABEL_WIDTH + tick * scale
        out.append(_line(x, top, x, bottom, "grid"))
        out.append(_text(x, bottom + 16, f"{tick:g}", "tick", "middle"))
    out.append(_text(right, bottom + 31, "ms", "tick", "end"))
    for i, (tier, parts) in enumerate(tiers.items()):
        y = top + i * row + (row - bar) / 2
        out.append(_text(LABEL_WIDTH - 8, y + bar / 2 + 5, tier, "label", "end"))
        at_ms = 0.0
        for name in in_order(parts):
            ms = parts[name]
            if ms <= 0:
                continue
            x, width = LABEL_WIDTH + at_ms * scale, ms * scale
            colour = part_colour(name)
            title = f"{tier} {name}: {ms:.3f} ms ({ms / totals[tier]:.1%})"
            out.append(
                f'<rect class="seg" x="{x:.2f}" y="{y:.1f}" width="{width:.2f}" height="{bar}" fill="{colour}">'
                f"<title>{escape(title)}</title></rect>"
            )
            if width >= 7 * len(name) + 8:
                out.append(
                    f'<text x="{x + width / 2:.2f}" y="{y + bar / 2 + 4:.1f}" class="inside" text-anchor="middle" '
                    f'fill="{_ink(colour)}">{escape(name)}</text>'
                )
            at_ms += ms
        out.append(_text(LABEL_WIDTH + at_ms * scale + 6, y + bar / 2 + 5, f"{totals[tier]:.1f} ms", "value"))
    return "".join([*out, "</svg>"])


def cdf(curves: Mapping[str, tuple[Sequence[float], int]], deadlines_ms: Mapping[str, float]) -> str:
    """Distribution of latency: per tier the sorted latencies in ms of ok requests, and of how many requests.

    A request that is not ok never arrives, so its curve ends below 1; its height at a deadline is the hit rate.
    """
    if not any(values for values, _ in curves.values()):
        return ""
    tails = [values[min(int(len(values) * 0.995), len(values) - 1)] for values, _ in curves.values() if len(values)]
    longest_ms = 1.05 * max([*tails, *deadlines_ms.values()])
    height, top, left, right = 330, 34, 60, WIDTH - 160
    bottom = top + height

    def x_of(ms: float) -> float:
        return left + min(ms / longest_ms, 1.0) * (right - left)

    def y_of(share: float) -> float:
        return bottom - share * height

    out = [_open("cdf", bottom + 40, "Share of requests answered within a time")]
    for share in (0.0, 0.25, 0.5, 0.75, 0.9, 1.0):
        out.append(_line(left, y_of(share), right, y_of(share), "grid"))
        out.append(_text(left - 8, y_of(share) + 4, f"{share:.0%}", "tick", "end"))
    for tick in ticks(0, longest_ms, 10):
        out.append(_line(x_of(tick), bottom, x_of(tick), bottom + 5, "grid"))
        out.append(_text(x_of(tick), bottom + 18, f"{tick:g}", "tick", "middle"))
    out.append(_text((left + right) / 2, bottom + 35, "e2el from the scheduled time, ms", "tick", "middle"))
    level = 0
    previous_x = -math.inf
    for name, deadline_ms in sorted(deadlines_ms.items(), key=lambda item: (item[1], item[0])):
        x = x_of(deadline_ms)
        # Labels of neighbouring deadlines go to two levels so that they do not cover one another.
        level = 1 - level if x - previous_x < 130 else 0
        previous_x = x
        out.append(_line(x, top - 4, x, bottom, "deadline"))
        out.append(_text(x, top - 8 - 12 * level, f"{name} {deadline_ms:g} ms", "tick", "middle"))
    ends: list[tuple[float, str, str]] = []
    for i, (tier, (values, n)) in enumerate(curves.items()):
        if not values or not n:
            continue
        colour, dash = TIER_COLOURS[i % len(TIER_COLOURS)], DASHES[i // len(TIER_COLOURS) % len(DASHES)]
        path = [f"M{x_of(values[0]):.1f} {y_of(0):.1f}"]
        count = min(len(values), CURVE_POINTS)
        for point in range(count):
            k = (point + 1) * len(values) // count - 1
            path.append(f"H{x_of(values[k]):.1f}V{y_of((k + 1) / n):.1f}")
        path.append(f"H{right:.1f}")
        style = f' stroke-dasharray="{dash}"' if dash else ""
        out.append(f'<path class="curve" d="{"".join(path)}" stroke="{colour}"{style}/>')
        ends.append((y_of(len(values) / n), f"{tier} ({len(values) / n:.1%} ok)", colour))
    y_label = -math.inf
    for y, label, colour in sorted(ends):
        y_label = max(y, y_label + 16)
        out.append(f'<text class="value" x="{right + 8}" y="{y_label + 4:.1f}" fill="{colour}">{escape(label)}</text>')
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


def _open(name: str, height: float, label: str) -> str:
    return (
        f'<svg class="chart {name}" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" '
        f'role="img" aria-label="{escape(label)}">'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _ink(colour: str) -> str:
    """Black or white, whichever is read better on a colour.

    Relative luminance, with the weights of ITU-R BT.709 and a plain square for the gamma.
    """
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "#000" if 0.2126 * red**2 + 0.7152 * green**2 + 0.0722 * blue**2 > 0.2 else "#fff"
