"""The distribution of latency where not every request was seen to end: Kaplan-Meier's estimate and its drawing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from cosim.clock import NS_PER_MS
from cosim.results.charts import WIDTH, colour_of, line, open_svg, text, ticks
from cosim.results.population import OK_OUTCOMES, OUTCOMES, Population, column

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CURVE_POINTS = 400
QUANTILES = (0.5, 0.9, 0.95, 0.99)
# Marks of requests censored at nearly the same time would cover one another, px.
MARK_GAP = 4
CENSORED = ("timeout", "cancelled")
HEIGHT, TOP, LEFT, RIGHT = 330, 34, 60, WIDTH - 160
BOTTOM = TOP + HEIGHT


@dataclass(frozen=True, slots=True)
class Observed:
    """`e2el_scheduled` of a tier's counted requests in ms, sorted.

    `answered` holds the ok ones. `censored` are known to take longer than this: timeouts, and those that their client
    cancelled. `never` is the number of those that no time would have answered: error, rejected.
    """

    answered: NDArray[np.float64]
    censored: NDArray[np.float64]
    never: int

    @property
    def n(self) -> int:
        """Counted requests."""
        return len(self.answered) + len(self.censored) + self.never

    @property
    def last_ms(self) -> float:
        """The longest time for which a request was watched; 0 without one."""
        return max((float(values[-1]) for values in (self.answered, self.censored) if len(values)), default=0.0)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Share of requests answered within a time: `shares[k]` from `times_ms[k]` until the next."""

    observed: Observed
    times_ms: NDArray[np.float64]
    shares: NDArray[np.float64]

    def share_within(self, ms: float) -> float | None:
        """Share answered within a time; None without requests."""
        import numpy as np

        if not self.observed.n:
            return None
        place = int(np.searchsorted(self.times_ms, ms, side="right")) - 1
        return float(self.shares[place]) if place >= 0 else 0.0

    def quantile(self, share: float) -> float | None:
        """The least time in ms within which this share is answered; None where the estimate does not reach it."""
        import numpy as np

        # A sum of steps can miss the share by its rounding.
        place = int(np.searchsorted(self.shares, share - 1e-9, side="left"))
        return float(self.times_ms[place]) if place < len(self.times_ms) else None


def observe(population: Population, tier: str) -> Observed:
    """What is known of a tier's counted requests."""
    import numpy as np

    places = population.select(tier)
    ms = population.e2el_scheduled_ns()[places] / NS_PER_MS
    kinds = column(population.outcome)[places]
    censored = np.isin(kinds, [OUTCOMES.index(name) for name in CENSORED])
    ok = kinds < OK_OUTCOMES
    return Observed(np.sort(ms[ok]), np.sort(ms[censored]), int(len(ms) - ok.sum() - censored.sum()))


def estimate(observed: Observed) -> Distribution:
    """Kaplan-Meier's estimate of the share answered within a time.

    Source: Kaplan and Meier (1958), J. Am. Stat. Assoc. 53:457-481, as in scipy.stats.ecdf. A request that is never
    answered stays under observation for good: it is censored after everything else.
    """
    import numpy as np

    if not len(observed.answered):
        return Distribution(observed, np.empty(0), np.empty(0))
    from scipy.stats import CensoredData, ecdf

    forever = np.full(observed.never, observed.last_ms + 1.0)
    found = ecdf(CensoredData(observed.answered, right=np.concatenate([observed.censored, forever]))).cdf
    rises = np.diff(found.probabilities, prepend=0.0) > 0
    return Distribution(observed, found.quantiles[rises], found.probabilities[rises])


def quantile_text(distribution: Distribution, share: float) -> str:
    """A quantile in ms; `> T` where requests were watched for no longer, `never` where the rest has no answer."""
    value = distribution.quantile(share)
    if value is not None:
        return f"{value:.1f}"
    observed = distribution.observed
    if not observed.n:
        return "-"
    return f"> {observed.last_ms:.0f}" if len(observed.censored) else "never"


def cdf(distributions: Mapping[str, Distribution], deadlines_ms: Mapping[str, float]) -> str:
    """The curves as SVG, with the deadlines, a mark where a request was censored, and dashes where nothing is known."""
    drawn = {tier: found for tier, found in distributions.items() if len(found.times_ms)}
    if not drawn:
        return ""
    tails = [found.times_ms[min(int(len(found.times_ms) * 0.995), len(found.times_ms) - 1)] for found in drawn.values()]
    longest_ms = 1.05 * max([*map(float, tails), *deadlines_ms.values()])

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
        out.append(text(x, TOP - 8 - 12 * level, f"{name} {deadline_ms:g} ms", "tick", "middle"))
    ends: list[tuple[float, str, str]] = []
    for place, tier in enumerate(distributions):
        if tier not in drawn:
            continue
        found, (colour, dash) = drawn[tier], colour_of(place)
        out += _curve(tier, found, x_of, colour, dash)
        ends.append((_y(float(found.shares[-1])), _label(tier, found.observed), colour))
    y_label = -math.inf
    for y, label, colour in sorted(ends):
        y_label = max(y, y_label + 16)
        out.append(f'<rect x="{RIGHT + 8}" y="{y_label - 5:.1f}" width="10" height="10" fill="{colour}"/>')
        out.append(text(RIGHT + 23, y_label + 4, label, "value"))
    return "".join([*out, "</svg>"])


def _curve(tier: str, found: Distribution, x_of: Callable[[float], float], colour: str, dash: str) -> list[str]:
    observed = found.observed
    count = min(len(found.times_ms), CURVE_POINTS)
    path = [f"M{x_of(found.times_ms[0]):.1f} {_y(0):.1f}"]
    for point in range(count):
        k = (point + 1) * len(found.times_ms) // count - 1
        path.append(f"H{x_of(found.times_ms[k]):.1f}V{_y(found.shares[k]):.1f}")
    style = f' stroke-dasharray="{dash}"' if dash else ""
    title = f"<title>{escape(_label(tier, observed))}</title>"
    known_x = x_of(observed.last_ms) if len(observed.censored) else RIGHT
    path.append(f"H{known_x:.1f}")
    out = [f'<path class="curve" d="{"".join(path)}" stroke="{colour}"{style}>{title}</path>']
    if known_x < RIGHT:
        out.append(
            f'<path class="curve unknown" d="M{known_x:.1f} {_y(found.shares[-1]):.1f}H{RIGHT}" stroke="{colour}"/>'
        )
    marks: list[tuple[float, float]] = []
    for ms in observed.censored.tolist():
        if not marks or x_of(ms) - marks[-1][0] >= MARK_GAP:
            marks.append((x_of(ms), _y(found.share_within(ms) or 0.0)))
    if marks:
        drawn = "".join(f"M{x:.1f} {y - 5:.1f}v10" for x, y in marks)
        out.append(f'<path class="curve censored" d="{drawn}" stroke="{colour}"><title>censored</title></path>')
    return out


def _label(tier: str, observed: Observed) -> str:
    return f"{tier} ({len(observed.answered) / observed.n:.1%} ok)"


def _y(share: float) -> float:
    return BOTTOM - float(share) * HEIGHT
