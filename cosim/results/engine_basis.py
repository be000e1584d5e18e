"""What the durations of engines rest on, in sentences: executed, profiled, predicted, repeated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cosim.results.ground import Ground, Kind
from cosim.results.manifest import mapping

# What steps rest on; `{of}`: the hardware, `{place}`: where.
GROUND_WORDS: dict[str, tuple[Kind, str]] = {
    "executed": ("executed", "were executed by vLLM{place}; a step lasts as long as it took"),
    "constant": ("constant", "had a scenario's constant times"),
    "interpolated": (
        "profiled",
        "were scheduled by vLLM without a forward pass; their durations are drawn by seed from what a profile{of} "
        "measured at shapes around theirs",
    ),
    "extrapolated": (
        "extrapolated",
        "were scheduled by vLLM without a forward pass; their shapes lie outside what a profile{of} measured, and "
        "their durations are extrapolated",
    ),
    "predicted": (
        "predicted",
        "were scheduled by vLLM without a forward pass; their durations are computed by a roofline{of} from a model's "
        "operations and bytes, and none was measured",
    ),
    "replayed": ("repeated", "were repeated from one that does not say how it came by them"),
}


def engine_grounds(summary: dict[str, Any], manifest: dict[str, Any]) -> Iterator[Ground]:
    """What the steps of each tier rest on, and what runs beside them."""
    stubs = [name for name, tier in summary["tiers"].items() if tier.get("kind") == "stub"]
    if stubs:
        yield Ground(
            "engine steps",
            "constant",
            f"{_tiers(stubs)}: steps have the scenario's constant times and no model was run, so latencies there are "
            "no measurements.",
        )
    engines = {name: tier for name, tier in summary["tiers"].items() if name not in stubs}
    if not engines:
        return
    version = mapping(manifest.get("versions")).get("vllm") or ""
    for (repeated, grounds_), names in _alike(engines).items():
        for ground in grounds_:
            by = [engines[name]["basis"]["steps"] for name in names]
            share = sum(steps[ground] for steps in by) / sum(sum(steps.values()) for steps in by)
            kind, words = GROUND_WORDS[ground]
            hardware = _of({engines[name].get("hardware") for name in names if engines[name]["kind"] != "replay"})
            if repeated:
                kind, words = "repeated", f"were recorded by an earlier run, in which they {words}"
            text = f"{'all steps' if share == 1 else f'{share:.1%} of the steps'} {words}."
            text = text.replace("vLLM", f"vLLM {version}".rstrip()).replace("{of}", hardware)
            text = text.replace("{place}", "" if repeated else f" {_place(manifest, names)}")
            whose = "" if len(names) == len(summary["tiers"]) else f"{_tiers(names)}: "
            yield Ground("engine steps", kind, whose + (text if whose else text[0].upper() + text[1:]))
    yield from _beside_steps(engines)
    if any("executed" in tier["basis"]["steps"] for tier in engines.values()):
        yield Ground(
            "idle time",
            "left out",
            "Virtual time jumps over gaps without work. A step after such a gap finds caches and clock frequency as "
            "the step before left them, so it is faster than on a server that had idled.",
        )


def _alike(engines: dict[str, dict[str, Any]]) -> dict[tuple[bool, tuple[str, ...]], list[str]]:
    """Tiers by whether their steps were repeated and by what these rest on."""
    found: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for name, tier in engines.items():
        key = bool(tier["step_coverage"].get("replayed")), tuple(tier["basis"]["steps"])
        found.setdefault(key, []).append(name)
    return found


def _beside_steps(engines: dict[str, dict[str, Any]]) -> Iterator[Ground]:
    """Front end and egress: run for what they make in any case, but not always timed."""
    what = (
        "JSON, image processing, chat template and tokeniser before a step, detokenising and SSE after it: {timed}, "
        "which they overlap as in vLLM's server."
    )
    timed = "timed apart from the steps"
    charged = "executed for what they make, their time charged from the profile beside the steps"
    groups: dict[tuple[Kind, str], list[str]] = {}
    for name, tier in engines.items():
        found = {ground for stage in ("frontends", "egress") for ground in tier["basis"][stage]}
        kind: Kind = "repeated" if tier["step_coverage"].get("replayed") else "executed"
        if found - {"executed", "replayed"}:
            kind = "repeated" if kind == "repeated" else "predicted" if "predicted" in found else "profiled"
        groups.setdefault((kind, charged if found - {"executed", "replayed"} else timed), []).append(name)
    for (kind, text), names in groups.items():
        whose = "" if len(groups) == 1 else f"{_tiers(names)}: "
        yield Ground("front end, egress", kind, whose + what.replace("{timed}", text))


def charge_grounds(summary: dict[str, Any], scenario: dict[str, Any]) -> Iterator[Ground]:
    """How durations are counted, whatever they rest on."""
    tiers = {name: tier for name, tier in summary["tiers"].items() if tier.get("kind") != "stub"}
    executed = {name: tier for name, tier in tiers.items() if "executed" in tier["basis"]["steps"]}
    scales = {name: tier.get("time_scale") for name, tier in summary["tiers"].items()}
    scaled = {name: scale for name, scale in scales.items() if scale not in (None, 1)}
    if scaled:
        factors = ", ".join(f"{name} {scale:g}" for name, scale in scaled.items())
        yield Ground(
            "time_scale",
            "charged",
            f"Durations of steps, front end and egress are multiplied: {factors}. These tiers stand for other hardware "
            "by assumption; a ratio between tiers is the scenario's as much as the measurement's.",
        )
    elif tiers:
        how = "measured" if tiers == executed else "measured or charged"
        yield Ground("time_scale", "charged", f"1 on every tier: durations count as they were {how}.")
    by_sharing: dict[str, list[str]] = {}
    for name, tier in tiers.items():
        by_sharing.setdefault(str(tier.get("sharing")), []).append(name)
    if names := by_sharing.get("isolated"):
        yield Ground(
            "sharing: isolated",
            "charged",
            f"{_tiers(names)}: "
            + ("engines were executed one after another, never at once, and " if executed.keys() & set(names) else "")
            + "each is charged as if it had hardware of its own; contention between engines is not in these figures.",
        )
    if names := by_sharing.get("timeslice"):
        yield Ground(
            "sharing: timeslice",
            "charged",
            f"{_tiers(names)}: engines take turns on one piece of hardware, and wait for one another in virtual time.",
        )
    models = [(tier.get("engine") or {}).get("model") for tier in (scenario.get("tiers") or {}).values()]
    if tiers.keys() - executed.keys() or any(isinstance(model, dict) for model in models):
        weights = "Random weights of the stated shape" if executed else "The shape of a model without its weights"
        weights += ", none where no forward pass is run" if executed and tiers != executed else ""
        yield Ground(
            "model",
            "idealised",
            f"{weights}: time does not depend on a weight's value, but the text is noise of the asked length, and "
            "quality is no result.",
        )


def _of(hardware: set[str | None]) -> str:
    names = sorted(name for name in hardware if name)
    return f" of {', '.join(names)}" if names else ""


def _place(manifest: dict[str, Any], names: list[str]) -> str:
    """Where the engines of tiers were executed; hardware elsewhere is an address."""
    tiers = mapping(mapping(manifest.get("objectives")).get("tiers"))
    found = {str(mapping(tiers.get(name)).get("hardware")) for name in names}
    far = sorted(hardware for hardware in found if "://" in hardware)
    if not far:
        return "on this machine"
    return ("on this machine and " if len(found) > len(far) else "") + (
        f"on other hosts ({', '.join(far)}), whose clocks are compared with nothing: only durations travel"
    )


def _tiers(names: Iterable[str]) -> str:
    listed = list(names)
    return f"Tier{'s' if len(listed) != 1 else ''} {', '.join(listed)}"
