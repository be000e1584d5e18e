"""A sweep of real runs that take a tenth of a second each: a stub engine behind a pipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cosim.kept_children import KeptChildren
from cosim.results.sweep_store import is_sweep, read_sweep
from cosim.scenario.load import load
from cosim.sweep.base import Outcome, RunTask
from cosim.sweep.directory import write_sweep
from cosim.sweep.driver import carry_out_sweep, make_tables, work_of
from cosim.sweep.progress import SweepProgress
from cosim.sweep.shard import parse_shard
from cosim.sweep.work import carry_out

SCENARIO = """\
schema_version: 1
name: small
seed: 1
clock: {{kind: lockstep}}
duration: {duration}
warmup: 0s
network:
  kind: pipe
  access: {{kind: link, uplink: {{rate: 60Mbit/s, delay: 8ms}}, downlink: {{rate: 300Mbit/s, delay: 4ms}}}}
  paths: {{cloud: {{delay: 32.5ms, rate: 1Gbit/s}}}}
tiers: {{cloud: {{path: cloud, engine: {{kind: stub}}}}}}
clients:
- {{name: user, kind: chat, tier: cloud, arrivals: {{kind: poisson, rate: 10/s}}, prompt_tokens: 64, output_tokens: 8}}
sla: {{premium: {{e2el: 100ms}}}}
validity: {{min_requests: 1}}
sweep:
  kind: grid
  repeats: {repeats}
  parameters: {{network.paths.cloud.delay: [5ms, 20ms, 40ms, 60ms]}}
"""


def scenario(path: Path, duration: str = "2s", repeats: int = 2) -> Path:
    """The file, which has four points."""
    path.write_text(SCENARIO.format(duration=duration, repeats=repeats))
    return path


class HereExecutor:
    """Carries out runs in this process."""

    def execute(self, sweep_directory: Path, tasks: Sequence[RunTask], ended: Callable[[Outcome], bool]) -> None:
        """One task after another."""
        kept = KeptChildren()
        for task in tasks:
            if not ended(carry_out(sweep_directory, task, kept)):
                break
        kept.close()


def sweep_here(file: Path, directory: Path, shard: str | None = None) -> Path:
    """Sweep a scenario in this process, or go on with the sweep that is there; returns the directory."""
    loaded = load(file, environment={})
    earlier = read_sweep(directory) if is_sweep(directory) else None
    work = work_of(loaded, directory, earlier, runnable=True, shard=None if shard is None else parse_shard(shard))
    if earlier is None:
        directory.mkdir()
        write_sweep(directory, work.sweep, loaded.resolved_yaml())
    carry_out_sweep(work, directory, HereExecutor(), SweepProgress("none", work.tally), "continue")
    make_tables(directory, work.sweep.points, changed=True, say=lambda text: None)
    return directory
