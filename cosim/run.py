"""One run from start to end: its directory, its children, the loop, and how it ended."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.assembly import Assembly
from cosim.bridge.errors import BridgeError, ChildError
from cosim.clients.trace_store import TRACES, check_stored
from cosim.clock import Agenda, ClockError, monotonic_ns, wall_time_iso
from cosim.conductor import Conductor
from cosim.engine_plan import EnginePlan
from cosim.environment import git_state, machine, versions
from cosim.inference.replay import ReplayError
from cosim.invariants import Invariants
from cosim.kept_children import KeptChildren
from cosim.machine_use import MachineUse
from cosim.path_basis import path_basis
from cosim.placement.base import PlacementError
from cosim.profiled_plans import planned_engines
from cosim.requirements import check_runnable
from cosim.results.locked_directory import locked_directory
from cosim.results.manifest import mapping
from cosim.results.store import (
    FAILURE,
    LOGS,
    MANIFEST,
    REPORT,
    REQUESTS,
    SCENARIO,
    STEPS,
    SUMMARY,
    TIMESERIES,
    ResultsError,
    RunWriter,
    read_manifest,
    write_atomic,
    write_manifest,
)
from cosim.scenario.load import Loaded
from cosim.scenario.model import Scenario
from cosim.signals import TerminatedError, uninterrupted

if TYPE_CHECKING:
    from cosim.request import Request
    from cosim.results.terminal import Progress

SCHEMA_VERSION = 1
PCAP = "pcap"
RUN_FILES = (MANIFEST, SCENARIO, REQUESTS, STEPS, SUMMARY, FAILURE, REPORT, TIMESERIES, TRACES, LOGS, PCAP)
FAULTS = (BridgeError, ReplayError, PlacementError, ClockError, ResultsError, OSError, MemoryError)


class RunFailedError(Exception):
    """A run could not go on; its records up to then and failure.json are in its directory."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is carried out.

    `replay_of`: directory whose steps are repeated. `kept`: children of earlier runs that may serve this one.
    """

    directory: Path
    force: bool
    command_line: tuple[str, ...]
    replay_of: Path | None = None
    kept: KeptChildren | None = None


def execute(loaded: Loaded, options: RunOptions, progress: Progress) -> dict[str, Any]:
    """Carry out a run and return its summary.

    Raises ScenarioError and MissingExtraError before anything is started, RunFailedError when a peer or the machine
    fails, KeyboardInterrupt and TerminatedError when it is told to stop. Whatever happens, nothing is left running and
    the directory says how the run ended.
    """
    check_runnable(loaded, replay=options.replay_of is not None)
    _refuse_own_source(loaded, options)
    if options.replay_of is not None:
        from_files = [group.name for group in loaded.scenario.clients if group.kind in ("trace", "sharegpt")]
        check_stored(options.replay_of, from_files)
    with _run_directory(options.directory, force=options.force):
        run = _Run(loaded, options)
        try:
            summary = run.carry_out(progress)
        except FAULTS as error:
            run.fail(error, "failed")
            raise RunFailedError(str(error)) from error
        except BaseException as stop:
            run.fail(stop, "interrupted" if isinstance(stop, (KeyboardInterrupt, TerminatedError)) else "failed")
            raise
        finally:
            progress.close()
    return summary


def _refuse_own_source(loaded: Loaded, options: RunOptions) -> None:
    """Writing over a recording that is about to be read would lose it."""
    sources = [tier.engine.run for tier in loaded.scenario.tiers.values() if tier.engine.kind == "replay"]
    if any(Path(source).resolve() == options.directory.resolve() for source in sources):
        raise ResultsError(f"{options.directory} holds the steps that this run repeats; choose another with -o")


@contextlib.contextmanager
def _run_directory(directory: Path, *, force: bool) -> Iterator[None]:
    """An empty run directory that no other run writes into. Raises ResultsError if it cannot be had."""
    with locked_directory(directory, "run"):
        try:
            _empty(directory, force=force)
        except OSError as error:
            what = f"{directory} cannot be emptied: {error.strerror} ({error.filename})"
            raise ResultsError(f"{what}; choose another with -o") from error
        yield


def _empty(directory: Path, *, force: bool) -> None:
    """Remove an earlier run's files; what is not a run's is left alone."""
    for name in RUN_FILES:  # What a run that was killed did not come to rename.
        (directory / f"{name}.tmp").unlink(missing_ok=True)
    present = [directory / name for name in RUN_FILES if (directory / name).is_symlink() or (directory / name).exists()]
    if not present:
        return
    marks = [path for path in present if path.name in (MANIFEST, SCENARIO)]
    if not marks:
        names = ", ".join(path.name for path in present)
        raise ResultsError(f"{directory} is no run but has files of these names: {names}; choose another with -o")
    if not force:
        raise ResultsError(f"{directory} already holds a run ({marks[0].name}); choose another with -o or pass --force")
    for path in present:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


class _Run:
    """A run under way: what the manifest needs to know of it."""

    def __init__(self, loaded: Loaded, options: RunOptions) -> None:
        self._loaded = loaded
        self._scenario = loaded.scenario
        self._options = options
        self._plans = planned_engines(loaded, recorded=options.replay_of)
        self._writer: RunWriter | None = None
        self._invariants = Invariants()
        self._conductor: Conductor | None = None
        self._assembly: Assembly | None = None
        self._start_ns = monotonic_ns()
        self._ready_ns: int | None = None
        self._startup_waits_ns = (0, 0)
        self._wall_parts: dict[str, Any] | None = None
        self._machine_use: dict[str, int] | None = None
        self._recorded_disturbances = _recorded_disturbances(loaded.scenario, options.replay_of)
        self._repeated_kinds = _repeated_kinds(loaded.scenario, options.replay_of)
        self._account: dict[str, Any] = {"connections": [], "links": []}
        self._started = wall_time_iso()

    def carry_out(self, progress: Progress) -> dict[str, Any]:
        """Run from the first file to the summary."""
        directory = self._options.directory
        write_atomic(directory / SCENARIO, self._loaded.resolved_yaml().encode())
        self._write_manifest("running")
        self._writer = RunWriter(directory)
        self._run_children(self._writer, progress)
        self._writer.close()
        # Only now: whoever reads "finished" finds every record on disk.
        self._write_manifest("finished", ended=wall_time_iso())
        from cosim.results.report import write_report
        from cosim.results.summary import write_summary

        summary = write_summary(directory)
        write_report(directory, summary)
        return summary

    def _run_children(self, writer: RunWriter, progress: Progress) -> None:
        """Start the children, run the loop, take the account, stop the children."""
        self._assembly = assembly = Assembly(
            self._loaded,
            self._plans,
            run_directory=self._options.directory,
            recorded=self._options.replay_of,
            gauge=writer.gauge,
            kept=self._options.kept,
        )
        try:
            assembly.start()
            assembly.wait_ready()
            self._conductor = self._build(assembly, writer, progress)
            self._startup_waits_ns = (assembly.engines_wall_ns(), assembly.network.wall_ns)
            self._ready_ns = monotonic_ns()
            self._write_manifest("running")
            use = MachineUse()
            self._conductor.run()
            self._machine_use = use.read()
            assembly.check_recording_is_used_up()
            self._take_account(assembly)
            self._wall_parts = self._wall()
            with uninterrupted():
                assembly.stop(politely=True)
        except BaseException:
            with uninterrupted():
                assembly.stop(politely=False)
            raise

    def fail(self, error: BaseException, status: str) -> None:
        """Leave manifest and failure.json that say how the run ended, as far as the disk allows."""
        with uninterrupted(), contextlib.suppress(OSError, ResultsError):
            if self._writer is not None:
                with contextlib.suppress(OSError):
                    self._writer.close()
            self._write_manifest(status, ended=wall_time_iso())
            failure = {
                "schema_version": SCHEMA_VERSION,
                "status": status,
                "error": type(error).__name__,
                "text": str(error) or type(error).__name__,
                "peer": error.role if isinstance(error, ChildError) else None,
                "virtual_ns": self._conductor.clock.now_ns if self._conductor else None,
                "at": wall_time_iso(),
            }
            write_atomic(self._options.directory / FAILURE, (json.dumps(failure, indent=1) + "\n").encode())

    def _build(self, assembly: Assembly, writer: RunWriter, progress: Progress) -> Conductor:
        scenario, agenda = self._scenario, Agenda()
        servings = assembly.servings(agenda, writer)
        ended = dict.fromkeys(scenario.tiers, 0)

        def show(now_ns: int, request: Request) -> None:
            assert self._conductor is not None
            if request.tier is not None:
                ended[request.tier] += 1
            counts = {tier: (n, n) for tier, n in ended.items() if n}
            progress.update(now_ns, self._conductor.issued, self._conductor.ended, counts)

        return Conductor(
            agenda=agenda,
            clients=assembly.clients(),
            placement=assembly.placement(),
            sites=assembly.sites(servings),
            servings=servings.values(),
            network=assembly.network,
            recorder=writer,
            invariants=self._invariants,
            warmup_ns=scenario.warmup,
            keepalive_ns=scenario.network.transport.keepalive,
            server_keepalive_ns=scenario.network.transport.server_keepalive,
            multiplexed=assembly.multiplexed_paths(),
            knobs=assembly.knobs(),
            progress=show,
        )

    def _take_account(self, assembly: Assembly) -> None:
        """Ask the network for its byte account and check that it adds up, connection by connection."""
        from msgspec import to_builtins

        conductor = self._conductor
        assert conductor is not None
        account = assembly.network.account()
        for entry in account.connections:
            handed_over = conductor.http.sent_bytes[entry.connection, entry.up]
            adds_up = handed_over == entry.sent == entry.delivered + entry.lost + entry.discarded
            self._invariants.check("bytes", adds_up, partial("{} of {} bytes".format, entry, handed_over))
        all_ended = conductor.issued == conductor.ended
        self._invariants.check("all_end", all_ended, lambda: f"{conductor.ended} of {conductor.issued} requests ended")
        self._account = {"connections": to_builtins(account.connections), "links": to_builtins(account.links)}

    def _write_manifest(self, status: str, ended: str | None = None) -> None:
        loaded, scenario, conductor = self._loaded, self._scenario, self._conductor
        write_manifest(
            self._options.directory,
            {
                "schema_version": SCHEMA_VERSION,
                "name": scenario.name,
                "command_line": list(self._options.command_line),
                "started": self._started,
                "ended": ended,
                "status": status,
                "git": git_state(),
                "versions": {**versions(), **(self._assembly.versions if self._assembly else {})},
                "machine": machine(),
                "machine_use": self._machine_use,
                "clock": scenario.clock.kind,
                "seed": scenario.seed,
                "scenario_hash": loaded.hash(),
                "epoch": "t = 0 when every engine is warm; virtual time",
                "replay_of": self._options.replay_of is not None,
                "recorded_disturbances": self._recorded_disturbances,
                "virtual_ns": conductor.clock.now_ns if conductor else None,
                # While it runs nobody keeps this up to date, and a killed run leaves it as it is.
                "issued": None if status == "running" else conductor.issued if conductor else 0,
                **(self._wall_parts or self._wall()),
                "paths": path_basis(scenario.network),
                "objectives": objectives(scenario, self._plans, self._repeated_kinds),
                "invariants": {"checked": dict(self._invariants.checked), "broken": self._invariants.broken},
                "traces": {name: trace.use for name, trace in self._assembly.traces.items()} if self._assembly else {},
                "children": self._assembly.children if self._assembly else {},
                "engine_hosts": self._assembly.engine_hosts if self._assembly else {},
                "refused_messages": self._assembly.refused_messages() if self._assembly else {},
                **self._account,
                "lines": None if status == "running" or self._writer is None else self._writer.lines(),
            },
        )

    def _wall(self) -> dict[str, Any]:
        """Wall time by part: what is neither start-up nor waiting for engines or network is the conductor's."""
        wall_ns = monotonic_ns() - self._start_ns
        if self._ready_ns is None or self._assembly is None:
            return {"wall_ns": wall_ns, "wall_ns_by_part": {"startup": wall_ns}}
        startup_ns = self._ready_ns - self._start_ns
        engine_ns = self._assembly.engines_wall_ns() - self._startup_waits_ns[0]
        network_ns = self._assembly.network.wall_ns - self._startup_waits_ns[1]
        parts = {"startup": startup_ns, "engine": engine_ns, "network": network_ns}
        parts["conductor"] = wall_ns - sum(parts.values())
        run_wall_ns = self._assembly.ns3.run_wall_ns if self._assembly.ns3 else None
        return {"wall_ns": wall_ns, "wall_ns_by_part": parts, "ns3_run_wall_ns": run_wall_ns}


def _recorded_disturbances(scenario: Scenario, replay_of: Path | None) -> list[str]:
    """What is said against the durations that this run repeats."""
    from cosim.results.summary import read_disturbances

    if replay_of is not None:
        return read_disturbances(replay_of)
    runs = dict.fromkeys(tier.engine.run for tier in scenario.tiers.values() if tier.engine.kind == "replay")
    return [reason for run in runs for reason in read_disturbances(Path(run))]


def _repeated_kinds(scenario: Scenario, replay_of: Path | None) -> dict[str, str | None]:
    """By tier of kind replay: of what kind the engine was whose steps it repeats; a recording may repeat another."""
    kinds = {}
    for name, tier in scenario.tiers.items():
        if tier.engine.kind == "replay":
            manifest = read_manifest(replay_of or Path(tier.engine.run))
            recorded = mapping(mapping(mapping(manifest.get("objectives")).get("tiers")).get(name))
            kinds[name] = recorded.get("repeats") or recorded.get("kind")
    return kinds


def objectives(scenario: Scenario, plans: list[EnginePlan], repeated_kinds: Mapping[str, str | None]) -> dict[str, Any]:
    """What results are judged by, with units resolved."""
    return {
        "sla": {name: objective.e2el for name, objective in scenario.sla.items()},
        "validity": {
            "min_requests": scenario.validity.min_requests,
            "max_error_share": scenario.validity.max_error_share,
            "max_cpu_wait_share": scenario.validity.max_cpu_wait_share,
            "max_other_load": scenario.validity.max_other_load,
            "max_step_drift": scenario.validity.max_step_drift,
            "allow_extrapolated": scenario.validity.allow_extrapolated,
        },
        "tiers": {
            name: {
                "kind": tier.engine.kind,
                "repeats": repeated_kinds.get(name),
                "model": tier.engine.served_name,
                "hardware": next((plan.hardware for plan in plans if plan.tier == name), None),
                "steps_from": next((plan.steps_from for plan in plans if plan.tier == name), None),
                "sharing": tier.engine.sharing,
                "time_scale": tier.engine.time_scale,
                "path": tier.path,
                "per_client": tier.per_client,
                "engines": [plan.name for plan in plans if plan.tier == name],
            }
            for name, tier in scenario.tiers.items()
        },
        "loop": {group.name: "closed" if group.closed_loop else "open" for group in scenario.clients},
    }
