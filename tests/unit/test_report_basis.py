"""What a report says its figures rest on."""

from __future__ import annotations

from typing import Any

from cosim.results.basis import grounds, verdict_text
from cosim.results.ground import KINDS


def tier(ground: str = "executed", *, replayed: bool = False, **changes: Any) -> dict[str, Any]:
    """A tier of a summary whose durations rest on one thing."""
    content: dict[str, Any] = {
        "kind": "vllm",
        "hardware": "cpu",
        "sharing": "isolated",
        "time_scale": 1.0,
        "step_coverage": {"replayed": 1.0 if replayed else 0.0},
        "basis": {stage: {ground: 10} for stage in ("steps", "frontends", "egress")},
    }
    return content | changes


def summary(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "verdict": "VALID",
        "clock": "lockstep",
        "requests": {"issued": 10},
        "engines": {},
        "loop": {"cam": "open"},
        "tiers": {"edge": tier(), "cloud": tier(time_scale=0.5)},
    }
    return content | changes


SCENARIO: dict[str, Any] = {
    "network": {
        "kind": "ns3",
        "access": {"kind": "link"},
        "transport": {"congestion_control": "cubic", "slow_start_after_idle": True, "tls": True, "keepalive": "5s"},
    },
    "tiers": {"edge": {"engine": {"kind": "vllm", "model": {"kind": "synthetic"}}}},
    "clients": [{"name": "cam", "kind": "frames", "count": 2, "period": "500ms", "on_overrun": "skip"}],
}
MANIFEST: dict[str, Any] = {
    "versions": {"ns3": "3.44", "vllm": "0.32.0"},
    "children": {"engines cpu": {"edge": {"async_scheduling": False}}},
    "invariants": {"checked": {"time_forward": 40, "parts": 2}},
}


def said(**changes: Any) -> dict[str, tuple[str, str]]:
    """What is said of each subject; the last one counts."""
    found = grounds(summary(**changes), MANIFEST, SCENARIO)
    assert {ground.kind for ground in found} <= set(KINDS)
    return {ground.subject: (ground.kind, ground.text) for ground in found}


def test_a_cell_says_what_it_is_made_of() -> None:
    access = {
        "kind": "nr",
        "preset": "oai",
        "carrier": {"bandwidth": "40MHz", "duplex": "7DS2U"},
        "ues": {"cam": {"sinr": None, "geometry": {"scenario": "umi"}}},
        "background": {"video": {"count": 6, "sinr_up": "3dB"}, "more": {"count": 1, "trace": None}},
    }
    scenario = SCENARIO | {"network": SCENARIO["network"] | {"access": access}}
    found = {ground.subject: (ground.kind, ground.text) for ground in grounds(summary(), MANIFEST, scenario)}
    kind, text = found["radio access"]
    assert kind == "emulated"
    assert text.startswith("One 5G NR cell, preset oai, 40MHz, 7DS2U: slots, scheduling requests")
    assert "; fixed SINRs, TR 38.901 channels; 7 background UE(s)" in text


def test_a_measured_run() -> None:
    found = said()
    assert found["clients"] == (
        "load",
        "cam, 2 clients, a frame every 500ms: open loop. Requests fall due whether or not earlier ones were answered; "
        "a frame that falls due while the one before has no answer is not sent, so a slow tier is asked less. A "
        "latency counts from when the frame was due.",
    )
    assert found["engine steps"][0] == "executed"
    assert found["engine steps"][1].startswith("All steps were executed by vLLM 0.32.0 on this machine")
    assert found["network"][1].startswith("Every packet goes through ns-3 3.44, with TCP cubic, slow start after idle")
    assert "no scheduler of a 5G cell" in found["radio access"][1]
    assert "multiplied: cloud 0.5." in found["time_scale"][1]
    assert found["sharing: isolated"][1].startswith("Tiers edge, cloud: engines were executed one after another")
    assert found["model"][0] == "idealised"
    assert "asynchronous scheduling is off" in found["server"][1]


def test_retries_and_gateways_are_told() -> None:
    network = SCENARIO["network"] | {"paths": {"edge": {"gateway": None}, "cloud": {"gateway": {"http": 2}}}}
    clients = [{"name": "cam", "kind": "chat", "max_retries": 2}]
    found = {
        g.subject: g.text for g in grounds(summary(), MANIFEST, SCENARIO | {"network": network, "clients": clients})
    }
    assert found["gateway"].startswith("HTTP/2 on cloud: requests of a client share one connection.")
    assert "is tried again 2 times at most" in found["clients"]


def test_engines_on_other_hosts_are_told() -> None:
    tiers = {"edge": {"hardware": "cpu"}, "cloud": {"hardware": "tcp://10.0.0.2:5555/cpu"}}
    manifest = MANIFEST | {"objectives": {"tiers": tiers}}
    (steps,) = (ground for ground in grounds(summary(), manifest, SCENARIO) if ground.subject == "engine steps")
    assert steps.text.startswith(
        "All steps were executed by vLLM 0.32.0 on this machine and on other hosts (tcp://10.0.0.2:5555/cpu), whose "
    )


def test_a_replay_was_not_executed() -> None:
    found = said(tiers={"edge": tier(replayed=True), "cloud": tier(replayed=True)})
    assert found["engine steps"] == (
        "repeated",
        "All steps were recorded by an earlier run, in which they were executed by vLLM 0.32.0; a step lasts as long "
        "as it took.",
    )
    assert found["front end, egress"][0] == "repeated"
    assert "idle time" in found


def test_predicted_steps_are_no_measurement() -> None:
    found = said(tiers={"edge": tier("predicted", hardware="gh200-96gb/3g.48gb fp16")})
    assert found["engine steps"] == (
        "predicted",
        "All steps were scheduled by vLLM 0.32.0 without a forward pass; their durations are computed by a roofline of "
        "gh200-96gb/3g.48gb fp16 from a model's operations and bytes, and none was measured.",
    )
    kind, text = found["front end, egress"]
    assert (kind, "their time charged from the profile" in text, "timed apart" in text) == ("predicted", True, False)
    assert found["sharing: isolated"][1].startswith("Tier edge: each is charged as if it had hardware of its own")
    assert found["time_scale"][1] == "1 on every tier: durations count as they were measured or charged."
    assert found["model"][1].startswith("The shape of a model without its weights: ")
    assert "idle time" not in found


def test_a_profiled_tier_beside_an_executed_one_is_named() -> None:
    profiled = tier("interpolated", hardware="an H200 fp8")
    profiled["basis"]["steps"] = {"interpolated": 9, "extrapolated": 1}
    tiers = {"edge": tier(), "cloud": profiled}
    found = [(ground.kind, ground.text) for ground in grounds(summary(tiers=tiers), MANIFEST, SCENARIO)]
    steps = [(kind, text) for kind, text in found if "steps" in text[:40]]
    assert [kind for kind, _ in steps] == ["executed", "profiled", "extrapolated"]
    assert steps[0][1].startswith("Tier edge: all steps were executed by vLLM 0.32.0 on this machine;")
    assert steps[1][1].startswith(
        "Tier cloud: 90.0% of the steps were scheduled by vLLM 0.32.0 without a forward pass;"
    )
    assert "drawn by seed from what a profile of an H200 fp8 measured" in steps[1][1]
    assert "outside what a profile of an H200 fp8 measured" in steps[2][1]
    beside = [(kind, text.partition(":")[0]) for kind, text in found if "detokenising" in text]
    assert beside == [("executed", "Tier edge"), ("profiled", "Tier cloud")]
    model = next(text for _, text in found if "weights" in text)
    assert model.startswith("Random weights of the stated shape, none where no forward pass is run: ")


def test_a_replay_of_predicted_steps_says_so() -> None:
    kind, text = said(tiers={"edge": tier("predicted", replayed=True, hardware="L4 awq")})["engine steps"]
    assert kind == "repeated"
    assert text.startswith("All steps were recorded by an earlier run, in which they were scheduled by vLLM 0.32.0")
    assert "computed by a roofline of L4 awq" in text
    other = said(tiers={"edge": tier("predicted", replayed=True, kind="replay")})["engine steps"][1]
    assert "computed by a roofline from a model's" in other


def test_constant_times_are_no_measurement() -> None:
    found = said(tiers={"edge": tier("constant", kind="stub")})
    assert found["engine steps"] == (
        "constant",
        "Tier edge: steps have the scenario's constant times and no model was run, so latencies there are no "
        "measurements.",
    )
    assert not {"time_scale", "sharing: isolated", "idle time"} & set(found)


def test_a_stub_beside_an_engine_is_told_once() -> None:
    tiers = summary()["tiers"] | {"device": tier("constant", kind="stub")}
    steps = [g for g in grounds(summary(tiers=tiers), MANIFEST, SCENARIO) if "steps" in g.subject]
    assert [ground.kind for ground in steps] == ["constant", "executed"]
    assert steps[1].text.startswith("Tiers edge, cloud: all steps were executed")


def test_closed_loops_and_time_slices_are_told() -> None:
    found = said(loop={"cam": "closed"}, tiers={"edge": tier(sharing="timeslice")})
    assert "looks better than under an open load" in found["clients"][1]
    assert found["sharing: timeslice"][1].startswith("Tier edge: engines take turns")
    assert found["time_scale"][1].startswith("1 on every tier")


def test_load_balancers_and_traces_are_told() -> None:
    tiers = {"edge": {"replicas": 3, "balancing": "least-loaded"}, "cloud": {"replicas": 1}}
    scenario = SCENARIO | {"tiers": tiers, "clients": [{"name": "cam", "kind": "trace", "count": 2, "speedup": 2.5}]}
    found = {ground.subject: (ground.kind, ground.text) for ground in grounds(summary(), MANIFEST, scenario)}
    assert found["load balancer"] == (
        "left out",
        "Tier edge: 3 replicas, least-loaded; the balancer takes no time, and what it knows of them is never late.",
    )
    assert found["clients"][1].startswith("cam, 2 clients, requests of a trace at 2.5 times its speed, prompts of rand")


def test_the_verdict_says_what_it_stands_for() -> None:
    validity = {"min_requests": 60, "max_error_share": 0.01}
    assert verdict_text(summary(), MANIFEST, validity) == (
        "The run came to its end and each of its 10 requests ended; 42 checks of its invariants (time, causality, "
        "parts, bytes) found nothing; each tier has at least 60 counted requests, at most 1 % of them errors."
    )
    assert verdict_text(summary(verdict="INVALID"), MANIFEST, validity).endswith("for these reasons:")


def test_a_steady_machine_is_claimed_only_as_far_as_it_was_watched() -> None:
    validity = {"max_cpu_wait_share": 0.1, "max_other_load": 0.25}
    executed = {"engines": {"edge": {"hygiene": {"duty_cycle": 0.5}}}}
    watched = verdict_text(summary(**executed, machine_use={"cpus": 2}), MANIFEST, validity)
    assert "(at most: waiting for a CPU 10 %, other programs' or a hypervisor's use of the CPUs 25 %)" in watched
    unknown = verdict_text(summary(**executed, machine_use=None), MANIFEST, validity)
    assert "(at most: waiting for a CPU 10 %)" in unknown


def test_an_empty_manifest_is_no_error() -> None:
    empty: dict[str, Any] = {"loop": {}, "tiers": {}, "step_coverage": {}, "clock": None}
    assert grounds(summary(**empty), {}, {}) == []
