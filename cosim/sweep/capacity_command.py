"""`cosim capacity`: the largest load that still meets an objective."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

if TYPE_CHECKING:
    from cosim.results.capacity_text import Answer


def capacity(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario file (YAML).")],
    vary: Annotated[str, typer.Option(metavar="A.B", help="The key that is the load, such as clients.0.count.")],
    sla_class: Annotated[str, typer.Option("--class", metavar="NAME", help="The SLA class to meet.")],
    target: Annotated[float, typer.Option(metavar="SHARE", help="Of requests that have to meet it.")] = 0.95,
    tier: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose requests; needed if there are several.")
    ] = None,
    least: Annotated[str | None, typer.Option("--from", metavar="LOAD", help="Smallest load that is tried.")] = None,
    most: Annotated[str | None, typer.Option("--to", metavar="LOAD", help="Largest load that is tried.")] = None,
    step: Annotated[
        str | None, typer.Option(metavar="LOAD", help="Resolution; default: 1 of a count, else --from.")
    ] = None,
    num_runs: Annotated[int, typer.Option(metavar="N", help="Seeds of each load.")] = 5,
    output: Annotated[Path | None, typer.Option("-o", "--output-dir", help="Directory of the runs.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the runs that are there.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, metavar="N", help="Runs at a time; default: one for each CPU.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=V", help="Give a key another value.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set seed=N.")] = None,
    ui: Annotated[
        Literal["auto", "rich", "plain", "none"], typer.Option(help="How progress is shown, on stderr.")
    ] = "auto",
    json_: Annotated[bool, typer.Option("--json", help="Print capacity.json to stdout at the end.")] = False,
) -> None:
    """Find the largest load whose hit rate, by the lower end of its interval over seeds, still meets a target."""
    from cosim.results.capacity_text import Answer
    from cosim.results.display import choose_mode
    from cosim.results.locked_directory import locked_directory
    from cosim.scenario.errors import Problem, ScenarioError
    from cosim.scenario.load import Loaded, load
    from cosim.sweep.capacity import begin, question, refuse_other, search, write_capacity
    from cosim.sweep.command import tell
    from cosim.sweep.directory import earlier_sweep, empty
    from cosim.sweep.driver import make_tables
    from cosim.sweep.local import LocalExecutor
    from cosim.sweep.progress import SweepProgress

    settings = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]

    def fault(value: Any) -> Problem | None:
        try:
            load(scenario, settings=[*settings, f"{vary}={json.dumps(value)}"])
        except ScenarioError as error:
            return error.problems[0]
        return None

    asked = question(
        load(scenario, settings=settings).base(),
        vary=vary,
        sla_class=sla_class,
        tier=tier,
        target=target,
        runs=num_runs,
        least=least,
        most=most,
        step=step,
        fault=fault,
    )

    def load_sweep(section: dict[str, Any]) -> Loaded:
        return load(scenario, settings=[*settings, f"sweep={json.dumps(section)}"])

    name = load_sweep({"kind": "list", "points": [{vary: asked.load.written(asked.bracket.low)}]}).scenario.name
    directory = output or Path("results") / f"{name}-capacity"
    with locked_directory(directory, "sweep"), LocalExecutor(jobs or len(os.sched_getaffinity(0))) as executor:
        if earlier_sweep(directory, resume=resume, force=force) is None:
            empty(directory)
        else:
            refuse_other(directory, asked, load_sweep)
        begin(directory, asked)  # An earlier answer may be another question's.
        try:
            findings, points = search(
                asked,
                directory,
                load_sweep=load_sweep,
                executor=executor,
                progress=lambda tally: SweepProgress(choose_mode(ui), tally),
                say=tell,
            )
        except BaseException:
            tell(f"what was run is in {directory}; the same command with --resume goes on")
            raise
    content = write_capacity(directory, asked, findings)
    make_tables(directory, points, changed=True, say=tell)
    if json_:
        print(json.dumps(content, indent=1))
    else:
        for line in _lines(msgspec.convert(content, Answer)):
            print(line)
    if content["invalid"]:
        raise typer.Exit(4)


def _lines(answer: Answer) -> Iterator[str]:
    """The curve as a table, then the answer."""
    from cosim.results.capacity_text import HEADER, answer_lines, asked_text, curve_rows
    from cosim.results.terminal import columns, wrapped

    yield from wrapped(f"service capacity: {asked_text(answer)}")
    yield ""
    yield from columns(HEADER, curve_rows(answer))
    yield ""
    for line in answer_lines(answer):
        yield from wrapped(line, others="  ")
