"""Runs one after another in one process, their children kept or not, and what of a run must be the same."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cosim.kept_children import KeptChildren
from cosim.results.terminal import Progress
from cosim.run import RunOptions, execute
from cosim.scenario.load import load

SAME_IN_MANIFEST = ("children", "versions", "engine_hosts", "connections", "links", "invariants", "lines", "virtual_ns")


def forget_pytest() -> None:
    """A worker's environment is the same for all its runs; pytest puts the name of each test into it."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)


class InterruptedProgress(Progress):
    """Ctrl-C when the first request has ended."""

    def __init__(self) -> None:
        super().__init__("none", 0)

    def update(self, now_ns: int, issued: int, ended: int, by_tier: dict[str, tuple[int, int]]) -> None:
        raise KeyboardInterrupt


@dataclass
class Worker:
    """Carries out runs in `folder`."""

    folder: Path
    kept: KeptChildren | None

    def run(
        self,
        name: str,
        data: dict[str, Any],
        *,
        seed: int = 1,
        progress: Progress | None = None,
        replay_of: str | None = None,
    ) -> dict[str, Any]:
        """All of a run that no clock of this machine has a part in."""
        forget_pytest()
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump({**data, "seed": seed}))
        directory = self.folder / name
        recorded = self.folder / replay_of if replay_of is not None else None
        options = RunOptions(directory, False, ("test",), recorded, kept=self.kept)
        execute(load(file, environment={}), options, progress or Progress("none", 0))
        files = [*directory.glob("*.jsonl"), *directory.glob("timeseries/*"), *directory.glob("pcap/*")]
        manifest = json.loads((directory / "manifest.json").read_text())
        return {
            **{str(file.relative_to(directory)): file.read_bytes() for file in files},
            **{key: manifest[key] for key in SAME_IN_MANIFEST},
        }
