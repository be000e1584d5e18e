"""One recording from start to end: the engine's process, rounds over all shapes, the file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cosim.bridge.child import Runtime
from cosim.bridge.engine_messages import EnginesReady
from cosim.clients.streams import stream
from cosim.clock import NS_PER_S, monotonic_ns
from cosim.inference.base import EngineRefusal
from cosim.inference.vllm import EngineHost, VllmEngine
from cosim.machine_use import MachineUse
from cosim.profile.grid import make_plan
from cosim.profile.records import FEWEST_SAMPLES, Header, Recording
from cosim.profile.shapes import ImageShape, Limits, Plan, Point
from cosim.profiling.drive import Drive, StuckError
from cosim.profiling.header import make_header
from cosim.profiling.prompts import PromptMaker
from cosim.profiling.samples import Samples
from cosim.profiling.target import Target
from cosim.results.store import write_atomic
from cosim.signals import TerminatedError, unbroken, uninterrupted

# Of the CPUs; a run whose machine is shared more than this is not VALID by default.
BUSY = 0.25
MOST_NAMED = 10

Say = Callable[[str], None]


class RecordingFailedError(Exception):
    """The engine could not be measured; nothing was written."""


def record(target: Target, path: Path, *, repetitions: int, seed: int, say: Say) -> Header:
    """Start the engine, measure it, write the profile; return its header.

    The file appears whole or not at all; the engine's log stays beside it if the engine fails. Raises ChildError if its
    process fails, RecordingFailedError if it cannot be driven, OSError if the file cannot be written.
    """
    log = path.with_name(path.name + ".log")
    with unbroken:
        runtime = Runtime()
    try:
        recording = _Recording(target, repetitions=repetitions, seed=seed, say=say)
        lines, header = recording.carry_out(runtime, log)
        encoder = msgspec.json.Encoder()
        with uninterrupted():
            write_atomic(path, b"".join(encoder.encode(line) + b"\n" for line in lines))
            log.unlink(missing_ok=True)
    except (KeyboardInterrupt, TerminatedError):
        with uninterrupted(), contextlib.suppress(OSError):
            runtime.close()
            log.unlink(missing_ok=True)
        raise
    finally:
        with uninterrupted(), contextlib.suppress(OSError):
            runtime.close()
    return header


class _Recording:
    """A recording under way."""

    def __init__(self, target: Target, *, repetitions: int, seed: int, say: Say) -> None:
        self._target = target
        self._repetitions = repetitions
        self._seed = seed
        self._say = say
        self._start_ns = monotonic_ns()

    def carry_out(self, runtime: Runtime, log: Path) -> tuple[list[msgspec.Struct], Header]:
        """Measure; return all lines of the file, the header first."""
        target = self._target
        use = MachineUse()
        host = EngineHost(target.hardware, [target.spec], seed=self._seed, runtime=runtime, log=log)
        ready = host.wait_ready()
        self._say(f"engine ready after {self._passed_s():.0f} s")
        self._warn_of_load(use, "while the engine started")
        engine = VllmEngine(host, target.spec.name, target.spec.served_model_name)
        prompts = PromptMaker(target.spec.served_model_name, seed=self._seed, images=target.images)
        use = MachineUse()
        try:
            images = prompts.measure(engine)
            limits = _limits(ready.resolved[target.spec.name], prompts, images)
            plan = make_plan(limits)
            drive = Drive(engine, prompts, limits)
            self._rounds(drive, plan)
        except (EngineRefusal, StuckError) as error:
            raise RecordingFailedError(f"{host.child.role} cannot be measured: {error}; next: read {log}") from error
        load = _other_load(use)
        self._warn_of_load(use, "during the recording")
        host.stop()
        return self._lines(drive, plan, ready, load)

    def _rounds(self, drive: Drive, plan: Plan) -> None:
        """Each round measures every point once, in an order of its own; the first only warms up.

        Heavy beds are measured in half of the rounds, and in as many as a profile needs.
        """
        heavy = max(FEWEST_SAMPLES, -(-self._repetitions // 2))
        self._say(f"{len(plan.points())} shapes, {self._repetitions} rounds and one to warm up")
        order = stream(self._seed, "profile-order")
        started_ns = monotonic_ns()
        drive.warm_up(plan.documents(), plan.prefix())
        for number in range(self._repetitions + 1):
            with_heavy = number * heavy // self._repetitions > (number - 1) * heavy // self._repetitions
            for index in order.permutation(len(plan.beds)):
                bed = plan.beds[int(index)]
                if not bed.heavy or (number and with_heavy):
                    drive.measure(bed, keep=number > 0)
            passed_s = (monotonic_ns() - started_ns) / NS_PER_S
            self._say(f"round {number} of {self._repetitions}: {passed_s:.0f} s")

    def _lines(
        self, drive: Drive, plan: Plan, ready: EnginesReady, load: float | None
    ) -> tuple[list[msgspec.Struct], Header]:
        samples, hygiene = drive.samples, drive.hygiene.summary() or {}
        missing = samples.missing(plan)
        self._tell_missing(missing, samples)
        recording = Recording(
            seed=self._seed,
            repetitions=self._repetitions,
            wall_s=round(self._passed_s(), 1),
            steps=drive.steps,
            missing=len(missing),
            other_load=load,
            cpu_wait_share=hygiene.get("cpu_wait_share"),
            step_noise=hygiene.get("equal_step_noise"),
            step_drift=hygiene.get("step_drift"),
        )
        header = make_header(
            self._target, ready, conditions=drive.conditions(), grids=samples.grids(plan), recording=recording
        )
        steps = samples.step_lines(plan, header.engine)
        return [header, *steps, *samples.frontend_lines(), *samples.egress_lines()], header

    def _tell_missing(self, missing: Sequence[Point], samples: Samples) -> None:
        for point in missing[:MOST_NAMED]:
            came = samples.other_shapes.get(point)
            instead = f"; came instead: {came[-1]}" if came else ""
            self._say(f"did not come about: {point.grid} {point.at}{instead}")
        if len(missing) > MOST_NAMED:
            self._say(f"and {len(missing) - MOST_NAMED} more shapes did not come about")

    def _warn_of_load(self, use: MachineUse, when: str) -> None:
        load = _other_load(use)
        if load is not None and load > BUSY:
            self._say(f"warning: {when} other programs used {load:.0%} of the CPUs; a profile of a busy machine is one")

    def _passed_s(self) -> float:
        return (monotonic_ns() - self._start_ns) / NS_PER_S


def _limits(resolved: dict[str, Any], prompts: PromptMaker, images: tuple[ImageShape, ...]) -> Limits:
    """What the engine can take, by what vLLM made of its arguments."""
    return Limits(
        max_num_seqs=resolved["max_num_seqs"],
        max_num_batched_tokens=resolved["max_num_batched_tokens"],
        max_model_len=resolved["max_model_len"],
        kv_cache_tokens=resolved["num_gpu_blocks"] * resolved["block_size"],
        block_size=resolved["block_size"],
        prefix_caching=bool(resolved["enable_prefix_caching"]),
        shortest_prompt=prompts.shortest,
        images=images,
        graph_sizes=tuple(resolved["cudagraph_capture_sizes"]) if resolved["cudagraph_mode"] != "NONE" else (),
    )


def _other_load(use: MachineUse) -> float | None:
    """Share of the CPUs that others had since `use` was made."""
    found = use.read()
    if found is None or not found["wall_ns"]:
        return None
    others_ns = max(0, found["busy_ns"] - found["own_ns"]) + found["stolen_ns"]
    return round(others_ns / (found["wall_ns"] * found["cpus"]), 4)
