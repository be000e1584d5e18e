"""What a run's numbers rest on, in sentences: what was executed, charged, emulated, idealised, left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cosim.results.engine_basis import charge_grounds, engine_grounds
from cosim.results.ground import Ground
from cosim.results.manifest import mapping

METHOD = "docs/method.md"
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


def grounds(summary: dict[str, Any], manifest: dict[str, Any], scenario: dict[str, Any]) -> list[Ground]:
    """What a run rests on, in the order of a request's way through it."""
    return [
        *_clients(summary, scenario),
        *_network(manifest, scenario),
        *_balancers(scenario),
        *engine_grounds(summary, manifest),
        *charge_grounds(summary, scenario),
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
        if group.get("kind") == "trace":
            text += f", requests of a trace at {group.get('speedup', 1):g} times its speed, prompts of random words"
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


def _balancers(scenario: dict[str, Any]) -> Iterator[Ground]:
    for name, tier in (scenario.get("tiers") or {}).items():
        if (tier.get("replicas") or 1) > 1:
            yield Ground(
                "load balancer",
                "left out",
                f"Tier {name}: {tier['replicas']} replicas, {tier.get('balancing')}; the balancer takes no time, and "
                "what it knows of them is never late.",
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


def _configurations(children: object) -> Iterator[dict[str, Any]]:
    """Every mapping within what the children reported, however deep."""
    if isinstance(children, dict):
        yield children
        for value in children.values():
            yield from _configurations(value)


def _times(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n != 1 else ''}"
