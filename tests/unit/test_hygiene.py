"""How steady the measurements were, from lines whose noise, drift and waiting are known."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cosim.bridge.engine_messages import Conditions, Signature
from cosim.results.hygiene import MIN_EQUAL_STEPS, EngineHygiene
from cosim.results.records import FrontendRecord, StepRecord
from cosim.results.store import STEPS, read_steps
from cosim.results.summary import summarise
from tests.results_factory import MS, S, manifest, request, step, write_run

NAMES = ("device", "edge", "cloud")


def steps(durations_ns: Iterable[float], *, gap_ns: int = 10 * MS, wait_share: float = 0.0) -> list[StepRecord]:
    """Executed decode steps, one token of context more each; between two of them the engine rests for a gap."""
    made, start_ns = [], 5 * S
    for index, value in enumerate(durations_ns):
        duration_ns = int(value)
        made.append(
            step(
                index=index,
                wall_start_ns=start_ns,
                wall_end_ns=start_ns + duration_ns,
                signature=Signature(0, 1, 100 + index % 16, 0, 0),
                conditions=Conditions(cpu_ns=duration_ns, cpu_wait_ns=int(duration_ns * wait_share)),
            )
        )
        start_ns += duration_ns + gap_ns
    return made


def hygiene(lines: Iterable[StepRecord | FrontendRecord]) -> dict[str, Any]:
    engine = EngineHygiene()
    for line in lines:
        engine.add(line)
    summary = engine.summary()
    assert summary is not None
    return summary


def noisy(n: int, spread: float, *, drift: float = 0.0, seed: int = 1) -> list[float]:
    """Durations from 10 ms on that grow with the context, have this relative spread and grow by `drift` to the end."""
    draw = random.Random(seed)
    return [
        (10 * MS + (index % 16) * 0.1 * MS) * draw.gauss(1.0, spread) * (1 + drift) ** (index / n) for index in range(n)
    ]


def test_what_was_not_executed_has_no_hygiene() -> None:
    engine = EngineHygiene()
    for source in ("replayed", "predicted", "extrapolated"):
        engine.add(step(source=source))
        engine.add(step(source=source, wall_start_ns=None, wall_end_ns=None))
    assert engine.summary() is None


def test_duty_cycle_and_waiting_count_steps_and_front_ends() -> None:
    front = FrontendRecord("edge", "r-0", 0, 70 * MS, "executed", 0, 10 * MS, 30, 0, 0, None, Conditions(1, 5 * MS))
    lines: list[StepRecord | FrontendRecord] = [
        front,
        step(wall_start_ns=50 * MS, wall_end_ns=60 * MS, conditions=Conditions(1, 1 * MS)),
        step(wall_start_ns=70 * MS, wall_end_ns=100 * MS, conditions=Conditions(1, None)),
    ]
    found = hygiene(lines)
    assert found["duty_cycle"] == 0.5
    assert found["cpu_wait_share"] == 6 / 20
    assert found["equal_steps"] == 0
    assert found["equal_step_noise"] is found["step_drift"] is found["clock_mhz"] is None


def test_noise_is_what_the_context_does_not_explain() -> None:
    exact = hygiene(steps(10 * MS + (index % 16) * 100_000 for index in range(320)))
    assert exact["equal_steps"] == 320
    assert exact["equal_step_noise"] < 1e-9
    assert hygiene(steps(noisy(2_000, 0.03)))["equal_step_noise"] == pytest.approx(0.03, rel=0.1)


def test_noise_does_not_see_a_few_outliers_or_the_level_of_a_shape() -> None:
    durations = noisy(1_000, 0.03)
    durations[::50] = [value * 30 for value in durations[::50]]
    lines = steps(durations)
    for index in range(0, 1_000, 3):
        line = lines[index]
        assert line.wall_start_ns is not None
        assert line.wall_end_ns is not None
        signature = Signature(300, 0, 256, 0, 1)
        lines[index] = step(
            wall_start_ns=line.wall_start_ns,
            wall_end_ns=line.wall_start_ns + 5 * (line.wall_end_ns - line.wall_start_ns),
            signature=signature,
        )
    assert hygiene(lines)["equal_step_noise"] == pytest.approx(0.035, abs=0.01)


def test_a_few_equal_steps_say_nothing() -> None:
    few = steps(noisy(MIN_EQUAL_STEPS - 1, 0.03))
    assert hygiene(few)["equal_step_noise"] is None
    enough = steps(noisy(MIN_EQUAL_STEPS, 0.03))
    assert hygiene([*few, *[step(signature=Signature(7, 0, 0, 0, 0))], *enough])["equal_steps"] == 2 * len(enough) - 1


@pytest.mark.parametrize("drift", [-0.3, 0.0, 0.4])
def test_drift_and_its_interval(drift: float) -> None:
    found = hygiene(steps(noisy(3_000, 0.05, drift=drift)))
    assert found["step_drift"] == pytest.approx(drift, abs=0.02)
    assert found["step_drift_low"] < found["step_drift"] < found["step_drift_high"]
    assert found["step_drift_low"] < drift < found["step_drift_high"]
    assert found["step_drift_high"] - found["step_drift_low"] < 0.05


def test_a_shape_that_comes_late_is_no_drift() -> None:
    early, late = steps(noisy(500, 0.02)), steps([3 * value for value in noisy(500, 0.02, seed=2)])
    end_ns = early[-1].wall_end_ns or 0
    moved = [
        step(
            wall_start_ns=(line.wall_start_ns or 0) + end_ns,
            wall_end_ns=(line.wall_end_ns or 0) + end_ns,
            signature=Signature(0, 2, line.signature.context_tokens, 0, 0),
        )
        for line in late
    ]
    assert abs(hygiene([*early, *moved])["step_drift"]) < 0.05


def test_the_interval_covers_no_drift_in_most_samples() -> None:
    """A 95 % interval of 100 samples misses more than 12 with a chance of 1 in 1,000."""
    missed = 0
    for seed in range(100):
        found = hygiene(steps(noisy(150, 0.1, seed=seed)))
        missed += not found["step_drift_low"] <= 0 <= found["step_drift_high"]
    assert 0 < missed <= 12


def test_clocks_are_the_gpu_s_where_there_is_one() -> None:
    lines = [step(conditions=Conditions(1, None, 3_000.0)), step(conditions=Conditions(1, None, None)), step()]
    assert hygiene(lines)["clock_mhz"] == {"median": 3_000.0, "min": 3_000.0, "max": 3_000.0}
    lines = [step(conditions=Conditions(1, None, 3_000.0, mhz, 400.0)) for mhz in (1_980, 1_200, 1_500)]
    assert hygiene(lines)["clock_mhz"] == {"median": 1_500.0, "min": 1_200.0, "max": 1_980.0}


def run_of(tmp_path: Path, lines: list[StepRecord], **changes: Any) -> dict[str, Any]:
    requests = [request(f"{tier}-{k}", tier=tier) for tier in NAMES for k in range(4)]
    return summarise(write_run(tmp_path / "run", requests, lines, **changes))


def test_waiting_beyond_the_limit_is_a_reason(tmp_path: Path) -> None:
    summary = run_of(tmp_path, steps(noisy(100, 0.02), wait_share=0.34))
    assert summary["engines"]["edge"]["hygiene"]["cpu_wait_share"] == pytest.approx(0.34)
    (reason,) = summary["reasons"]
    assert reason.startswith("cpu: engines spent a share of their executed time waiting for a CPU: edge 34.0% (")
    assert "validity.max_cpu_wait_share allows 10.0%" in reason


def test_waiting_below_the_limit_is_none(tmp_path: Path) -> None:
    assert run_of(tmp_path, steps(noisy(100, 0.02), wait_share=0.09))["verdict"] == "VALID"


def test_other_programs_are_a_reason_where_something_was_executed(tmp_path: Path) -> None:
    use = {"cpus": 2, "wall_ns": 10 * S, "busy_ns": 19 * S, "own_ns": 9 * S, "stolen_ns": 1 * S}
    summary = run_of(tmp_path, steps(noisy(100, 0.02)), machine_use=use)
    assert summary["machine_use"] == {"cpus": 2, "own_share": 0.45, "other_share": 0.5, "stolen_share": 0.05}
    (reason,) = summary["reasons"]
    assert reason.startswith(
        "cpu: other programs used 50% of this machine's 2 CPU(s) and a hypervisor took 5% while engines"
    )
    replayed = [step(source="replayed", wall_start_ns=None, wall_end_ns=None)]
    assert run_of(tmp_path / "b", replayed, machine_use=use)["verdict"] == "VALID"
    elsewhere = run_of(tmp_path / "d", steps(noisy(100, 0.02)), machine_use=use, objectives=partly_elsewhere())
    assert elsewhere["verdict"] == "VALID"
    use["busy_ns"] = 11 * S
    assert run_of(tmp_path / "c", steps(noisy(100, 0.02)), machine_use=use)["verdict"] == "VALID"


def partly_elsewhere() -> dict[str, Any]:
    """Objectives of a run whose tier edge alone has its engine on another machine."""
    objectives: dict[str, Any] = manifest()["objectives"]
    objectives["tiers"]["edge"]["hardware"] = "tcp://engines.example:5555 cpu"
    return objectives


def test_an_engine_elsewhere_leaves_other_programs_here_to_be_judged(tmp_path: Path) -> None:
    use = {"cpus": 2, "wall_ns": 10 * S, "busy_ns": 19 * S, "own_ns": 9 * S, "stolen_ns": 0}
    lines = steps(noisy(100, 0.02))
    both = [*lines, step(engine="cloud")]
    (reason,) = run_of(tmp_path, both, machine_use=use, objectives=partly_elsewhere())["reasons"]
    assert reason.startswith("cpu: other programs used 50%")


def test_what_a_hypervisor_takes_is_other_load(tmp_path: Path) -> None:
    use = {"cpus": 2, "wall_ns": 10 * S, "busy_ns": 11 * S, "own_ns": 9 * S, "stolen_ns": 4 * S}
    (reason,) = run_of(tmp_path, steps(noisy(100, 0.02)), machine_use=use)["reasons"]
    assert reason.startswith("cpu: other programs used 10% of this machine's 2 CPU(s) and a hypervisor took 20% while")


def test_waiting_is_said_of_the_machine_where_it_was(tmp_path: Path) -> None:
    waits = steps(noisy(100, 0.02), wait_share=0.34)
    (reason,) = run_of(tmp_path / "a", waits)["reasons"]
    assert "something else ran on this machine; stop it" in reason
    (reason,) = run_of(tmp_path / "b", waits, objectives=partly_elsewhere())["reasons"]
    assert "something else ran on the machine of tcp://engines.example:5555; stop it" in reason
    here = [msgspec.structs.replace(line, engine="cloud") for line in waits]
    (reason,) = run_of(tmp_path / "c", [*waits, *here], objectives=partly_elsewhere())["reasons"]
    # Engines are named in their order in the summary: cloud before edge.
    assert "ran on this machine and on the machine of tcp://engines.example:5555; stop it" in reason


def test_a_run_from_before_the_machine_was_watched_has_no_reasons(tmp_path: Path) -> None:
    objectives = manifest()["objectives"] | {"validity": {"min_requests": 3, "max_error_share": 0.25}}
    summary = run_of(tmp_path, steps(noisy(100, 0.02), wait_share=0.9), machine_use=None, objectives=objectives)
    assert (summary["verdict"], summary["machine_use"]) == ("VALID", None)


def test_drift_is_a_reason_when_its_interval_lies_beyond_the_limit(tmp_path: Path) -> None:
    summary = run_of(tmp_path, steps(noisy(1_000, 0.05, drift=0.7)))
    (reason,) = summary["reasons"]
    assert reason.startswith("drift: the time of equal steps changed over the run: edge +")
    summary = run_of(tmp_path / "b", steps(noisy(1_000, 0.05, drift=-0.7)))
    assert "edge -" in summary["reasons"][0]
    # A few noisy steps leave the size of the growth open.
    summary = run_of(tmp_path / "c", steps(noisy(48, 0.3, drift=0.9)))
    assert summary["engines"]["edge"]["hygiene"]["step_drift"] > 0.5
    assert summary["verdict"] == "VALID"


def test_a_recording_from_before_conditions_were_recorded_is_read(tmp_path: Path) -> None:
    line = (
        b'{"kind":"step","engine":"edge","index":0,"t_start_ns":0,"duration_ns":9,"source":"executed","wall_start_ns":1,'
        b'"wall_end_ns":10,"signature":{"prefill_tokens":0,"decode_sequences":1,"context_tokens":20,"encoder_tokens":0,'
        b'"images":0},"tokens":{"r-0":[1,90,null]},"scheduled":{"r-0":1},"cached_tokens":{}}\n'
    )
    (tmp_path / STEPS).write_bytes(line)
    (read,) = read_steps(tmp_path)
    assert isinstance(read, StepRecord)
    assert read.conditions is None
    assert hygiene([read])["cpu_wait_share"] is None


def test_a_drift_may_be_allowed_beyond_a_doubling(tmp_path: Path) -> None:
    slower = steps(noisy(100, 0.02, drift=3.0))
    objectives: dict[str, Any] = manifest()["objectives"]
    assert run_of(tmp_path / "a", slower)["verdict"] == "INVALID"
    objectives["validity"]["max_step_drift"] = 10.0
    assert run_of(tmp_path / "b", slower, objectives=objectives)["verdict"] == "VALID"
