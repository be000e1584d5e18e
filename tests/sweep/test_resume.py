"""What a sweep that goes on is compared with: the scenario and the files that it names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from cosim.results.store import ResultsError
from cosim.results.sweep_store import Sweep, read_sweep
from cosim.scenario.load import Loaded
from cosim.sweep.compared import check_files, compared
from cosim.sweep.directory import write_sweep
from cosim.sweep.driver import Work, work_of
from cosim.sweep.merge import merge
from cosim.sweep.shard import parse_shard
from tests.sweep.rig import SECTION, loaded


def begun(base: Loaded, directory: Path, shard: str | None = None) -> Work:
    """A sweep of which no run was carried out."""
    work = work_of(base, directory, None, runnable=False, shard=None if shard is None else parse_shard(shard))
    directory.mkdir()
    write_sweep(directory, work.sweep, base.resolved_yaml())
    return work


def test_a_scenario_that_cannot_be_compared_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    work = begun(loaded(tmp_path), out)
    (out / "sweep.resolved.yaml").write_bytes(b"\xff")
    with pytest.raises(ResultsError, match=r"sweep\.resolved\.yaml is damaged: it is not UTF-8 text; sweep again"):
        work_of(loaded(tmp_path, duration="400ms"), out, work.sweep, runnable=False)


def test_another_time_limit_is_no_other_sweep(tmp_path: Path) -> None:
    limit, more = ({**SECTION, "time_limit": text} for text in ("2s", "60s"))
    work = begun(loaded(tmp_path, limit), tmp_path / "out")
    again = work_of(loaded(tmp_path, more), tmp_path / "out", work.sweep, runnable=False)
    assert {task.time_limit_s for task in work.tasks} == {2.0}
    assert {task.time_limit_s for task in again.tasks} == {60.0}
    assert len(again.tasks) == len(work.tasks)


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


CLIENT: dict[str, Any] = {"name": "user", "kind": "trace", "tier": "edge", "file": "trace.jsonl"}
CAMERA: dict[str, Any] = {"name": "cam", "kind": "frames", "tier": "edge", "period": "1s", "folder": "pictures"}
REPLAY: dict[str, Any] = {"kind": "replay", "run": "recorded"}


def tier(**engine: Any) -> dict[str, Any]:
    return {"edge": {"path": "edge", "engine": {"kind": "vllm", "model": "nobody/model", **engine}}}


# The key, the file, what the scenario says, and what is swept.
Case = tuple[str, str, dict[str, Any], dict[str, list[Any]]]
DELAYS: dict[str, list[Any]] = {"network.paths.edge.delay": ["1ms", "2ms"]}
NAMED: dict[str, Case] = {
    "trace": ("clients.0.file", "trace.jsonl", {"clients": [CLIENT]}, DELAYS),
    "pictures": ("clients.0.folder", "pictures/1.jpg", {"clients": [CAMERA]}, DELAYS),
    "steps": ("tiers.edge.engine.run", "recorded/steps.jsonl", {"tiers": tier(**REPLAY)}, DELAYS),
    "config": (
        "tiers.edge.engine.model.config",
        "c.json",
        {"tiers": tier(model={"kind": "config", "config": "c.json"})},
        DELAYS,
    ),
    "hardware": (
        "tiers.edge.engine.executor.profile",
        "h.yaml",
        {"tiers": tier(executor={"kind": "profiled", "profile": "h.yaml/slice"})},
        DELAYS,
    ),
    "section": (
        "sweep.parameters.tiers.edge.engine[1].run",
        "recorded/steps.jsonl",
        {},
        {"tiers.edge.engine": [{"kind": "stub"}, REPLAY]},
    ),
    "key": (
        "sweep.parameters.clients.0.file[1]",
        "trace.jsonl",
        {"clients": [{**CLIENT, "file": "other.jsonl"}]},
        {"clients.0.file": ["other.jsonl", "trace.jsonl"]},
    ),
}


@pytest.mark.parametrize("case", NAMED.values(), ids=NAMED)
def test_a_file_that_changed_is_refused_by_its_key(tmp_path: Path, case: Case) -> None:
    """Also one that only points that are done name."""
    key, name, overrides, parameters = case
    file, out = put(tmp_path / name, "as it was"), tmp_path / "out"
    base = loaded(tmp_path, {"kind": "grid", "parameters": parameters}, **overrides)
    before = compared(base)
    sweep = Sweep(1, "demo", [], [1], True, None, before.scenario_hash, [], before.files)
    check_files(out, sweep, compared(base))
    file.write_text("as it is now")
    with pytest.raises(ResultsError, match=f"^{re.escape(key)}: {tmp_path}/.* is another file than when {out} was beg"):
        check_files(out, sweep, compared(base))
    file.unlink()
    assert compared(base).files[key] != before.files[key]


def test_a_resume_and_a_merge_compare_files(tmp_path: Path) -> None:
    """By what they hold and not by where they lie, so that shards of other machines are of one sweep."""
    section = {"kind": "grid", "repeats": 1, "parameters": DELAYS}
    one, two = tmp_path / "here", tmp_path / "there"
    for folder, shard in ((one, "1/2"), (two, "2/2")):
        put(folder / "pictures/1.jpg", "a picture")
        begun(loaded(folder, section, clients=[CAMERA]), folder / "out", shard)
    merge([one / "out", two / "out"], tmp_path / "merged", partial=False)
    assert read_sweep(tmp_path / "merged").files.keys() == {"clients.0.folder"}
    put(two / "pictures/1.jpg", "another picture")
    base = loaded(two, section, clients=[CAMERA])
    with pytest.raises(ResultsError, match=r"^clients\.0\.folder: .*there/pictures is another file than when"):
        work_of(base, two / "out", read_sweep(two / "out"), runnable=False)
    shutil.rmtree(two / "out")
    begun(base, two / "out", "2/2")
    with pytest.raises(ResultsError, match=r"^clients\.0\.folder: .*here/out and .*there/out were run with different"):
        merge([one / "out", two / "out"], tmp_path / "again", partial=False)
