"""VALID or INVALID: whether a run's numbers may be used, and if not, why and what to change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from cosim.results.coverage import Coverage, Stage

# Reasons name this many cases and count the rest; a broken network can break every request of a long run.
NAMED_CASES = 5
# How reasons begin that speak of measured durations; a run that repeats the durations inherits them.
OTHER_LOAD, DRIFT, RECORDED = "cpu: ", "drift: ", "recorded: "


@dataclass(slots=True)
class TierCount:
    """Counted (not warm-up) requests of a tier: all that ended, those that ended as error, those cancelled."""

    ended: int = 0
    errors: int = 0
    cancelled: int = 0


@dataclass(slots=True)
class Cases:
    """The first few of many alike, and how many there are."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Count a case; keep its text if it is one of the first."""
        self.count += 1
        if self.count <= NAMED_CASES:
            self.named.append(text)

    def __str__(self) -> str:
        more = self.count - len(self.named)
        return ", ".join(self.named) + (f" and {more} more" if more else "")


@dataclass(slots=True)
class Evidence:
    """What a verdict rests on; None where the manifest does not say it.

    `ended` and `step_lines` are the lines found in requests.jsonl and steps.jsonl, `lines` those that were written.
    `tiers` holds every tier that has clients, `hygiene` the figures of each engine that executed something.
    `machine_use` holds shares of this machine's CPUs if an engine executed something on it; `elsewhere` holds the
    address of an engine's host on another machine.
    `recorded`: disturbances of the runs whose steps this one repeats; `profiles`: by file what the head of a recorded
    profile says of its machine (`recording`).
    `coverage` is of each tier; those in `allow_extrapolated` may leave what their profile measured.
    `unbalanced`, `parts_off` name connections and requests.
    """

    status: str | None = None
    issued: int | None = None
    ended: int = 0
    step_lines: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    tiers: dict[str, TierCount] = field(default_factory=dict)
    min_requests: int | None = None
    max_error_share: float | None = None
    max_cpu_wait_share: float | None = None
    max_other_load: float | None = None
    max_step_drift: float | None = None
    machine_use: dict[str, Any] | None = None
    hygiene: dict[str, dict[str, Any]] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    recorded: list[str] = field(default_factory=list)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    allow_extrapolated: list[str] = field(default_factory=list)
    unbalanced: Cases = field(default_factory=Cases)
    parts_off: Cases = field(default_factory=Cases)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reasons` is empty exactly when the verdict is VALID."""

    verdict: Literal["VALID", "INVALID"]
    reasons: list[str]


def judge(evidence: Evidence) -> Verdict:
    """Judge a run; every reason says what is wrong and what to change."""
    reasons = [
        *_ending(evidence),
        *_invariants(evidence),
        *_samples(evidence),
        *_errors(evidence),
        *_other_load(evidence),
        *_waiting(evidence),
        *_drift(evidence),
        *_recording(evidence),
        *_profiles(evidence),
        *_extrapolation(evidence),
    ]
    return Verdict("INVALID" if reasons else "VALID", reasons)


def _ending(evidence: Evidence) -> list[str]:
    reasons = []
    if evidence.status == "interrupted":
        reasons.append("the run was interrupted: what had not ended is missing; let it run to its end")
    elif evidence.status == "failed":
        reasons.append("the run failed: see failure.json and logs/, mend the cause and run it again")
    elif evidence.status != "finished":
        reasons.append("the run never came to its end (the process was killed); run it again")
    if evidence.issued is None:
        if evidence.status == "finished":
            reasons.append("the manifest does not say how many requests were issued; run it again")
    elif evidence.issued > evidence.ended:
        reasons.append(
            f"{evidence.issued - evidence.ended} of {evidence.issued} requests have not ended; let the run go on until "
            "every request has ended (each has a timeout)"
        )
    elif evidence.issued < evidence.ended:
        reasons.append(
            f"{evidence.ended} requests ended but {evidence.issued} were issued: a request is recorded twice; please "
            "report this as a bug"
        )
    for name, found in (("requests", evidence.ended), ("steps", evidence.step_lines)):
        written = evidence.lines.get(name, found)
        if written != found:
            reasons.append(
                f"{name}.jsonl has {found} lines of {written} that were written; restore the file or run it again"
            )
    return reasons


def _invariants(evidence: Evidence) -> list[str]:
    reasons = [f"invariant broken: {text}; please report this as a bug" for text in evidence.broken]
    if evidence.unbalanced.count:
        reasons.append(
            f"bytes sent are not delivered + lost + discarded on {evidence.unbalanced.count} connection(s): "
            f"{evidence.unbalanced}; please report this as a bug of the network"
        )
    if evidence.parts_off.count:
        reasons.append(
            f"the parts of {evidence.parts_off.count} request(s) do not add up to e2el_ns: {evidence.parts_off}; "
            "please report this as a bug"
        )
    return reasons


def _samples(evidence: Evidence) -> list[str]:
    if evidence.min_requests is None:
        return []
    reasons = []
    for name, tier in evidence.tiers.items():
        counted = tier.ended - tier.cancelled
        if counted < evidence.min_requests:
            reasons.append(
                f"tier {name} has {counted} counted request(s), validity.min_requests asks for "
                f"{evidence.min_requests}; raise `duration` or the clients' rate, or lower validity.min_requests"
            )
    return reasons


def _errors(evidence: Evidence) -> list[str]:
    """Error share = status `error` / counted requests of the tier.

    A timeout or a rejection is an answer to the question that the run asks (a miss); an error says that something did
    not work as the scenario means it to.
    """
    if evidence.max_error_share is None:
        return []
    reasons = []
    for name, tier in evidence.tiers.items():
        if tier.ended and tier.errors / tier.ended > evidence.max_error_share:
            reasons.append(
                f"tier {name}: {tier.errors} of {tier.ended} requests ended as error ({tier.errors / tier.ended:.2%}), "
                f"validity.max_error_share allows {evidence.max_error_share:.2%}; see `error` in requests.jsonl and "
                "logs/, mend the cause or raise the share"
            )
    return reasons


def _other_load(evidence: Evidence) -> list[str]:
    """What a hypervisor takes away is other load too: the engines do not get it."""
    use, limit = evidence.machine_use, evidence.max_other_load
    # The kernel counts both in ticks of its own, so that together they can pass 100 %.
    if use is None or limit is None or min(1.0, use["other_share"] + use["stolen_share"]) <= limit:
        return []
    return [
        f"{OTHER_LOAD}other programs used {use['other_share']:.0%} of this machine's {use['cpus']} CPU(s) and a "
        f"hypervisor took {use['stolen_share']:.0%} while engines were executed (validity.max_other_load allows "
        f"{limit:.0%}): stop other programs, here or beside this virtual machine, and run again; `cosim doctor` says "
        "how busy the machine is"
    ]


def _waiting(evidence: Evidence) -> list[str]:
    if evidence.max_cpu_wait_share is None:
        return []
    engines, machines = Cases(), dict[str, None]()
    for name, hygiene in evidence.hygiene.items():
        share = hygiene["cpu_wait_share"]
        if share is not None and share > evidence.max_cpu_wait_share:
            engines.add(f"{name} {share:.1%}")
            address = evidence.elsewhere.get(name)
            machines["this machine" if address is None else f"the machine of {address}"] = None
    if not engines.count:
        return []
    return [
        f"{OTHER_LOAD}engines spent a share of their executed time waiting for a CPU: {engines} "
        f"(validity.max_cpu_wait_share allows {evidence.max_cpu_wait_share:.1%}): something else ran on "
        f"{' and on '.join(machines)}; stop it and run again"
    ]


def _drift(evidence: Evidence) -> list[str]:
    """A drift counts when its whole interval lies beyond the limit: slower by that share, or faster by that factor."""
    limit = evidence.max_step_drift
    if limit is None:
        return []
    engines = Cases()
    for name, hygiene in evidence.hygiene.items():
        drift, low, high = (hygiene[key] for key in ("step_drift", "step_drift_low", "step_drift_high"))
        if drift is not None and (low > limit or high < 1 / (1 + limit) - 1):
            engines.add(f"{name} {drift:+.0%} ({low:+.0%} to {high:+.0%})")
    if not engines.count:
        return []
    return [
        f"{DRIFT}the time of equal steps changed over the run: {engines} (validity.max_step_drift allows {limit:.0%}): "
        "the machine became slower or faster (other load, heat, clock frequency); let it settle, see `cosim doctor`, "
        "and run again"
    ]


def disturbances(reasons: list[str]) -> list[str]:
    """Of a verdict's reasons those that say that its durations were measured on a disturbed machine."""
    return [reason for reason in reasons if reason.startswith((OTHER_LOAD, DRIFT, RECORDED))]


def _recording(evidence: Evidence) -> list[str]:
    return [
        f"{RECORDED}the steps that were repeated had been measured on a disturbed machine ({reason}); record them again"
        for reason in evidence.recorded
    ]


def _profiles(evidence: Evidence) -> list[str]:
    """Profiles that were recorded where an executed run would not have been VALID; their drift comes without interval.

    What a profile does not say of its machine is not held against it.
    """
    reasons = []
    for file, recording in evidence.profiles.items():
        load, wait, drift = (recording.get(key) for key in ("other_load", "cpu_wait_share", "step_drift"))
        limit = evidence.max_step_drift
        found = []
        if load is not None and evidence.max_other_load is not None and load > evidence.max_other_load:
            found.append(
                f"others used {load:.0%} of its CPUs, validity.max_other_load allows {evidence.max_other_load:.0%}"
            )
        if wait is not None and evidence.max_cpu_wait_share is not None and wait > evidence.max_cpu_wait_share:
            allowed = f"validity.max_cpu_wait_share allows {evidence.max_cpu_wait_share:.1%}"
            found.append(f"{wait:.1%} of the executed time was spent waiting for a CPU, {allowed}")
        if drift is not None and limit is not None and (drift > limit or drift < 1 / (1 + limit) - 1):
            found.append(f"the time of equal steps changed by {drift:+.0%}, validity.max_step_drift allows {limit:.0%}")
        if found:
            reasons.append(
                f"{RECORDED}the profile {file} was measured on a disturbed machine ({'; '.join(found)}); record it "
                "again with `cosim profile` on a quiet one"
            )
    return reasons


STAGE_WORDS: dict[Stage, str] = {"steps": "steps", "frontends": "front ends", "egress": "chunks of egress"}


def _extrapolation(evidence: Evidence) -> list[str]:
    reasons = []
    for name, coverage in evidence.coverage.items():
        outside = [
            f"{by['extrapolated']} of {sum(by.values())} {STAGE_WORDS[stage]}"
            for stage, by in coverage.rests_on.items()
            if by["extrapolated"]
        ]
        if outside and name not in evidence.allow_extrapolated:
            reasons.append(
                f"tier {name}: {', '.join(outside)} lie outside what its profile measured (source `extrapolated`"
                f"{_largest(coverage)}); profile an engine with larger limits (max_num_seqs, max_num_batched_tokens, "
                f"max_model_len), execute it, or allow it by name: validity.allow_extrapolated: [{name}]"
            )
    return reasons


def _largest(coverage: Coverage) -> str:
    """In which fields the largest step outside exceeds every step inside; if in none, that step."""
    outside = {name: n for name, n in coverage.outside.items() if n}
    beyond = {name: n for name, n in outside.items() if n > coverage.inside[name]}
    texts = [f"{name} up to {n}, inside up to {coverage.inside[name]}" for name, n in beyond.items()]
    return "".join(f"; {text}" for text in texts or [f"{name} up to {n}" for name, n in outside.items()])
