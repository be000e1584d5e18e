"""report.html of a sweep: what is in it, that nothing is left out in silence, its size and that it is a function."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cosim.cli import guarded
from cosim.results.store import ResultsError
from cosim.results.sweep_report import render, write_sweep_report
from cosim.results.sweep_runs import grouped, read_runs
from cosim.results.sweep_store import SWEEP, SWEEP_SCENARIO, read_sweep, run_directory
from tests.made_up_sweep import grid, made_up_sweep

DELAY, LOSS = "network.paths.cloud.delay", "network.paths.cloud.loss"
DELAYS, LOSSES = ["10ms", "30ms", "60ms", "100ms"], ["0%", "1%"]


def latency_ms(values: Mapping[str, Any], tier: str) -> float:
    """A tier `edge` that no key touches, and others that delay and loss slow down."""
    if tier == "edge":
        return 250.0
    loss = float(str(values.get(LOSS, "0%")).removesuffix("%"))
    return 150 + 4 * float(str(values.get(DELAY, "20ms")).removesuffix("ms")) * (1 + loss)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    points = grid(network__paths__cloud__delay=DELAYS, network__paths__cloud__loss=LOSSES)
    states = {(0, 1): "INVALID", (2, 1): "INVALID", (3, 0): "failed", (5, 2): "missing"}
    states |= {(6, number): "failed" for number in range(3)}
    return made_up_sweep(
        tmp_path_factory.mktemp("report") / "sweep", points, latency_ms, seeds=(1, 2, 3), states=states, requests=True
    )


@pytest.fixture(scope="module")
def page(sweep: Path) -> str:
    return render(sweep)


def table(page: str) -> dict[str, Any]:
    """The JSON from which the page's script makes its table."""
    found = re.search(r'<script type="application/json" id="points">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def words(page: str) -> str:
    """What a reader sees of the page's markup."""
    body = re.sub(r"<(style|script|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_head_counts_every_run_and_says_why(page: str) -> None:
    text = words(page)
    for said in ("17 VALID", "2 INVALID", "4 failed", "1 missing", "17 of 24 runs are VALID"):
        assert said in text
    assert "failed, 4 runs (such as point 3 run 0 , point 6 run 0 , point 6 run 1 ): the network process died" in text
    assert "INVALID, 2 runs" in text
    assert "8, each run 3 times with seeds 1, 2, 3; 24 runs; lockstep, open loop" in text
    assert "tiers edge, cloud: constant times of the scenario" in text
    assert "paired: no step is executed" in text
    assert f"{DELAY} : 10ms, 30ms, 60ms, 100ms; {LOSS} : 0%, 1%" in text
    assert "shard" not in text


def test_every_chart_says_n_and_how_its_interval_is_made(page: str) -> None:
    captions = [words(found) for found in re.findall(r"<figcaption>(.*?)</figcaption>", page, re.DOTALL)]
    assert len(captions) >= 2 * 2 + 1 + 1 + 2 + 2
    assert all("n = " in text or "Parts of e2el" in text for text in captions)
    assert sum("95 % Student t across 3 seeds" in text for text in captions) == 4
    assert sum("Wilson: independent requests assumed" in text for text in captions) == 2


def test_each_key_pair_tier_and_class_is_drawn(page: str) -> None:
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert headings[:4] == [f"Against {DELAY}", f"Against {LOSS}", "Two keys at a time", "Hit rate against load"]
    assert page.count('class="chart curves"') == 4
    assert page.count('class="chart heat"') == 4
    assert page.count('class="chart stacked"') == 2
    assert page.count('class="chart cdf"') == 2
    titles = re.findall(r'class="heading"[^>]*>(?:<title>.*?</title>)?([^<]+)<', page)
    for tier in ("edge", "cloud"):
        for name in ("premium", "medium"):
            assert f"{tier}, {name}: hit rate, %" in titles
        assert f"{tier}: e2el p95, ms" in titles


def test_a_point_without_a_run_is_drawn_as_such(page: str) -> None:
    crosses = re.findall(r'<path class="none" data-p="(\d+)"', page)
    assert set(crosses) == {"6"}
    hollow = re.findall(r'<circle class="dot odd" data-p="(\d+)"', page)
    assert set(hollow) == {"0", "2", "3", "5"}
    assert page.count('class="empty" data-p="6"') == 4


def test_the_table_has_every_point_tier_and_class(page: str) -> None:
    content = table(page)
    assert content["keys"] == [DELAY, LOSS]
    assert content["texts"] == [DELAYS, LOSSES]
    assert [point["runs"] for point in content["points"].values()] == [
        *("VIV", "VVV", "VIV", "FVV", "VVV", "VVM", "FFF", "VVV")
    ]
    rows = content["rows"]
    assert len(rows) == 7 * 4 + 1
    first = rows[0]
    assert (first[0], content["tiers"][first[1]], content["classes"][first[2]], first[3]) == (0, "edge", "premium", 180)
    assert first[5] < first[4] < first[6]
    assert next(row for row in rows if row[0] == 6)[3:] == [None] * 8


def test_it_fetches_nothing(page: str) -> None:
    assert not re.findall(r"(?:src|href)=\"(?!points/)[^\"]*\"|url\(|@import|https?://", page)
    assert "default-src 'none'" in page


def test_links_lead_to_what_is_there(sweep: Path, page: str) -> None:
    links = set(re.findall(r'href="([^"]+)"', page))
    assert any(link.endswith("failure.json") for link in links)
    for link in links:
        assert (sweep / unquote(link)).exists(), link


def test_equal_files_give_equal_bytes(sweep: Path, page: str, tmp_path: Path) -> None:
    shutil.copytree(sweep, tmp_path / "elsewhere")
    assert write_sweep_report(tmp_path / "elsewhere").read_text(encoding="utf-8") == page


def test_cosim_report_makes_the_tables_too(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cosim.cli import app

    directory = shutil.copytree(sweep, tmp_path / "sweep")
    assert guarded(lambda: app(["report", str(directory)], standalone_mode=False)) == 0
    assert f"report: {directory / 'report.html'}" in capsys.readouterr().out
    assert {"runs.csv", "summary.csv", "report.html"} <= {file.name for file in directory.iterdir()}
    assert guarded(lambda: app(["report", str(directory), "--json"], standalone_mode=False)) == 2


def test_reasons_that_differ_in_numbers_are_one(sweep: Path) -> None:
    runs = list(read_runs(sweep, read_sweep(sweep)))
    reasons = grouped(run for run in runs if run.state == "failed")
    assert [(reason.text, len(reason.runs)) for reason in reasons] == [
        ("the network process died at 1003 ns; see logs/", 4)
    ]


def test_one_point_of_one_seed(tmp_path: Path) -> None:
    points = grid(network__paths__cloud__delay=["10ms"])
    page = render(
        made_up_sweep(tmp_path / "s", points, latency_ms, seeds=[7], requests=True, shard="2/3", paired=False)
    )
    text = words(page)
    assert "This is shard 2/3: a part of the sweep's points only." in text
    assert "1, each run 1 time with seed 7; 1 run" in text
    assert "95 % Wilson inside the one run" in text
    assert "not paired: steps are executed" in text
    assert 'class="chart curves"' not in page
    assert page.count('class="chart stacked"') == 2
    row = table(page)["rows"][0]
    assert (row[4], row[6]) == (1.0, 1.0)
    assert 0.9 < row[5] < 1.0


def test_every_run_failed(tmp_path: Path) -> None:
    points = grid(network__paths__cloud__delay=DELAYS)
    states = {(point, number): "failed" for point in range(4) for number in range(2)}
    page = render(made_up_sweep(tmp_path / "s", points, latency_ms, seeds=[1, 2], states=states))
    assert "8 failed" in words(page)
    assert "0 of 8 runs are VALID" in words(page)
    assert len(table(page)["rows"]) == 4


def test_a_swept_tier_is_a_key_like_any_other(tmp_path: Path) -> None:
    points = grid(
        clients__0__tier=["edge", "cloud"], network__paths__cloud__delay=DELAYS, network__paths__cloud__loss=LOSSES
    )
    directory = made_up_sweep(tmp_path / "s", points, latency_ms, seeds=[1, 2])
    for point in read_sweep(directory).points:
        for number in range(2):
            file = run_directory(directory, point.slug, number) / "summary.json"
            content = json.loads(file.read_text())
            served = point.values["clients.0.tier"]
            content["tiers"] = {served: content["tiers"][served]}
            content["sla"] = [row for row in content["sla"] if row["tier"] == served]
            file.write_text(json.dumps(content))
    page = render(directory)
    titles = re.findall(r'class="heading"[^>]*>(?:<title>.*?</title>)?([^<]+)<', page)
    assert "premium: hit rate, %" in titles
    assert "edge: e2el p50, ms" not in titles
    drawn = re.findall(r"Against clients\.0\.tier.*?</section>", page, re.DOTALL)[0]
    assert {int(point) for point in re.findall(r'data-p="(\d+)"', drawn)} == set(range(16))
    # Tiers are neither mixed in a cell nor in a front.
    assert f"Hit rate of premium against clients.0.tier and {DELAY}" in page
    assert f"Hit rate of edge, premium against {DELAY} and {LOSS}" in page
    assert page.count("which differ in") == 2
    front = re.findall(r'class="chart pareto".*?</svg>', page, re.DOTALL)[0]
    assert "edge, premium: hit rate, %" in front


def test_words_of_a_file_do_not_end_the_script(tmp_path: Path) -> None:
    points = [{"clients.0.text": "</script><b>"}, {"clients.0.text": "&amp;"}]
    directory = made_up_sweep(
        tmp_path / "s", points, latency_ms, seeds=[1], states={(0, 0): "missing", (1, 0): "missing"}
    )
    page = render(directory)
    assert table(page)["texts"] == [["</script><b>", "&amp;"]]
    assert "<b>&" not in page
    assert page.count("</script>") == 2


def test_a_resolved_scenario_without_a_duration_is_told(sweep: Path, tmp_path: Path) -> None:
    shutil.copytree(sweep, tmp_path / "copy")
    for text in ("name: x\n", "duration: soon\n"):
        (tmp_path / "copy" / SWEEP_SCENARIO).write_text(text)
        with pytest.raises(ResultsError, match=r"sweep\.resolved\.yaml is damaged: no duration can be read in it"):
            render(tmp_path / "copy")


def test_a_damaged_sweep_is_told(tmp_path: Path) -> None:
    (tmp_path / SWEEP).write_text("{")
    with pytest.raises(ResultsError, match="damaged"):
        render(tmp_path)


def test_a_thousand_points_fit_into_5_mb(tmp_path: Path) -> None:
    points = grid(
        network__paths__cloud__delay=[f"{10 * k}ms" for k in range(1, 11)],
        network__paths__cloud__loss=[f"{k}%" for k in range(10)],
        clients__0__count=list(range(1, 11)),
    )
    directory = made_up_sweep(tmp_path / "s", points, latency_ms, tiers=("device", "edge", "cloud"), seeds=[1, 2])
    file = write_sweep_report(directory)
    assert file.stat().st_size <= 5_000_000
    assert len(table(file.read_text(encoding="utf-8"))["rows"]) == 6000
