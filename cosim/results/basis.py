"""What a run's numbers rest on, in sentences: what was executed, charged, emulated, idealised, left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from cosim.results.manifest import mapping

METHOD = "docs/method.md"
Kind = Literal["executed", "repeated", "constant", "charged", "emulated", "idealised", "left out", "load"]

KINDS = {
    "executed": "run for real on this machine and timed",
    "repeated": "recorded by an earlier run and used again",
    "constant": "a value of the scenario",
    "charged": "measured, then counted as the scenario says",
    "emulated": "computed packet by packet",
    "idealised": "computed from a simpler model",
    "left out": "costs nothing here, does in a deployment",
    "load": "how requests are issued",
}
SOURCE_WORDS: dict[str, tuple[Kind, str]] = {
    "executed": ("executed", "were executed by vLLM {place}; a step lasts as long as it took"),
    "replayed": ("repeated", "were recorded by an earlier run; they have the durations that were measured then"),
    "interpolated": ("charged", "have durations interpolated between measured ones"),
    "extrapolated": ("charged", "have durations extrapolated past measured ones"),
    "predicted": ("charged", "have predicted durations"),
}
# Limits of `validity` on what was executed.
STEADY = {
    "max_cpu_wait_share": "waiting for a CPU",
    "max_other_load": "other programs' or a hypervisor's use of the CPUs",
    "max_step_drift": "drift of equal steps",
}
OVERRUN = {
    "overlap": "a frame is also sent while the one before has no answer",
    "skip": "a frame that falls due while the one before has no answer is not sent, so a slow tier is asked less",
    "queue": "a frame that falls due while the one before has no answer waits for it, and its wait counts",
}


@dataclass(frozen=True, slots=True)
class Ground:
    """One thing that the numbers rest on; `kind` is a key of KINDS."""

    subject: str
    kind: Kind
    text: str


def grounds(summary: dict[str, Any], manifest: dict[str, Any], scenario: dict[str, Any]) -> list[Ground]:
    """What a run rests on, in the order of a request's way through it."""
    return [
        *_clients(summary, scenario),
        *_network(manifest, scenario),
        *_engines(summary, manifest),
        *_charges(summary, scenario),
        *_hosts(summary, manifest, scenario),
    ]


def verdict_text(summary: dict[str, Any], manifest: dict[str, Any], validity: dict[str, Any]) -> str:
    """What VALID stands for in this run; for an INVALID run the reasons say what does not hold."""
    if summary["verdict"] != "VALID":
        return "The figures below may not be used as they are, for these reasons:"
    checked = sum(value for value in mapping(mapping(manifest.get("invariants")).get("checked")).values())
    text = f"The run came to its end and each of its {summary['requests']['issued']} requests ended"
    text += f"; {checked} checks of its invariants (time, causality, parts, bytes) found nothing" if checked else ""
    least, share = validity.get("min_requests"), validity.get("max_error_share")
    if least is not None and share is not None:
        text += f"; each tier has at least {least} counted requests, at most {100 * share:g} % of them errors"
    known = [key for key in STEADY if key != "max_other_load" or summary.get("machine_use") is not None]
    limits = [f"{STEADY[key]} {100 * validity[key]:g} %" for key in known if validity.get(key) is not None]
    if limits and any(engine.get("hygiene") for engine in summary["engines"].values()):
        text += f"; the machine was steady while engines were executed (at most: {', '.join(limits)})"
    return text + "."


def _clients(summary: dict[str, Any], scenario: dict[str, Any]) -> Iterator[Ground]:
    groups = {str(group.get("name")): group for group in scenario.get("clients") or []}
    for name, loop in summary["loop"].items():
        group = groups.get(name, {})
        text = f"{name}, {_times(group.get('count') or 1, 'client')}"
        if group.get("kind") == "frames":
            text += f", a frame every {group.get('period')}"
        if loop == "closed":
            text += (
                ": closed loop. The next request follows the answer and a think time, so a slow tier is asked less and "
                "looks better than under an open load of the same rate."
            )
        elif loop == "open":
            text += ": open loop. Requests fall due whether or not earlier ones were answered"
            text += f"; {OVERRUN[group['on_overrun']]}." if group.get("on_overrun") in OVERRUN else "."
        else:
            text += f": {loop} loop."
        if group.get("kind") == "frames" and loop == "open":
            text += " A latency counts from when the frame was due."
        if group.get("max_retries"):
            text += f" A request whose connection broke before its answer began is tried again {group['max_retries']} "
            text += "times at most; the tries and the waits between them are in its latency."
        yield Ground("clients", "load", text)


def _network(manifest: dict[str, Any], scenario: dict[str, Any]) -> Iterator[Ground]:
    network = scenario.get("network") or {}
    transport = network.get("transport") or {}
    if network.get("kind") == "ns3":
        version = mapping(manifest.get("versions")).get("ns3") or ""
        text = (
            f"Every packet goes through ns-3 {version}".rstrip() + f", with TCP {transport.get('congestion_control')}"
        )
        text += (
            ", slow start after idle" if transport.get("slow_start_after_idle") else ", without slow start after idle"
        )
        text += ", the round trips and bytes of TLS 1.3" if transport.get("tls") else ", no TLS"
        text += f" and HTTP connections that close after {transport.get('keepalive')} of silence at the client, "
        text += f"{transport.get('server_keepalive', transport.get('keepalive'))} at the server."
        yield Ground("network", "emulated", text)
        gateways = [name for name, path in (network.get("paths") or {}).items() if path.get("gateway")]
        if gateways:
            yield Ground(
                "gateway",
                "idealised",
                f"HTTP/2 on {', '.join(gateways)}: requests of a client share one connection. The gateway itself costs "
                "no time.",
            )
    elif network.get("kind"):
        yield Ground(
            "network",
            "idealised",
            f"Network {network['kind']}: each link has a rate and a delay; there are no packets, no losses and no "
            "congestion control, so what TCP costs is not in these figures.",
        )
    if (network.get("access") or {}).get("kind") == "link":
        yield Ground(
            "radio access",
            "idealised",
            "A link of its own for each UE, with a rate, a delay, jitter and loss; no scheduler of a 5G cell, no "
            "fading, no handover, no UE that competes for the radio.",
        )
    elif (network.get("access") or {}).get("kind") == "nr":
        yield _cell(mapping(network["access"]))


def _cell(access: dict[str, Any]) -> Ground:
    carrier = mapping(access.get("carrier"))
    others = sum(mapping(group).get("count", 0) for group in mapping(access.get("background")).values())
    groups = [mapping(group) for kind in ("ues", "background") for group in mapping(access.get(kind)).values()]
    kinds = {"sinr": "fixed SINRs", "trace": "SINR traces", "geometry": "TR 38.901 channels"}
    given = {key.partition("_")[0] for group in groups for key in group if group[key] is not None}
    radio = ", ".join(text for key, text in kinds.items() if key in given) or "fixed SINRs"
    return Ground(
        "radio access",
        "emulated",
        f"One 5G NR cell, preset {access.get('preset')}, {carrier.get('bandwidth')}, {carrier.get('duplex')}: slots, "
        f"scheduling requests, grants, HARQ, RLC and PDCP for each packet; {radio}; {others} background UE(s) that "
        "are in the MAC alone. Its error rates are a model's, its control channels fail only below a SINR, and other "
        "cells are a margin.",
    )


def _engines(summary: dict[str, Any], manifest: dict[str, Any]) -> Iterator[Ground]:
    kinds = {name: tier.get("kind") for name, tier in summary["tiers"].items()}
    stubs = [name for name, kind in kinds.items() if kind == "stub"]
    if stubs:
        yield Ground(
            "engine steps",
            "constant",
            f"{_tiers(stubs)}: steps have the scenario's constant times and no model was run, so latencies there are "
            "no measurements.",
        )
    if len(stubs) == len(kinds):
        return
    version = mapping(manifest.get("versions")).get("vllm") or ""
    for source, share in summary["step_coverage"].items():
        # A stub's times are predicted too, and were told of above.
        if share and not (stubs and source == "predicted"):
            kind, words = SOURCE_WORDS.get(source, ("charged", f"have the source {source}"))
            amount = "All steps" if share == 1 else f"{share:.1%} of the steps"
            text = f"{amount} {words}.".replace("vLLM", f"vLLM {version}".rstrip())
            yield Ground("engine steps", kind, text.replace("{place}", _place(manifest, kinds)))
    yield Ground(
        "front end, egress",
        "executed" if summary["step_coverage"].get("executed") else "repeated",
        "JSON, image processing, chat template and tokeniser before a step, detokenising and SSE after it: timed apart "
        "from the steps, which they overlap as in vLLM's server.",
    )
    yield Ground(
        "idle time",
        "left out",
        "Virtual time jumps over gaps without work. A step after such a gap finds caches and clock frequency as the "
        "step before left them, so it is faster than on a server that had idled.",
    )


def _charges(summary: dict[str, Any], scenario: dict[str, Any]) -> Iterator[Ground]:
    tiers = {name: tier for name, tier in summary["tiers"].items() if tier.get("kind") != "stub"}
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
        yield Ground("time_scale", "charged", "1 on every tier: durations count as they were measured.")
    by_sharing: dict[str, list[str]] = {}
    for name, tier in tiers.items():
        by_sharing.setdefault(str(tier.get("sharing")), []).append(name)
    if names := by_sharing.get("isolated"):
        yield Ground(
            "sharing: isolated",
            "charged",
            f"{_tiers(names)}: engines were executed one after another, never at once, and each is charged as if it "
            "had hardware of its own; contention between engines is not in these figures.",
        )
    if names := by_sharing.get("timeslice"):
        yield Ground(
            "sharing: timeslice",
            "charged",
            f"{_tiers(names)}: engines take turns on one piece of hardware, and wait for one another in virtual time.",
        )
    models = [(tier.get("engine") or {}).get("model") for tier in (scenario.get("tiers") or {}).values()]
    if any(isinstance(model, dict) and model.get("kind") == "synthetic" for model in models):
        yield Ground(
            "model",
            "idealised",
            "Random weights of the stated shape: time does not depend on a weight's value, but the text is noise of "
            "the asked length, and quality is no result.",
        )


def _hosts(summary: dict[str, Any], manifest: dict[str, Any], scenario: dict[str, Any]) -> Iterator[Ground]:
    if summary.get("clock") == "lockstep":
        text = "No API server process (its HTTP parsing and its hops between processes)"
        if any(config.get("async_scheduling") is False for config in _configurations(manifest.get("children"))):
            text += ", and asynchronous scheduling is off"
        yield Ground("server", "left out", text + "; servers' NICs and hosts cost no time.")
        yield Ground(
            "clock",
            "idealised",
            "One virtual clock orders packets and steps to the nanosecond. How fast this machine ran matters only "
            "through the durations that were measured; an event never sees a later one.",
        )
    if any(group.get("kind") == "frames" and not group.get("folder") for group in scenario.get("clients") or []):
        yield Ground(
            "images",
            "idealised",
            "Synthetic frames: sizes vary as JPEG's do, but frames of a camera are alike, so requests are not "
            "independent samples of what a camera sees.",
        )


def _place(manifest: dict[str, Any], kinds: dict[str, Any]) -> str:
    """Where engines that are no stubs were executed; hardware elsewhere is an address."""
    tiers = mapping(mapping(manifest.get("objectives")).get("tiers"))
    found = {str(mapping(tiers.get(name)).get("hardware")) for name, kind in kinds.items() if kind != "stub"}
    far = sorted(hardware for hardware in found if "://" in hardware)
    if not far:
        return "on this machine"
    return ("on this machine and " if len(found) > len(far) else "") + (
        f"on other hosts ({', '.join(far)}), whose clocks are compared with nothing: only durations travel"
    )


def _configurations(children: object) -> Iterator[dict[str, Any]]:
    """Every mapping within what the children reported, however deep."""
    if isinstance(children, dict):
        yield children
        for value in children.values():
            yield from _configurations(value)


def _tiers(names: Iterable[str]) -> str:
    listed = list(names)
    return f"Tier{'s' if len(listed) != 1 else ''} {', '.join(listed)}"


def _times(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n != 1 else ''}"
