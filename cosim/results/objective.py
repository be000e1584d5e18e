"""`--fail-on`: a condition on summary.json that turns a run into a failed check."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

_EXPRESSION = re.compile(r"\s*([\w.-]+)\s*(<=|>=|<|>)\s*([0-9.eE+-]+)\s*")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SLA_KEYS = ("sla_hit_rate", "wilson_low", "wilson_high", "n", "hits")


class ObjectiveError(Exception):
    """An expression that cannot be judged."""

    def __init__(self, text: str, what: str) -> None:
        super().__init__(
            f'--fail-on "{text}": {what}; allowed: TIER.CLASS.KEY with KEY one of {", ".join(_SLA_KEYS)}, '
            'or TIER.METRIC, then <, <=, > or >= and a number, such as "edge.premium.sla_hit_rate<0.95" or '
            '"edge.p95_ttft_ms>300"'
        )


@dataclass(frozen=True, slots=True)
class Objective:
    """A condition that, if it holds, fails the run."""

    text: str
    names: tuple[str, ...]
    comparison: str
    limit: float

    def check(self, tiers: Container[str], classes: Container[str]) -> None:
        """Raise ObjectiveError if the scenario has no such tier or class, or a summary no such figure."""
        if self.names[0] not in tiers:
            raise ObjectiveError(self.text, f"no tier {self.names[0]!r}")
        if len(self.names) == 3:
            known = self.names[1] in classes and self.names[2] in _SLA_KEYS
        else:
            known = self.names[1] in _tier_figures()
        if not known:
            raise ObjectiveError(self.text, f"no {'.'.join(self.names[1:])!r}")

    def value(self, summary: dict[str, Any]) -> float | None:
        """The figure that is judged; None where the run has none."""
        if len(self.names) == 3:
            tier, sla_class, key = self.names
            rows = [row for row in summary["sla"] if row["tier"] == tier and row["class"] == sla_class]
            return rows[0][key] if rows else None
        found = summary["tiers"].get(self.names[0], {}).get(self.names[1])
        return float(found) if isinstance(found, (int, float)) else None

    def missed(self, summary: dict[str, Any]) -> bool:
        """Whether the condition holds, or the run has no figure to judge."""
        value = self.value(summary)
        return value is None or _OPERATORS[self.comparison](value, self.limit)

    def explain(self, summary: dict[str, Any]) -> str:
        """The condition with the figure that was found."""
        return f"{self.text} ({'.'.join(self.names)} is {self.value(summary)})"


def _tier_figures() -> set[str]:
    """Names of the figures that summary.json has for a tier."""
    from cosim.results.metrics import LATENCIES, RATES, STATISTICS

    latencies = {f"{statistic.name}_{metric.name}_ms" for metric in LATENCIES for statistic in STATISTICS}
    return {"n", "completed", "error", "timeout", "cancelled", "rejected", *latencies, *(rate.name for rate in RATES)}


def parse_objective(text: str) -> Objective:
    """Parse an expression. Raises ObjectiveError."""
    match = _EXPRESSION.fullmatch(text)
    if match is None:
        raise ObjectiveError(text, "is not a condition")
    names = tuple(match[1].split("."))
    try:
        limit = float(match[3])
    except ValueError:
        raise ObjectiveError(text, f"{match[3]!r} is not a number") from None
    if len(names) not in (2, 3):
        raise ObjectiveError(text, f"{match[1]!r} names no figure")
    return Objective(text, names, match[2], limit)
