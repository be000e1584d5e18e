"""Scenarios whose path `cloud` a test gives, and what is said against them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.scenario.errors import ScenarioError
from cosim.scenario.links import Path as PathSection
from cosim.scenario.load import Loaded, load
from tests.lockstep import chat, scenario, stub


def with_cloud(cloud: dict[str, Any], **overrides: Any) -> dict[str, Any]:
    """One user of one server, over an access without delay and the path `cloud`."""
    data = scenario(clients=[chat("user", tier="cloud")], tiers={"cloud": {"path": "cloud", "engine": stub()}})
    data["network"] |= {"access": {"kind": "link"}, "core": {}, "paths": {"cloud": cloud}}
    return data | overrides


def loaded(folder: Path, cloud: dict[str, Any], *, flags: Iterable[str] = (), **overrides: Any) -> Loaded:
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(with_cloud(cloud, **overrides), sort_keys=False))
    return load(file, settings=flags, environment={})


def cloud_of(found: Loaded) -> PathSection:
    return found.scenario.network.paths["cloud"]


def again(folder: Path, first: Loaded) -> Loaded:
    """The resolved scenario, read in a folder without any other file."""
    (folder / "elsewhere").mkdir(exist_ok=True)
    file = folder / "elsewhere" / "resolved.yaml"
    file.write_text(first.resolved_yaml())
    return load(file, environment={})


def faults(folder: Path, cloud: dict[str, Any], *, flags: Iterable[str] = (), **overrides: Any) -> list[str]:
    """`key: what; allowed` of every fault, after the line of the file that it names, if it is the scenario's."""
    with pytest.raises(ScenarioError) as caught:
        loaded(folder, cloud, flags=flags, **overrides)
    lines = (folder / "s.yaml").read_text().splitlines()
    told = []
    for problem in caught.value.problems:
        place = problem.origin
        if problem.line is not None:
            own = problem.origin == str(folder / "s.yaml")
            place = lines[problem.line - 1].strip() if own else f"{Path(problem.origin).name}:{problem.line}"
        told.append(f"{place} | {problem.key}: {problem.what}; {problem.allowed}")
    return told
