"""report.html: one page that fetches nothing, whatever the run holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cosim.results.report import flatten, loop_text, render, write_report
from cosim.results.store import ResultsError
from cosim.results.summary import summarise
from tests.results_factory import MS, SCENARIO_TEXT, S, ended, made_up_run, step, write_run

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Checks that elements nest, and collects what could fetch something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def drawings(html: str) -> list[ET.Element]:
    return [
        ET.fromstring(svg)
        for svg in re.findall(r"<svg class=\"(?:chart|interval|strip).*?</svg>(?:</svg>)?", html, re.S)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return write_report(run).read_text(encoding="utf-8")


def test_nothing_is_fetched(html: str) -> None:
    assert "http://" not in html
    assert "https://" not in html
    assert "url(" not in html
    assert "@import" not in html
    for tag, attributes in Page(html).elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "image", "use", "audio", "video", "base"}
        assert not {"src", "href", "xlink:href", "srcset", "action"} & set(attributes)
    assert "default-src 'none'" in html


def test_the_page_is_well_formed(html: str) -> None:
    assert Page(html).open == []
    found = drawings(html)
    charts, intervals, strips = 3, 6, 12
    assert len(found) == charts + intervals + strips
    for drawing in found:
        assert drawing.tag == "svg"
        assert drawing.get("viewBox")


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_rebuild_gives_the_same_bytes(run: Path, html: str, seed: str) -> None:
    """In another process, whose sets have another order."""
    program = "import sys; from pathlib import Path; from cosim.results.report import render as r; "
    command = [sys.executable, "-c", program + "sys.stdout.buffer.write(r(Path(sys.argv[1])).encode())", str(run)]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    assert done.stdout.decode() == html


def test_the_page_says_what_the_verdict_rests_on(html: str) -> None:
    text = " ".join(" ".join(Page(html).text).split())
    for words in (
        "VALID",
        "lockstep, seed 1",
        "100.0% executed",
        "closed and open loop",
        "Requests fall due whether or not earlier ones were answered",
        "looks better than under an open load",
        "sharing isolated",
        "time_scale 0.5",
        "assume that requests are independent",
        "(e2el - ttft) / (output_tokens - 1)",
        "down_wan",
        "waiting for a free connection",
        "The run came to its end and each of its 372 requests ended",
        "at most 25 % of them errors",
        "What these figures rest on",
        "egress are multiplied: cloud 0.5.",
        "docs/method.md",
        "the ceil(0.95 n)-th of its n by e2el (nearest rank): device cam-device-",
        "The height of a curve at a deadline is the hit rate above",
        "access is the sum over 2 UEs",
        "max 6.4 Mbit/s",
        "the machine was steady while engines were executed (at most: waiting for a CPU 10 %",
        "How steady the machine was while steps were measured",
        "schema_version: 1",
        "machine.cpu",
    ):
        assert words in text


def test_text_of_the_run_is_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>&\"'"
    requests = [ended(evil + str(k), k * S, 300 * MS, tier=evil, engine=evil) for k in range(4)]
    run = write_run(
        tmp_path / "run",
        requests,
        [step(evil)],
        scenario=SCENARIO_TEXT + f"# {evil} https://example.org/x.js\n",
        name=evil,
        invariants={"broken": [evil]},
        command_line=["cosim", evil],
        children={"engine": {"a": evil}},
    )
    page = Page(html := render(run))
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert page.open == []
    assert len(drawings(html)) > 3


def test_an_empty_run_has_a_report(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], loop={}, objectives={}, connections=[], children={}, versions={})
    html = render(run)
    assert "No request ended." in html
    assert Page(html).open == []


def test_hygiene_is_shown_where_it_was_measured(run: Path) -> None:
    summary = summarise(run)
    measured = {
        "duty_cycle": 0.625,
        "cpu_wait_share": 0.0125,
        "equal_step_noise": 0.031,
        "equal_steps": 1200,
        "step_drift": -0.021,
        "step_drift_low": -0.03,
        "step_drift_high": -0.011,
        "clock_mhz": {"median": 3100, "min": 2800, "max": 3400},
    }
    summary["engines"]["edge"]["hygiene"] = measured
    summary["engines"]["cloud"]["hygiene"] = measured | {"clock_mhz": None, "step_drift": None}
    summary["engines"]["device.0"]["hygiene"] = None
    summary["machine_use"] = {"cpus": 2, "own_share": 0.5, "other_share": 0.0375, "stolen_share": 0.0}
    text = " ".join(" ".join(Page(render(run, summary)).text).split())
    for words in (
        "62.5%",
        "1.25%",
        "3.1%",
        "-2.1%",
        "-3.0% to -1.1%",
        "3100 (2800 to 3400)",
        "not measured: nothing was executed for its time",
        "other programs 3.8%",
    ):
        assert words in text
    summary["engines"] = {name: engine | {"hygiene": None} for name, engine in summary["engines"].items()}
    assert "Not measured: nothing was executed for its time." in render(run, summary)


def test_a_run_that_was_not_executed_says_so_in_its_head_and_tables(run: Path) -> None:
    executed = render(run)
    assert '<span class="qualifier">' not in executed
    assert '<ul class="qualifiers">' not in executed
    summary = summarise(run)
    for tier in summary["tiers"].values():
        tier["basis"] = {stage: {"predicted": 7} for stage in tier["basis"]}
    summary["engines"]["edge"]["basis"]["steps"] = {"interpolated": 9, "extrapolated": 1}
    page = render(run, summary | {"qualifiers": ["tier <edge>: predicted"]})
    assert "<title>made-up: VALID, predicted</title>" in page
    assert '<span class="verdict VALID">VALID</span><span class="qualifier">predicted</span>made-up' in page
    assert "<li>tier &lt;edge&gt;: predicted</li>" in page
    assert page.count('<td class="l">predicted</td></tr>') == len(summary["sla"])
    assert '<td class="l">profiled 90%</td>' in page
    assert "edge: stub, steps predicted, 1 engine" in page


def test_a_tier_without_an_answer_is_named_everywhere(tmp_path: Path) -> None:
    requests = [ended(f"r-{k}", k * S, 300 * MS, "timeout") for k in range(3)] + [ended("e", 3 * S, 9 * MS, "error")]
    html = render(write_run(tmp_path / "run", requests, [step()]))
    text = " ".join(" ".join(Page(html).text).split())
    assert "Tier edge answered none of its 4 counted requests: 3 timed out and 1 ended as error or rejected" in text
    assert ">0 of 4 ok<" in html
    assert "edge (0.0% ok)" in html
    assert text.count("no ok request to compare with") == 4


def test_a_link_that_carried_nothing_is_counted_and_not_listed(tmp_path: Path) -> None:
    link = {"up": True, "n_bytes": 5, "dropped_queue": 0, "dropped_loss": 0, "max_queue_bytes": 0}
    links = [{"link": f"access/ue-{k}", "packets": k % 3, **link} for k in range(90)]
    run = write_run(tmp_path / "run", [ended("r", 0, S)], [step()], links=links)
    html = render(run)
    assert "the first 40 of 60; 30 that carried nothing are left out" in html
    assert re.findall(r"access/ue-(\d+)<", html) == [str(k) for k in range(90) if k % 3][:40]


def test_the_scenarios_changes_stand_in_the_time_line(tmp_path: Path) -> None:
    change = 'timeline:\n- {at: 400ms, set: {network.paths.cloud.delay: "60ms"}}\n'
    run = write_run(tmp_path / "run", [ended("r", 0, S)], [step()], scenario=SCENARIO_TEXT + change)
    assert "<title>0.4 s: network.paths.cloud.delay = 60ms</title>" in render(run)


def test_a_part_of_the_time_series_that_is_damaged_is_named(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", seconds=3)
    (part,) = (run / "timeseries").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-7])
    with pytest.raises(ResultsError, match=r"part-000000\.parquet: .*restore the file"):
        render(run)


def test_small_texts() -> None:
    assert loop_text({"a": "open", "b": "open"}) == "open loop"
    assert loop_text({}) == "loop not recorded"
    assert flatten("git", {"sha": "0", "dirty": False}) == [("git.sha", "0"), ("git.dirty", "False")]
    assert flatten("command_line", ["cosim", "run"]) == [("command_line", "cosim run")]
    assert flatten("ended", None) == [("ended", "-")]
