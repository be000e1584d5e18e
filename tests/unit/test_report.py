"""report.html: one page that fetches nothing, whatever the run holds."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cosim.results import charts, timeline
from cosim.results.report import flatten, loop_text, render, write_report
from tests.results_factory import MS, SCENARIO_TEXT, S, ended, made_up_run, request, step, write_run

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
        ET.fromstring(svg) for svg in re.findall(r"<svg class=\"(?:chart|interval).*?</svg>(?:</svg>)?", html, re.S)
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
    assert len(found) == 3 + 6
    for drawing in found:
        assert drawing.tag == "svg"
        assert drawing.get("viewBox")


def test_a_rebuild_gives_the_same_bytes(run: Path, html: str) -> None:
    assert render(run) == html


def test_the_page_says_what_the_verdict_rests_on(html: str) -> None:
    text = " ".join(" ".join(Page(html).text).split())
    for words in (
        "VALID",
        "lockstep, seed 1",
        "100.0% executed",
        "closed and open loop",
        "sharing isolated",
        "time_scale 0.5",
        "assume that requests are independent",
        "(e2el - ttft) / (output_tokens - 1)",
        "down_wan",
        "waiting for a free connection",
        "Only the first 60 s are drawn.",
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


def test_the_height_of_a_curve_at_a_deadline_is_the_hit_rate() -> None:
    svg = charts.cdf({"edge": ([100.0, 200.0, 900.0], 4)}, {"premium": 500.0})
    (path,) = (e for e in ET.fromstring(svg).iter("path") if e.get("class") == "curve")
    heights = [float(y) for y in re.findall(r"V([\d.]+)", path.get("d") or "")]
    top, bottom = 34.0, 364.0
    assert [round((bottom - y) / (bottom - top), 3) for y in heights] == [0.25, 0.5, 0.75]
    assert "75.0% ok" in svg


def test_bars_are_as_long_as_their_parts() -> None:
    svg = charts.waterfall({"edge": {"decode": 30.0, "up_access": 10.0, "queue": 0.0}, "cloud": {"prefill": 20.0}})
    bars = [e for e in ET.fromstring(svg).iter("rect")]
    widths = [float(e.get("width") or 0) for e in bars]
    assert widths[1] == pytest.approx(3 * widths[0], abs=0.05)
    assert widths[2] == pytest.approx(2 * widths[0], abs=0.05)
    assert [e.findtext("title") for e in bars] == [
        "edge up_access: 10.000 ms (25.0%)",
        "edge decode: 30.000 ms (75.0%)",
        "cloud prefill: 20.000 ms (100.0%)",
    ]


@pytest.mark.parametrize(
    ("high", "expected"),
    [(700.0, [0, 100, 200, 300, 400, 500, 600, 700]), (0.9, [0, 0.2, 0.4, 0.6, 0.8]), (0.0, [0])],
)
def test_ticks_are_round(high: float, expected: list[float]) -> None:
    assert charts.ticks(0, high) == expected


def test_the_time_line_draws_a_bounded_part_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_REQUESTS", 20)
    requests = [ended(f"r-{k:03d}", k * 100 * MS, 50 * MS) for k in range(50)]
    drawing = timeline.timeline(requests, [], {"edge": ["edge"]}, {"premium": 500 * MS})
    assert drawing.window_s == 2.0
    assert drawing.notes == ["Only the first 2 s are drawn: they hold 20 requests."]
    assert drawing.svg.count("<title>") == 20
    monkeypatch.setattr(timeline, "MAX_STEPS", 10)
    steps = [step(index=k, t_start_ns=k * 50 * MS) for k in range(30)]
    drawing = timeline.timeline(requests, steps, {"edge": ["edge"]}, {"premium": 500 * MS})
    assert drawing.notes == ["Only the first 0.5 s are drawn: they hold 10 steps."]
    assert drawing.svg.count("M") == 10


def test_requests_that_overlap_get_lanes_of_their_own() -> None:
    requests = [ended(f"r-{k:03d}", k * MS, 500 * MS) for k in range(12)]
    drawing = timeline.timeline(requests, [], {"edge": []}, {})
    plot = next(e for e in ET.fromstring(drawing.svg).iter("svg") if e.get("class") == "plot")
    lanes = {e.get("y") for e in plot.iter("rect") if e.find("title") is not None}
    assert len(lanes) == timeline.MAX_LANES
    assert drawing.notes == ["More than 8 requests of edge overlap; the last lane holds the rest."]


def test_colours_follow_status_and_deadlines() -> None:
    deadlines = (500 * MS, 1000 * MS)
    kinds = [timeline.kind_of(request(e2el_scheduled_ns=ms * MS), deadlines) for ms in (400, 800, 1200)]
    assert kinds == ["every deadline met", "some deadlines met", "no deadline met"]
    assert timeline.kind_of(request(status="timeout"), deadlines) == "timeout"


def test_small_texts() -> None:
    assert loop_text({"a": "open", "b": "open"}) == "open loop"
    assert loop_text({}) == "loop not recorded"
    assert flatten("git", {"sha": "0", "dirty": False}) == [("git.sha", "0"), ("git.dirty", "False")]
    assert flatten("command_line", ["cosim", "run"]) == [("command_line", "cosim run")]
    assert flatten("ended", None) == [("ended", "-")]
