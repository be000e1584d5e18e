"""Shards that were run apart are the sweep that was run whole, byte for byte; anything else is refused by name."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cosim.results.locked_directory import locked_directory
from cosim.results.store import ResultsError
from cosim.results.sweep_store import read_sweep
from cosim.scenario.load import load
from cosim.sweep import command
from cosim.sweep.driver import work_of
from cosim.sweep.merge import Merged, merge
from cosim.sweep.shard import parse_shard
from tests.small_sweep import scenario, sweep_here

COMPARED = ("runs.csv", "summary.csv", "sweep.json", "sweep.resolved.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep as `whole`, and its shards as `one` and `two`."""
    folder = tmp_path_factory.mktemp("shards")
    file = scenario(folder / "small.yaml", repeats=1)
    sweep_here(file, folder / "whole")
    sweep_here(file, folder / "one", "1/2")
    sweep_here(file, folder / "two", "2/2")
    return folder


def cut(whole: Path, directory: Path, shard: str) -> Path:
    """What a shard's sweep would have left."""
    shutil.copytree(whole, directory, symlinks=True)
    sweep = read_sweep(directory)
    held = [point for point in sweep.points if parse_shard(shard).holds(point.index)]
    for point in sweep.points:
        if point not in held:
            shutil.rmtree(directory / "points" / point.slug)
    change(directory, shard=shard, points=held)
    return directory


def change(directory: Path, **changes: Any) -> None:
    sweep = msgspec.structs.replace(read_sweep(directory), **changes)
    (directory / "sweep.json").write_bytes(msgspec.json.encode(sweep))


def contents(directory: Path, names: Sequence[str]) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in names}


def merged(directories: Sequence[Path], out: Path, *, partial: bool = False) -> Merged:
    return merge(directories, out, partial=partial)


def test_two_shards_make_the_whole(folder: Path, tmp_path: Path) -> None:
    done = merged([folder / "two", folder / "one"], tmp_path / "out")
    names = [*COMPARED, *(f"points/{path.parent.parent.name}/run=0/requests.jsonl" for path in requests(folder))]
    assert len(names) == len(COMPARED) + 4
    assert contents(tmp_path / "out", names) == contents(folder / "whole", names)
    assert (done.tally.done, done.tally.total, done.files) == (4, 4, "hard links")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def requests(folder: Path) -> list[Path]:
    return sorted((folder / "whole").glob("points/*/run=0/requests.jsonl"))


def test_a_shard_says_that_it_is_one(folder: Path) -> None:
    assert read_sweep(folder / "one").shard == "1/2"
    assert [point.index for point in read_sweep(folder / "one").points] == [0, 2]


@pytest.mark.parametrize(("directory", "held"), [("one", "shard 1/2"), ("whole", "the whole sweep")])
def test_a_resume_of_another_shard_is_refused(folder: Path, directory: str, held: str) -> None:
    with pytest.raises(ResultsError, match=f"{directory} holds {held}, not shard 2/2; choose another directory"):
        sweep_here(folder / "small.yaml", folder / directory, "2/2")


def test_files_are_copied_where_there_are_no_hard_links(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    assert merged([folder / "one", folder / "two"], tmp_path / "out").files == "copies"
    assert contents(tmp_path / "out", COMPARED) == contents(folder / "whole", COMPARED)


def test_a_run_that_failed_is_carried_out_by_a_resume(folder: Path, tmp_path: Path) -> None:
    slug = read_sweep(folder / "two").points[1].slug
    shutil.copytree(folder / "two", tmp_path / "two")
    (tmp_path / "two/points" / slug / "run=0/summary.json").unlink()
    (tmp_path / "two/points" / slug / "run=0/failure.json").write_text('{"status": "failed", "text": "no memory"}')
    done = merged([folder / "one", tmp_path / "two"], tmp_path / "out")
    assert (done.tally.done, done.tally.failed) == (3, 1)
    loaded = load(folder / "small.yaml", environment={})
    work = work_of(loaded, tmp_path / "out", read_sweep(tmp_path / "out"), runnable=True)
    assert [(task.directory, why) for task, why in work.again] == [(f"points/{slug}/run=0", "failed: no memory")]


def test_a_resumed_run_leaves_the_shard_as_it_was(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(folder / name, tmp_path / name)
    (tmp_path / "one/points").joinpath(read_sweep(folder / "one").points[0].slug, "run=0/manifest.json").unlink()
    before = snapshot(tmp_path / "one")
    merged([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    sweep_here(folder / "small.yaml", tmp_path / "out")
    assert contents(tmp_path / "out", COMPARED) == contents(folder / "whole", COMPARED)
    assert snapshot(tmp_path / "one") == before


def snapshot(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_missing_shard_is_named(folder: Path, tmp_path: Path) -> None:
    parts = [cut(folder / "whole", tmp_path / f"part{shard[0]}", shard) for shard in ("1/4", "3/4")]
    with pytest.raises(ResultsError, match=r"shard 2,4/4 is missing beside .*part1 \(1/4\), .*part3 \(3/4\)"):
        merged(parts, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_some_shards_make_a_larger_one_that_can_be_merged_again(folder: Path, tmp_path: Path) -> None:
    parts = [cut(folder / "whole", tmp_path / f"part{shard[0]}", shard) for shard in ("1/3", "2/3", "3/3")]
    merged([parts[0], parts[2]], tmp_path / "some", partial=True)
    assert read_sweep(tmp_path / "some").shard == "1,3/3"
    merged([tmp_path / "some", parts[1]], tmp_path / "out")
    assert contents(tmp_path / "out", COMPARED) == contents(folder / "whole", COMPARED)


def test_shards_of_different_sweeps_are_refused_with_the_difference(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "two"
    shutil.copytree(folder / "two", other)
    change(other, scenario_hash="0" * 64)
    text = (other / "sweep.resolved.yaml").read_text()
    assert "duration: 2s" in text
    (other / "sweep.resolved.yaml").write_text(text.replace("duration: 2s", "duration: 3s"))
    with pytest.raises(ResultsError, match="are shards of different sweeps") as refused:
        merged([folder / "one", other], tmp_path / "out")
    assert re.findall(r"^[-+]\w.*$", str(refused.value), re.MULTILINE) == ["-duration: 2s", "+duration: 3s"]


def test_other_seeds_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "two", tmp_path / "two")
    change(tmp_path / "two", seeds=[7])
    with pytest.raises(ResultsError, match=r"have one scenario but differ in seeds: \[1\] and \[7\]"):
        merged([folder / "one", tmp_path / "two"], tmp_path / "out")


def test_a_shard_given_twice_is_refused_and_compared(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "one", tmp_path / "again")
    with pytest.raises(ResultsError, match="both hold shard 1/2, with the same requests where both have a run"):
        merged([folder / "one", folder / "two", tmp_path / "again"], tmp_path / "out")
    slug = read_sweep(folder / "one").points[1].slug
    (tmp_path / "again/points" / slug / "run=0/requests.jsonl").write_text("{}\n")
    with pytest.raises(
        ResultsError, match=f"both hold shard 1/2, with other requests in points/{re.escape(slug)}/run=0"
    ):
        merged([folder / "one", folder / "two", tmp_path / "again"], tmp_path / "out")


@pytest.mark.parametrize(
    ("parts", "out", "text"),
    [
        (["one", "one"], "out", "are one directory; give each shard once"),
        (["one", "whole"], "out", "whole holds a whole sweep already; give the directories of shards"),
        (["one", "two"], "whole", "whole exists; choose a directory that does not with -o"),
        (["one", "two"], "one/out", "lie within one another"),
        (["one", "."], "out", "lie within one another"),
        (["one", "small.yaml"], "out", "give the directory of a sweep"),
        (["one", "third"], "out", "is shard 1/2 and .*third shard 3/3: a sweep is cut in one way"),
    ],
)
def test_what_makes_no_sweep_is_refused(folder: Path, parts: list[str], out: str, text: str) -> None:
    if "third" in parts and not (folder / "third").exists():
        cut(folder / "whole", folder / "third", "3/3")
    before = sorted(folder.iterdir())
    with pytest.raises(ResultsError, match=text):
        merged([folder / part for part in parts], folder / out)
    assert sorted(folder.iterdir()) == before


def test_a_shard_that_is_under_way_is_refused(folder: Path, tmp_path: Path) -> None:
    with (
        locked_directory(folder / "two", "sweep"),
        pytest.raises(ResultsError, match=r"another sweep is writing into .*two"),
    ):
        merged([folder / "one", folder / "two"], tmp_path / "out")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device", "a file")])
def test_what_is_interrupted_leaves_nothing_that_looks_whole(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    def stopped(*args: Any, **kwargs: Any) -> None:
        raise stop

    monkeypatch.setattr("cosim.sweep.merge.write_sweep", stopped)
    expected = KeyboardInterrupt if isinstance(stop, KeyboardInterrupt) else ResultsError
    with pytest.raises(expected):
        merged([folder / "one", folder / "two"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_merge_left_is_replaced(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out.merging/points/stale/run=0").mkdir(parents=True)
    (tmp_path / "out.merging/sweep.json").write_text("{}")
    merged([folder / "one", folder / "two"], tmp_path / "out")
    assert contents(tmp_path / "out", COMPARED) == contents(folder / "whole", COMPARED)
    assert not (tmp_path / "out/points/stale").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_a_folder_of_the_user_in_the_way_is_left_alone(folder: Path, tmp_path: Path, kind: str) -> None:
    mine, staging = tmp_path / "mine", tmp_path / "out.merging"
    (mine / "points").mkdir(parents=True)
    (mine / "notes.txt").write_text("of the user")
    if kind == "folder":
        mine.rename(staging)
    elif kind == "link":
        shutil.rmtree(mine)
        mine.mkdir()
        staging.symlink_to(mine)
    else:
        staging.write_text("of the user")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ResultsError, match=r"out\.merging.*choose another directory with -o"):
        merged([folder / "one", folder / "two"], tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_scenario_of_a_shard_is_told(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "one", tmp_path / "one")
    (tmp_path / "one/sweep.resolved.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ResultsError, match=r"one/sweep\.resolved\.yaml is damaged: it is not UTF-8 text; run this"):
        merged([tmp_path / "one", folder / "two"], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_the_command_says_what_it_made_and_which_versions(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "two", tmp_path / "two")
    for path in tmp_path.glob("two/points/*/run=0/manifest.json"):
        manifest = msgspec.json.decode(path.read_bytes())
        path.write_bytes(msgspec.json.encode({**manifest, "versions": {"cosim": "9.9"}, "git": {"sha": None}}))
    assert command.merge([folder / "one", tmp_path / "two"], tmp_path / "out", partial=False) in (0, 4)
    printed, said = capsys.readouterr()
    assert "delay=60ms" in printed
    assert (tmp_path / "out/report.html").exists()
    assert re.search(r"warning: runs of cosim 9\.9 in \S*two\n", said)
    assert re.search(r"warning: runs of cosim 0\S* .*in \S*one\n", said)
    assert f"small: 4 point(s) x 1 run(s) in {tmp_path / 'out'} (hard links)" in said
