"""The arguments of `cosim sweep` and of what belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from cosim.scenario.errors import Problem, ScenarioError

POINTS = "points"


class _PointsByDefault(TyperGroup):
    """`cosim sweep SCENARIO` means `cosim sweep points SCENARIO`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the command that is not written."""
        named = args and args[0] in self.commands
        return super().parse_args(ctx, args if named else [POINTS, *args])


sweep_app = typer.Typer(cls=_PointsByDefault, rich_markup_mode=None)


@sweep_app.command(POINTS)
def sweep(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario file (YAML) with a sweep.")],
    output: Annotated[Path | None, typer.Option("-o", "--output-dir", help="Directory of the sweep.")] = None,
    num_runs: Annotated[int | None, typer.Option(metavar="N", help="Same as --set sweep.repeats=N.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep that is there.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the sweep that is there.")] = False,
    continue_on_error: Annotated[
        bool, typer.Option("--continue-on-error", help="Go on after a failed run; default: begin no further one.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="At the first failed run also interrupt those under way.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every point and list the runs.")] = False,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, metavar="N", help="Runs at a time; default: one for each CPU.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only every N-th point, from the I-th; `merge` joins them.")
    ] = None,
    executor: Annotated[
        Literal["local", "ray"], typer.Option(help="Runs on this machine, or on those of a Ray cluster.")
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="auto or HOST:PORT; default: RAY_ADDRESS, or a cluster of this machine."),
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=V", help="Give a key another value.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set seed=N.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="However many runs.")] = False,
    ui: Annotated[
        Literal["auto", "rich", "plain", "none"], typer.Option(help="How progress is shown, on stderr.")
    ] = "auto",
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout at the end.")] = False,
) -> None:
    """Run every point of a scenario's sweep. The word `points` may be left out.

    `cosim sweep merge DIR... -o DIR` makes one sweep of the directories that --shard made.
    """
    from cosim.scenario.load import load
    from cosim.sweep.command import SweepOptions
    from cosim.sweep.command import sweep as carry_out
    from cosim.sweep.shard import parse_shard

    if continue_on_error and fail_fast:
        raise ScenarioError([Problem("--fail-fast", None, "", "given beside --continue-on-error", "one of the two")])
    settings = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]
    settings += [f"sweep.repeats={num_runs}"] if num_runs is not None else []
    loaded = load(scenario, settings=settings)
    options = SweepOptions(
        directory=output or Path("results") / loaded.scenario.name,
        resume=resume,
        force=force,
        on_failure="continue" if continue_on_error else "interrupt" if fail_fast else "finish",
        dry_run=dry_run,
        workers=jobs,
        shard=None if shard is None else parse_shard(shard),
        executor=executor,
        ray_address=ray_address,
        yes=yes,
        ui=ui,
        json=json_,
    )
    if code := carry_out(loaded, options):
        raise typer.Exit(code)


@sweep_app.command()
def merge(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="What `cosim sweep --shard` made.")],
    output: Annotated[Path, typer.Option("-o", "--output-dir", help="Directory of the whole sweep, to be made.")],
    partial: Annotated[bool, typer.Option("--partial", help="Also if a shard is missing.")] = False,
) -> None:
    """Make one sweep of the directories of its shards."""
    from cosim.sweep.command import merge as carry_out

    if code := carry_out(directories, output, partial=partial):
        raise typer.Exit(code)
