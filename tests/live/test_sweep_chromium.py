"""A sweep's report of 1,000 points in a browser: it asks for nothing, its table sorts, finds and leads to runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cosim.results.sweep_report import write_sweep_report
from docs.screenshot import find_chromium
from tests.chromium import Page
from tests.made_up_sweep import grid, made_up_sweep

CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.chromium,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (as root, scripts/setup --dev installs it)"),
]
PAPER_WIDTH = int((210 - 24) / 25.4 * 96)
# So that it opens at once: an element of a page costs a browser about 10 us.
MOST_ELEMENTS = 40_000


def latency_ms(values: Mapping[str, Any], tier: str) -> float:
    delay_ms = float(values["network.paths.cloud.delay"].removesuffix("ms"))
    loss = float(values["network.paths.cloud.loss"].removesuffix("%"))
    return {"device": 600.0, "edge": 250.0, "cloud": 150.0 + 4 * delay_ms * (1 + loss / 4)}[tier]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    points = grid(
        network__paths__cloud__delay=[f"{10 * k}ms" for k in range(1, 11)],
        network__paths__cloud__loss=[f"{k}%" for k in range(10)],
        clients__0__count=list(range(1, 11)),
    )
    states = {(0, 0): "failed", (0, 1): "failed", (7, 1): "INVALID", (8, 0): "missing"}
    directory = made_up_sweep(
        tmp_path_factory.mktemp("sweep") / "s",
        points,
        latency_ms,
        tiers=("device", "edge", "cloud"),
        seeds=(1, 2),
        states=states,
    )
    return write_sweep_report(directory)


@pytest.fixture(scope="module")
def page(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert CHROMIUM is not None
    with Page(CHROMIUM, tmp_path_factory.mktemp("profile"), report.as_uri()) as page:
        yield page


def column(page: Page, number: int) -> list[str]:
    """What the rows shown have in a column."""
    found = page.evaluate(
        f"[...document.querySelector('table.points').tBodies[0].rows].map(r => r.cells[{number}].textContent)"
    )
    return [str(text) for text in found]


def sort(page: Page, number: int) -> None:
    page.evaluate(f"document.querySelectorAll('table.points thead button')[{number}].click()")


def find(page: Page, text: str, state: str = "") -> None:
    page.evaluate(
        f"(f => {{ f.value = {text!r}; document.getElementById('state').value = {state!r};"
        " f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))"
    )


def test_it_asks_for_nothing_and_nothing_fails(page: Page, report: Path) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.evaluate("document.querySelectorAll('table.points thead button').forEach(b => b.click())")
    assert (page.requests, page.said, page.broken) == ([report.as_uri()], [], [])
    assert report.stat().st_size <= 5_000_000
    assert page.evaluate("document.querySelectorAll('*').length") <= MOST_ELEMENTS


def test_the_table_sorts_and_shows_all_when_asked(page: Page) -> None:
    find(page, "")
    sort(page, 0)
    assert column(page, 0)[:8] == ["#0", *6 * ["#1"], "#2"]
    assert len(column(page, 0)) == 100
    page.evaluate("document.querySelector('button[data-more=\"100\"]').click()")
    assert len(column(page, 0)) == 200
    sort(page, 8)
    rates = [float(text.removesuffix(" %")) for text in column(page, 8)]
    assert rates == sorted(rates)
    sort(page, 8)
    page.evaluate("document.querySelector('button[data-more=\"0\"]').click()")
    texts = column(page, 8)
    rates = [float(text.removesuffix(" %")) for text in texts if text != "-"]
    assert rates == sorted(rates, reverse=True)
    assert (len(texts), texts[-1]) == (999 * 6 + 1, "-")
    assert page.evaluate("document.querySelectorAll('th[aria-sort]').length") == 1
    # A key sorts by its number: 100ms after 20ms.
    sort(page, 1)
    assert list(dict.fromkeys(column(page, 1)))[:3] == ["10ms"]


def test_rows_are_found_by_words_and_by_what_became_of_runs(page: Page) -> None:
    find(page, "30ms 4% cloud premium")
    assert {(d, loss) for d, loss in zip(column(page, 1), column(page, 2), strict=True)} == {("30ms", "4%")}
    assert len(column(page, 0)) == 10
    find(page, "", "f")
    assert column(page, 0) == ["#0"]
    assert column(page, 6) == ["0✗1✗"]
    find(page, "", "i")
    assert set(column(page, 0)) == {"#7"}
    find(page, "#8")
    assert set(column(page, 0)) == {"#8"}
    links = "[...document.querySelectorAll('table.points td a.run')].map(a => a.href)"
    assert page.evaluate(links)[0].endswith("/points/delay%3D10ms_loss%3D0%25_count%3D9/run=1/report.html")


def test_a_mark_names_its_point_and_leads_to_its_rows(page: Page) -> None:
    mark = "document.querySelector('svg.curves circle[data-p]')"
    point = page.evaluate(f"{mark}.dataset.p")
    page.evaluate(f"{mark}.dispatchEvent(new Event('pointerover', {{bubbles: true}}))")
    assert page.evaluate(f"{mark}.querySelector('title').textContent").startswith(
        f"point {point}: network.paths.cloud.delay = "
    )
    page.evaluate(f"{mark}.dispatchEvent(new Event('click', {{bubbles: true}}))")
    assert set(column(page, 0)) == {f"#{point}"}


@pytest.mark.parametrize(("media", "width"), [("screen", 1280), ("print", PAPER_WIDTH)])
def test_it_fits(page: Page, media: str, width: int) -> None:
    page.media(media)
    page.resize(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.media("screen")
    page.resize(1280)
