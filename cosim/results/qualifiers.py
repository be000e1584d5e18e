"""What has to be said beside a verdict when not every duration was executed: in a word, in a cell, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cosim.results.coverage import GROUNDS

Tiers = Mapping[str, Mapping[str, Any]]
"""`tiers` of a summary."""

WORDS = {
    "executed": "executed",
    "constant": "constant",
    "interpolated": "profiled",
    "extrapolated": "extrapolated",
    "predicted": "predicted",
    "replayed": "replayed",
}
# Every step ..., front end ..., egress ...
PHRASES = {
    "executed": "executed",
    "constant": "has the scenario's constant time",
    "interpolated": "drawn by seed from what a profile{of} measured",
    "extrapolated": "extrapolated past what a profile{of} measured",
    "predicted": "predicted by a roofline{of}",
    "replayed": "repeated from a recording that does not say how it came by them",
}
LONGEST_HEADLINE = 60


def headline(tiers: Tiers) -> str:
    """What the steps are if they were not all executed, for the line of the verdict; empty if they were.

    "no step" of a run in which none took place.
    """
    steps = {name: tier["basis"]["steps"] for name, tier in tiers.items() if tier["basis"]["steps"]}
    if not steps:
        return "no step"
    grounds = [ground for ground in GROUNDS if any(ground in by for by in steps.values())]
    if len(grounds) == 1:
        return "" if grounds == ["executed"] else WORDS[grounds[0]]
    others = [ground for ground in grounds if ground != "executed"]
    texts = [
        f"{WORDS[ground]}: {', '.join(_named(name, by, ground) for name, by in steps.items() if ground in by)}"
        for ground in others
    ]
    text = "; ".join(texts)
    return text if len(text) <= LONGEST_HEADLINE else f"in part {', '.join(WORDS[ground] for ground in others)}"


def cell(part: Mapping[str, Any]) -> str:
    """What the steps of a tier or an engine are, in a word for a table; of a profile, the share that it measured."""
    by: dict[str, int] = part["basis"]["steps"]
    if not by:
        return "-"
    if by.keys() <= {"interpolated", "extrapolated"}:
        return f"profiled {_floor_percent(by.get('interpolated', 0), sum(by.values()))}%"
    if len(by) > 1:
        return "mixed"
    (ground,) = by
    repeated = part["step_coverage"].get("replayed")
    return "replayed" if ground == "executed" and repeated else WORDS[ground]


def qualifiers(tiers: Tiers, allow_extrapolated: Iterable[str] = ()) -> list[str]:
    """A sentence for each way in which durations came about without being executed, with the tiers it is true of."""
    allowed = set(allow_extrapolated)
    found: dict[str, list[str]] = {}
    for name, tier in tiers.items():
        text = _sentence(tier, allowed=name in allowed)
        if text:
            found.setdefault(text, []).append(name)
    return [f"{'tier' if len(names) == 1 else 'tiers'} {', '.join(names)}: {text}" for text, names in found.items()]


def _sentence(tier: Mapping[str, Any], *, allowed: bool) -> str:
    basis: dict[str, dict[str, int]] = tier["basis"]
    grounds = {ground for by in basis.values() for ground in by}
    if grounds <= {"executed"}:
        return ""
    if grounds == {"constant"}:
        repeated = tier.get("kind") == "replay"
        return f"{'repeats a recording: ' if repeated else ''}constant times of the scenario, no model was run"
    # A replay has the hardware of the scenario that it repeats; an engine of kind replay has none of its own.
    of = f" of {tier['hardware']}" if tier.get("hardware") and tier.get("kind") != "replay" else ""
    steps = basis["steps"]
    text = "repeats a recording: " if tier["step_coverage"].get("replayed") else ""
    text += _share(steps, "every step", "of the steps", of) if steps else "there is no step"
    if steps.keys() == {"predicted"}:
        text += ", none was measured"
    elif "executed" not in steps:
        text += ", none was executed"
    if "extrapolated" in grounds and allowed:
        text += " (allowed by validity.allow_extrapolated)"
    others = {"front end": basis["frontends"], "egress": basis["egress"]}
    if all(by.keys() == steps.keys() for by in others.values()) and len(steps) == 1:
        return text + "; front end and egress likewise"
    return text + "".join(f"; {noun} {_share(by, '', '', of)}" for noun, by in others.items() if by)


def _share(by: Mapping[str, int], every: str, of_them: str, of: str) -> str:
    """Counts by ground in words."""
    total = sum(by.values())
    if len(by) == 1:
        (ground,) = by
        return f"{every} {PHRASES[ground].format(of=of)}".strip()
    return ", ".join(
        " ".join(filter(None, (f"{100 * n / total:.1f} %", of_them, PHRASES[ground].format(of=of))))
        for ground, n in by.items()
    )


def _named(name: str, by: Mapping[str, int], ground: str) -> str:
    return name if len(by) == 1 else f"{name} {100 * by[ground] / sum(by.values()):.2g} %"


def _floor_percent(n: int, total: int) -> int:
    """Percent rounded down: 100 only if nothing is missing."""
    return 100 * n // total
