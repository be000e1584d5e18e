"""The distribution of latency: the share of a tier's counted requests that were answered within a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from cosim.clock import NS_PER_MS
from cosim.results.charts import WIDTH, colour_of, line, open_svg, shorten, text, ticks
from cosim.results.population import OK_OUTCOMES, OUTCOMES, Population, column
from cosim.results.statistics import percentile_interval, unbounded_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CURVE_POINTS = 400
QUANTILES = (0.5, 0.9, 0.95, 0.99)
# Marks of requests censored at nearly the same time would cover one another, px.
MARK_GAP = 4
# Of a tier or a class; longer names are shortened.
NAME_LETTERS = 11
HEIGHT, TOP, LEFT, RIGHT = 330, 34, 60, WIDTH - 160
BOTTOM = TOP + HEIGHT


@dataclass(frozen=True, slots=True)
class Distribution:
    """`e2el_scheduled` of a tier's counted requests in ms, sorted; those that their client cancelled are left out.

    `answered` holds the ok ones. `censored` timed out: they are known to take longer than this. `never` is the number
    of those that no time would have answered: error, rejected. `cancelled` is the number of those left out.

    Groups of clients of a tier may have different timeouts. Whether a request is censored then depends on its group,
    and an estimate such as Kaplan and Meier's (1958, J. Am. Stat. Assoc. 53:457-481) would be biased, so none is made:
    up to the first timeout the shares are exact, past it they are bounds.
    """

    answered: NDArray[np.float64]
    censored: NDArray[np.float64]
    never: int
    cancelled: int

    @property
    def n(self) -> int:
        """Counted requests that their client did not cancel."""
        return len(self.answered) + len(self.censored) + self.never

    @property
    def known_ms(self) -> float:
        """The time up to which shares are exact: the first timeout; infinite without one."""
        return float(self.censored[0]) if len(self.censored) else math.inf

    def share_within(self, ms: float) -> float | None:
        """Answered requests within a time over `n`; the least that the share can be past `known_ms`; None for n = 0."""
        import numpy as np

        return float(np.searchsorted(self.answered, ms, side="right")) / self.n if self.n else None

    def quantile_bounds(self, share: float) -> tuple[float, float]:
        """Least and greatest time in ms within which this share can be answered; equal where it is known.

        Nearest rank. The least is that of a system which answers a request right after its timeout, the greatest that
        of one which never answers it. Infinite where the share is not reached. Needs n > 0.
        """
        import numpy as np

        rank = max(math.ceil(share * self.n - 1e-9), 1)
        low, high = (
            float(values[rank - 1]) if rank <= len(values) else math.inf
            for values in (np.sort(np.concatenate([self.answered, self.censored])), self.answered)
        )
        return low, high


def observe(population: Population, tier: str) -> Distribution:
    """What is known of a tier's counted requests."""
    import numpy as np

    places = population.select(tier)
    ms = population.e2el_scheduled_ns()[places] / NS_PER_MS
    kinds = column(population.outcome)[places]
    answered, censored = np.sort(ms[kinds < OK_OUTCOMES]), np.sort(ms[kinds == OUTCOMES.index("timeout")])
    cancelled = int((kinds == OUTCOMES.index("cancelled")).sum())
    return Distribution(answered, censored, len(ms) - len(answered) - len(censored) - cancelled, cancelled)


def share_text(distribution: Distribution, ms: float) -> str:
    """The share answered within a time; with a sign where requests timed out before it, so that it may be more."""
    share = distribution.share_within(ms)
    if share is None:
        return "-"
    return ("\u2265 " if ms > distribution.known_ms else "") + f"{share:.1%}"


def quantile_text(distribution: Distribution, share: float) -> str:
    """A quantile in ms; `T to U` between bounds, a sign where only the lower is known, `never` without an answer."""
    if not distribution.n:
        return "-"
    low, high = distribution.quantile_bounds(share)
    if low == high:
        return "never" if math.isinf(low) else f"{low:.1f}"
    return f"\u2265 {low:.1f}" if math.isinf(high) else f"{low:.1f} to {high:.1f}"


def quantile_interval_text(distribution: Distribution, share: float) -> str:
    """The interval of a quantile in ms (see `percentile_interval`), or why an end is missing.

    A request that timed out counts at its timeout for the lower end, and for the upper end as never answered.
    """
    if not distribution.n:
        return ""
    unanswered = [math.inf] * distribution.never
    least = [*distribution.answered.tolist(), *distribution.censored.tolist(), *unanswered]
    most = [*distribution.answered.tolist(), *[math.inf] * len(distribution.censored), *unanswered]
    low, high = percentile_interval(least, share).low, percentile_interval(most, share).high
    return unbounded_text(most, share) if low is None or high is None else f"{low:.1f} to {high:.1f}"


def unanswered_text(tier: str, distribution: Distribution) -> str:
    """A sentence about a tier of which no counted request was answered; empty for any other."""
    if len(distribution.answered) or not distribution.n:
        return ""
    ends = [(len(distribution.censored), "timed out"), (distribution.never, "ended as error or rejected")]
    said = " and ".join(f"{count} {words}" for count, words in ends if count)
    return (
        f"Tier {tier} answered none of its {distribution.n} counted requests: {said}; it has no latencies to compare."
    )


def cdf(distributions: Mapping[str, Distribution], deadlines_ms: Mapping[str, float]) -> str:
    """The curves as SVG, with the deadlines, a mark where a request was censored, and dashes where it is a bound."""
    drawn = {tier: found for tier, found in distributions.items() if found.n}
    if not drawn:
        return ""
    tails = [float(found.answered[int(len(found.answered) * 0.995)]) for found in drawn.values() if len(found.answered)]
    watched = [float(found.censored[-1]) for found in drawn.values() if len(found.censored)]
    longest_ms = 1.05 * max([*tails, *deadlines_ms.values()] or watched or [1.0])

    def x_of(ms: float) -> float:
        return LEFT + min(ms / longest_ms, 1.0) * (RIGHT - LEFT)

    out = [open_svg("cdf", BOTTOM + 40, "Share of requests answered within a time, by tier")]
    for share in (0.0, 0.25, 0.5, 0.75, 0.9, 1.0):
        out.append(line(LEFT, _y(share), RIGHT, _y(share), "grid"))
        out.append(text(LEFT - 8, _y(share) + 4, f"{share:.0%}", "tick", "end"))
    for tick in ticks(0, longest_ms, 10):
        out.append(line(x_of(tick), BOTTOM, x_of(tick), BOTTOM + 5, "grid"))
        out.append(text(x_of(tick), BOTTOM + 18, f"{tick:g}", "tick", "middle"))
    out.append(text((LEFT + RIGHT) / 2, BOTTOM + 35, "e2el from the scheduled time, ms", "tick", "middle"))
    level, previous_x = 0, -math.inf
    for name, deadline_ms in sorted(deadlines_ms.items(), key=lambda item: (item[1], item[0])):
        x = x_of(deadline_ms)
        # Labels of neighbouring deadlines go to two levels so that they do not cover one another.
        level = 1 - level if x - previous_x < 130 else 0
        previous_x = x
        out.append(line(x, TOP - 4, x, BOTTOM, "deadline"))
        label = f"{shorten(name, NAME_LETTERS)} {deadline_ms:g} ms"
        out.append(text(x, TOP - 8 - 12 * level, label, "tick", "middle", f"{name} {deadline_ms:g} ms"))
    ends: list[tuple[float, str, str, str]] = []
    for place, tier in enumerate(distributions):
        if tier not in drawn:
            continue
        found, (colour, dash) = drawn[tier], colour_of(place)
        out += _curve(tier, found, x_of, colour, dash)
        ends.append(
            (_y(len(found.answered) / found.n), _label(shorten(tier, NAME_LETTERS), found), _label(tier, found), colour)
        )
    y_label = -math.inf
    for y, label, full, colour in sorted(ends):
        y_label = max(y, y_label + 16)
        out.append(f'<rect x="{RIGHT + 8}" y="{y_label - 5:.1f}" width="10" height="10" fill="{colour}"/>')
        out.append(text(RIGHT + 23, y_label + 4, label, "value", full=full))
    return "".join([*out, "</svg>"])


def _curve(tier: str, found: Distribution, x_of: Callable[[float], float], colour: str, dash: str) -> list[str]:
    import numpy as np

    known = int(np.searchsorted(found.answered, found.known_ms, side="right"))
    style = f' stroke-dasharray="{dash}"' if dash else ""
    title = f"<title>{escape(_label(tier, found))}</title>"
    known_x = x_of(found.known_ms)
    path = f"M{x_of(0):.1f} {_y(0):.1f}{_stairs(found, 0, known, x_of)}H{known_x:.1f}"
    out = [f'<path class="curve" d="{path}" stroke="{colour}"{style}>{title}</path>']
    if known_x < RIGHT:
        path = f"M{known_x:.1f} {_y(known / found.n):.1f}{_stairs(found, known, len(found.answered), x_of)}H{RIGHT}"
        out.append(f'<path class="curve bound" d="{path}" stroke="{colour}"><title>at least</title></path>')
    marks: list[tuple[float, float]] = []
    for ms in found.censored.tolist():
        if not marks or x_of(ms) - marks[-1][0] >= MARK_GAP:
            marks.append((x_of(ms), _y(found.share_within(ms) or 0.0)))
    if marks:
        drawn = "".join(f"M{x:.1f} {y - 5:.1f}v10" for x, y in marks)
        out.append(f'<path class="curve censored" d="{drawn}" stroke="{colour}"><title>timed out</title></path>')
    return out


def _stairs(found: Distribution, first: int, after: int, x_of: Callable[[float], float]) -> str:
    """The steps of answered requests from `first` to before `after`, at most CURVE_POINTS of them."""
    count = min(after - first, CURVE_POINTS)
    places = [first + (point + 1) * (after - first) // count for point in range(count)]
    return "".join(f"H{x_of(float(found.answered[k - 1])):.1f}V{_y(k / found.n):.1f}" for k in places)


def _label(tier: str, found: Distribution) -> str:
    return f"{tier} ({len(found.answered) / found.n:.1%} ok)"


def _y(share: float) -> float:
    return BOTTOM - float(share) * HEIGHT
