"""The commands; each parses its arguments, calls one function and turns the outcome into an exit code."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cosim import __version__
from cosim.scenario.errors import Problem, ScenarioError
from cosim.signals import TerminatedError, first_signal_raises
from cosim.sweep.capacity_command import capacity
from cosim.sweep.command_line import sweep_app

if TYPE_CHECKING:
    from cosim.scenario.load import Loaded

EXIT_OK, EXIT_BAD, EXIT_FAILED, EXIT_INVALID, EXIT_OBJECTIVE = 0, 2, 3, 4, 5
EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143

# Some releases of typer bring a click of their own: its usage errors can only be named through typer.
UsageError: type[Any] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="cosim",
    help="What a user of a real LLM server sees when a mobile access network and a WAN stand between them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(sweep_app, name="sweep", help="Run every point of a scenario's sweep.")
app.command()(capacity)

ScenarioPath = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario file (YAML).")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=V", help="Give a key another value.")]
Ui = Literal["auto", "rich", "plain", "none"]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        print(f"cosim {__version__}")
        raise typer.Exit


@app.command()
def run(
    scenario: ScenarioPath,
    output: Annotated[Path | None, typer.Option("-o", "--output-dir", help="Run directory.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run that is already there.")] = False,
    set_: Settings = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set seed=N.")] = None,
    fail_on: Annotated[
        list[str] | None, typer.Option("--fail-on", metavar="EXPR", help='Such as "edge.premium.sla_hit_rate<0.95".')
    ] = None,
    ui: Annotated[Ui, typer.Option(help="How progress is shown, on stderr.")] = "auto",
    json_: Annotated[bool, typer.Option("--json", help="Print summary.json to stdout at the end.")] = False,
) -> None:
    """Run a scenario."""
    from cosim.results.objective import parse_objective

    settings = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]
    objectives = [parse_objective(text) for text in fail_on or []]
    loaded = _load(scenario, settings)
    if loaded.scenario.sweep is not None:
        _tell(f"warning: {scenario} has a sweep, of which this runs the scenario itself; `cosim sweep` runs the points")
        loaded = loaded.base()
    for objective in objectives:
        objective.check(loaded.scenario.tiers, loaded.scenario.sla)
    directory = output or Path("results") / loaded.scenario.name
    summary = _execute(loaded, directory, force=force, ui=ui, json_=json_)
    missed = [objective for objective in objectives if objective.missed(summary)]
    for objective in missed:
        print(f"objective missed: {objective.explain(summary)}", file=sys.stderr)
    if summary["verdict"] != "VALID":
        raise typer.Exit(EXIT_INVALID)
    if missed:
        raise typer.Exit(EXIT_OBJECTIVE)


@app.command()
def replay(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Directory of an earlier run.")],
    output: Annotated[Path | None, typer.Option("-o", "--output-dir", help="Run directory.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run that is already there.")] = False,
    ui: Annotated[Ui, typer.Option(help="How progress is shown, on stderr.")] = "auto",
    json_: Annotated[bool, typer.Option("--json", help="Print summary.json to stdout at the end.")] = False,
) -> None:
    """Run the scenario of an earlier run again with the steps that were recorded; needs no vLLM."""
    from cosim.results.store import SCENARIO, STEPS

    for name in (SCENARIO, STEPS):
        if not (run_directory / name).is_file():
            raise ScenarioError([Problem(str(run_directory), None, "", f"has no {name}", "the directory of a run")])
    directory = output or run_directory.with_name(run_directory.name + "-replay")
    if directory.resolve() == run_directory.resolve():
        raise ScenarioError([Problem(str(directory), None, "-o", "is the recorded run itself", "another directory")])
    loaded = _load(run_directory / SCENARIO, [], environment={})
    summary = _execute(loaded, directory, force=force, ui=ui, json_=json_, replay_of=run_directory)
    if summary["verdict"] != "VALID":
        raise typer.Exit(EXIT_INVALID)


@app.command()
def profile(
    scenario: Annotated[Path | None, typer.Argument(metavar="[SCENARIO]", help="Measure the engine of a tier.")] = None,
    tier: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which tier's; of several engines the first.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="A model by hub name or path.")] = None,
    synthetic: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Dummy weights: a shipped model, such as qwen2.5-vl-3b, or a path."),
    ] = None,
    hardware: Annotated[str, typer.Option(metavar="HW", help="auto, cpu, gpu or gpu:N.")] = "auto",
    quantization: Annotated[
        str | None, typer.Option(metavar="Q", help="fp16, fp8, w8a8, awq or w4a16; default: as the model is.")
    ] = None,
    arg: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An engine argument of vLLM.")] = None,
    repetitions: Annotated[int, typer.Option(metavar="N", help="Samples of each shape, at least 5.")] = 10,
    seed: Annotated[int, typer.Option(help="Of texts, pictures and the order of shapes.")] = 0,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The profile.")],
) -> None:
    """Measure an engine's steps, shape by shape, for runs without its hardware."""
    from cosim.profiling.command import profile as measure

    measure(
        scenario,
        tier=tier,
        model=model,
        synthetic=synthetic,
        hardware=hardware,
        quantization=quantization,
        args=arg or [],
        repetitions=repetitions,
        seed=seed,
        output=output,
        say=_tell,
    )


@app.command()
def validate(scenario: ScenarioPath, set_: Settings = None) -> None:
    """Check a scenario without starting anything."""
    from cosim.requirements import check_names

    loaded = _load(scenario, set_ or [])
    check_names(loaded)
    print(f"{scenario}: {loaded.scenario.name} is a valid scenario (seed {loaded.scenario.seed})")
    if loaded.scenario.sweep is not None:
        from cosim.sweep.command import sweep_lines

        print(sweep_lines(loaded)[0])


@app.command()
def plan(scenario: ScenarioPath, set_: Settings = None) -> None:
    """Print what a run would start, send and measure."""
    from cosim.plan import plan_lines
    from cosim.requirements import check_names

    loaded = _load(scenario, set_ or [])
    check_names(loaded)
    lines = list(plan_lines(loaded))
    if loaded.scenario.sweep is not None:
        from cosim.sweep.command import sweep_lines

        lines += sweep_lines(loaded)
    for line in lines:
        print(line)


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run or of a sweep.")],
    json_: Annotated[bool, typer.Option("--json", help="Print a run's summary.json to stdout.")] = False,
) -> None:
    """Rebuild what is made of the files of a run (summary.json, report.html) or of a sweep (tables, report.html)."""
    from cosim.results.report import write_report
    from cosim.results.summary import write_summary
    from cosim.results.sweep_report import write_sweep_report
    from cosim.results.sweep_store import SUMMARY_TABLE, is_sweep
    from cosim.results.sweep_tables import write_tables

    if is_sweep(directory):
        if json_:
            raise typer.BadParameter(f"a sweep has no summary.json; its figures are in {directory / SUMMARY_TABLE}")
        write_tables(directory)
        print(f"report: {write_sweep_report(directory)}")
        return
    summary = write_summary(directory)
    path = write_report(directory, summary)
    _show(summary, path, json_=json_)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run, a point of a sweep (SWEEP/points/SLUG) or a sweep.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another, which the differences are seen from.")],
    json_: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Say what differs between two runs, points or sweeps, paired by seed and request, and how sure that is."""
    from cosim.results.compare import compare as compare_results
    from cosim.results.compare_text import comparison_lines

    comparison = compare_results(a, b)
    if json_:
        import msgspec

        print(json.dumps(msgspec.to_builtins(comparison), indent=1, ensure_ascii=False))
    else:
        print("\n".join(comparison_lines(comparison)))
    if comparison.objections:
        raise typer.Exit(EXIT_INVALID)


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run, or of a sweep.")],
    to: Annotated[Literal["csv", "parquet", "perfetto", "vllm-bench"], typer.Option(help="Format.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PATH", help="A folder for tables, else a file.")
    ] = None,
    tier: Annotated[str | None, typer.Option(metavar="NAME", help="Which tier's requests (vllm-bench).")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are already there.")] = False,
) -> None:
    """Write a run's requests, trace or figures in the format of other tools."""
    from cosim.export.command import export as write

    for path in write(directory, to, output, tier=tier, force=force, say=_tell):
        print(path)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a scenario."""
    from cosim.scenario.load import json_schema

    print(json.dumps(json_schema(), indent=1))


@app.command()
def paths(
    preset: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show all of one preset.")] = None,
) -> None:
    """List the presets of WAN paths: values, sources, dates, and what is an assumption."""
    from cosim.path_table import preset_lines

    for line in preset_lines(preset):
        print(line)


@app.command()
def doctor() -> None:
    """Say what works on this machine, what is missing, and the command that would mend it."""
    from cosim.doctor import run as examine

    for line in examine():
        print(line)


@app.command()
def keys(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory for the keys.")],
    client: Annotated[str, typer.Option(metavar="NAME", help="Name of the client.")] = "client",
) -> None:
    """Make the keys of an engine host and a client; with --client, of a further client of the same host."""
    from cosim.bridge.keys import make_keys, placement

    make_keys(directory, client)
    print(placement(directory, client))


@app.command()
def engine_host(
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Such as tcp://0.0.0.0:5555; port 0: any free one.")],
    keys: Annotated[Path, typer.Option(metavar="DIR", help="The directory that `cosim keys` made.")],
) -> None:
    """Serve engines on this machine to runs on others, until Ctrl-C."""
    from cosim.engine_host import serve

    serve(listen, keys)


def _load(path: Path, settings: list[str], environment: dict[str, str] | None = None) -> Loaded:
    from cosim.scenario.load import load

    loaded = load(path, settings=settings, environment=environment)
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return loaded


def _execute(
    loaded: Loaded, directory: Path, *, force: bool, ui: Ui, json_: bool, replay_of: Path | None = None
) -> dict[str, Any]:
    from cosim.results.display import choose_mode
    from cosim.results.terminal import Progress
    from cosim.run import RunFailedError, RunOptions, execute

    options = RunOptions(directory, force, tuple(sys.argv), replay_of)
    progress = Progress(choose_mode(ui), loaded.scenario.warmup + loaded.scenario.duration)
    try:
        summary = execute(loaded, options, progress)
    except (KeyboardInterrupt, RunFailedError, TerminatedError):
        _tell(f"what was recorded is in {directory}")
        raise
    _show(summary, directory / "report.html", json_=json_)
    return summary


def _show(summary: dict[str, Any], report_path: Path, *, json_: bool) -> None:
    from rich.console import Console

    from cosim.results.terminal import print_summary

    print_summary(summary, Console(stderr=True) if json_ else Console())
    print(f"report: {report_path}", file=sys.stderr if json_ else sys.stdout)
    if json_:
        print(json.dumps(summary, indent=1, ensure_ascii=False))


def main() -> None:
    """Entry point of the `cosim` command."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # Closed by whoever started us: there is nobody to tell.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    # Also where SIGINT is ignored at the start, as in a shell script's background jobs: `kill -INT` shall end a run.
    with first_signal_raises():
        sys.exit(guarded(lambda: app(standalone_mode=False)))


def guarded(command: Callable[[], Any]) -> int:
    """Run a command; errors that have a cause outside cosim become one message and an exit code, no traceback."""
    try:
        outcome = command()
        sys.stdout.flush()
    except ScenarioError as error:
        return _say(str(error), EXIT_BAD)
    except typer.Exit as error:
        outcome = error.exit_code
    except UsageError as error:
        error.show()
        return EXIT_BAD
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", EXIT_INTERRUPTED)
    except (OSError, SystemExit) as error:
        # Standard output is full, or whoever read it has gone (typer then raises SystemExit). What the command wrote on
        # disk is complete.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        gone = isinstance(error, (BrokenPipeError, SystemExit))
        return EXIT_FAILED if gone else _say(f"cannot write output: {error}", EXIT_FAILED)
    except BaseException as error:
        code = _exit_code(error)
        if code is None:
            raise
        return _say(str(error) or "terminated", code)
    if outcome == EXIT_INTERRUPTED:  # What typer makes of Ctrl-C.
        return _say("interrupted", EXIT_INTERRUPTED)
    return int(outcome) if isinstance(outcome, int) else EXIT_OK


def _exit_code(error: BaseException) -> int | None:
    """Exit code of an error whose module is only loaded by the command that raises it."""
    codes = {
        "MissingExtraError": EXIT_BAD,
        "KeyFileError": EXIT_BAD,
        "ListenError": EXIT_BAD,
        "ObjectiveError": EXIT_BAD,
        "ResultsError": EXIT_BAD,
        "RunFailedError": EXIT_FAILED,
        "SweepFailedError": EXIT_FAILED,
        "RecordingFailedError": EXIT_FAILED,
        "ChildError": EXIT_FAILED,
        "PlacementError": EXIT_FAILED,
        "TerminatedError": EXIT_TERMINATED,
    }
    return codes.get(type(error).__name__) if re.match(r"cosim\.", type(error).__module__) else None


def _say(text: str, code: int) -> int:
    _tell(text)
    return code


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # The exit code says how it ended also where standard error takes nothing.
        print(text, file=sys.stderr)
