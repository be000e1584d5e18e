"""Runs carried out in this process, into a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cosim.results.terminal import Progress
from cosim.run import RunOptions, execute
from cosim.scenario.load import load
from tests.lockstep import chat, scenario, stub


def carry_out(data: dict[str, Any], folder: Path, name: str = "run", *, replay_of: Path | None = None) -> Path:
    """The directory of a run of a scenario, or of a replay."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(data))
    execute(load(file, environment={}), RunOptions(folder / name, False, (), replay_of), Progress("none", 0))
    return folder / name


def everything(**overrides: Any) -> dict[str, Any]:
    """Three tiers over `pipe`: answers that overlap, that come too late, that nobody waits for, that are skipped."""
    fast = {"kind": "poisson", "rate": "30/s"}
    data = scenario(
        name="everything",
        duration="2s",
        warmup="200ms",
        tiers={
            "device": {"engine": stub(prefill="30ms"), "per_client": True},
            "edge": {"path": "edge", "engine": stub(prefill="15ms", decode="8ms")},
            "cloud": {"path": "cloud", "engine": stub(prefill="5ms", decode="2ms")},
        },
        clients=[
            chat("near", tier="edge", count=2, arrivals=fast, output_tokens=6, timeout="92ms"),
            chat("far", tier="cloud", count=2, output_tokens=8),
            chat("alone", tier="device", output_tokens=3),
            {"name": "cam", "kind": "frames", "tier": "cloud", "period": "40ms", "on_overrun": "skip",
             "image": {"width": 64, "height": 48}, "output_tokens": 4},
        ],
        timeline=[{"at": "1s", "set": {"network.paths.cloud.delay": "40ms"}}],
        validity={"min_requests": 1, "max_error_share": "100%"},
    )  # fmt: skip
    return {**data, **overrides}
