"""`cosim capacity` over the pipe with stub engines: the search, its files, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.clock import sleep_s
from cosim.results.store import ResultsError
from cosim.results.sweep_report import render
from cosim.results.sweep_store import read_sweep
from tests.lockstep import chat, scenario
from tests.sweeps import made_sweep

# Four sequences at once, each of some 160 ms alone: a server of about 20 requests/s, and less where prefills interrupt.
ENGINE = {"kind": "stub", "max_num_seqs": 4, "prefill": "40ms", "decode": "40ms"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    users = chat("u", arrivals={"kind": "poisson", "rate": "4/s"}, output_tokens=4, tier="edge")
    content = scenario(tiers={"edge": {"path": "edge", "engine": ENGINE}}, clients=[users], duration="6s")
    content["sla"] = {"premium": {"e2el": "400ms"}}
    content["validity"] = {"min_requests": 10}
    path: Path = tmp_path_factory.mktemp("capacity") / "scenario.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosim", "capacity", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


ASKED = ("--vary", "clients.0.count", "--class", "premium", "--to", "16", "--num-runs", "4", "-j", "2", "--ui", "none")


@pytest.fixture(scope="module")
def found(file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    directory: Path = tmp_path_factory.mktemp("found") / "out"
    ended = run(file, *ASKED, "-o", directory, "--json")
    assert ended.returncode == 0, ended.stderr
    return directory, json.loads(ended.stdout)


def test_it_finds_the_largest_load_that_meets_the_target(found: tuple[Path, dict[str, Any]]) -> None:
    directory, content = found
    assert content == json.loads((directory / "capacity.json").read_text())
    capacity, low, high = (content[key] for key in ("capacity", "capacity_low", "capacity_high"))
    assert isinstance(capacity, int)
    assert isinstance(low, int)
    assert isinstance(high, int)
    assert 1 <= capacity < 16
    assert low < capacity < high
    curve = {row["load"]: row for row in content["curve"]}
    assert curve[capacity]["low"] >= 0.95
    assert curve[capacity + 1]["low"] < 0.95
    assert max(row["hits"] / row["n"] for load, row in curve.items() if load >= high + 1) < 0.95


def test_its_directory_is_a_sweep_over_the_load(found: tuple[Path, dict[str, Any]]) -> None:
    directory, content = found
    sweep = read_sweep(directory)
    assert sweep.keys == ["clients.0.count"]
    assert sorted(point.values["clients.0.count"] for point in sweep.points) == [
        row["load"] for row in content["curve"]
    ]
    assert (directory / "summary.csv").is_file()


def test_resumed_it_repeats_no_run_and_says_the_same(found: tuple[Path, dict[str, Any]], file: Path) -> None:
    directory, content = found
    manifests = {path: path.stat().st_mtime_ns for path in directory.rglob("manifest.json")}
    ended = run(file, *ASKED, "-o", directory, "--resume", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == content
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("manifest.json")} == manifests


def test_the_report_tells_the_answer_and_the_curve(found: tuple[Path, dict[str, Any]]) -> None:
    directory, content = found
    page = (directory / "report.html").read_text()
    section = page[page.index("<h2>Service capacity</h2>") :]
    section = section[: section.index("</section>")]
    assert f"<b>capacity: {content['capacity']}; a search with other seeds" in section
    assert f"knee (largest throughput / latency): {content['knee']}" in section
    loads = re.findall(r"<tr><td>(\d+)</td>", section)
    assert loads == [str(row["load"]) for row in content["curve"]]


def test_a_damaged_answer_is_named(found: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    directory = tmp_path / "copy"
    shutil.copytree(found[0], directory)
    for text in ('{"curve": [', '{"curve": []}', "[]", json.dumps({**found[1], "curve": [{"load": 1}]})):
        (directory / "capacity.json").write_text(text)
        with pytest.raises(ResultsError, match=r"capacity.json is damaged: .*; run `cosim capacity --resume`"):
            render(directory)


def test_an_interrupted_search_has_no_answer_of_an_earlier_one(
    found: tuple[Path, dict[str, Any]], file: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "copy"
    shutil.copytree(found[0], directory)
    words = [sys.executable, "-m", "cosim", "capacity", str(file), *ASKED, "--target", "0.8", "-o", str(directory)]
    words += ["--resume", "--num-runs", "40"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as search:
        runs = len(list(directory.glob("points/*/*/summary.json")))
        while len(list(directory.glob("points/*/*/summary.json"))) <= runs:
            assert search.poll() is None
            sleep_s(0.05)
        search.send_signal(signal.SIGINT)
        _, errors = search.communicate()
    assert search.returncode == 130
    assert f"what was run is in {directory}; the same command with --resume goes on" in errors
    assert json.loads((directory / "capacity.json").read_text())["target"] == 0.8
    assert "Service capacity" not in render(directory)


def content_of(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "network.paths.edge.delay=7ms"), "holds a sweep of another scenario"),
        (("--vary", "clients.0.arrivals.rate", "--to", "8/s"), "holds a search over clients.0.count, not over clients"),
    ],
)
def test_what_is_another_search_is_not_gone_on_with(
    found: tuple[Path, dict[str, Any]], file: Path, words: tuple[str, ...], message: str
) -> None:
    directory, _ = found
    before = content_of(directory)
    ended = run(file, *ASKED, *words, "-o", directory, "--resume")
    assert ended.returncode == 2
    assert message in ended.stderr
    assert ("+      delay: 7ms" in ended.stderr) == ("--set" in words)
    assert content_of(directory) == before


def test_a_file_of_the_scenario_must_be_the_same(tmp_path: Path) -> None:
    trace, columns = tmp_path / "trace.csv", {"arrival": "t", "unit": "s", "prompt_tokens": "p", "output_tokens": "o"}
    trace.write_text("t,p,o\n" + "".join(f"{second},8,2\n" for second in range(6)))
    users = chat("u", arrivals={"kind": "poisson", "rate": "4/s"}, output_tokens=4, tier="edge")
    replayed = {"name": "t", "kind": "trace", "tier": "edge", "file": str(trace), "columns": columns}
    content = scenario(tiers={"edge": {"path": "edge", "engine": ENGINE}}, clients=[users, replayed], duration="6s")
    file, out = tmp_path / "scenario.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump({**content, "sla": {"premium": {"e2el": "400ms"}}, "validity": {"min_requests": 1}}))
    words = ("--vary", "clients.0.count", "--class", "premium", "--to", "2", "--num-runs", "2", "--ui", "none")
    assert run(file, *words, "-o", out).returncode == 0
    assert run(file, *words, "-o", out, "--resume").returncode == 0
    trace.write_text("t,p,o\n1,8,2\n")
    ended = run(file, *words, "-o", out, "--resume")
    assert ended.returncode == 2
    assert f"clients.1.file: {trace} is another file than when {out} was begun" in ended.stderr


def test_an_ordinary_sweep_is_not_gone_on_with(file: Path, tmp_path: Path) -> None:
    directory = made_sweep(tmp_path / "sweep")
    before = content_of(directory)
    ended = run(file, *ASKED, "-o", directory, "--resume")
    assert ended.returncode == 2
    assert "holds a sweep that cosim capacity did not make (it has no capacity.json)" in ended.stderr
    assert content_of(directory) == before


def test_other_seeds_agree_within_the_interval(found: tuple[Path, dict[str, Any]], file: Path, tmp_path: Path) -> None:
    _, content = found
    ended = run(file, *ASKED, "-o", tmp_path / "out", "--seed", "101")
    assert ended.returncode == 0, ended.stderr
    other = json.loads((tmp_path / "out" / "capacity.json").read_text())
    assert content["capacity_low"] <= other["capacity"] <= content["capacity_high"]
    assert f"capacity: {other['capacity']}; a search with other seeds" in ended.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--class", "gold"), "--class: no SLA class 'gold'; allowed: premium"),
        (("--tier", "cloud"), "--tier: no tier 'cloud'; allowed: edge"),
        (("--target", "1.5"), "--target: 1.5 is no share below 1; such as 0.95"),
        (("--num-runs", "1"), "--num-runs: 1 run has no interval over seeds; at least 2"),
        (("--vary", "clients.0.number"), "--vary: no key 'clients.0.number' in this scenario"),
        (("--vary", "clients.0.name"), "--vary: clients.0.name is 'u'; a count, or a quantity"),
        (("--from", "2.5"), "--from: '2.5' is no load; a whole number from 1 to 1000000000000000"),
        (("--from", "20"), "--from: 20 lies above --to, 16; a range"),
        (("--to", "20000"), "--to: 20000: "),
    ],
)
def test_what_cannot_be_asked_is_refused_by_flag(
    file: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    ended = run(file, *ASKED, *words, "-o", tmp_path / "out")
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out").exists()
