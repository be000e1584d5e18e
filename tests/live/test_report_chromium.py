"""report.html in a browser: it asks for nothing, nothing fails, it zooms, and it fits a screen and a sheet of paper."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from PIL import Image

from cosim.results.report import write_report
from docs.screenshot import find_chromium
from tests.chromium import Page
from tests.lockstep import chat, scenario
from tests.results_factory import MS, S, ended, made_up_run, step, write_run

ROOT = Path(__file__).parents[2]
CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.chromium,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (as root, scripts/setup --dev installs it)"),
]
# A4 less its margins of 12 mm, in CSS px of 1/96 inch.
PAPER_WIDTH = int((210 - 24) / 25.4 * 96)
SHOWN = "document.querySelector('svg.plot').viewBox.baseVal"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = made_up_run(tmp_path_factory.mktemp("chromium") / "run")
    write_report(directory)
    return directory


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert CHROMIUM is not None
    with Page(CHROMIUM, tmp_path_factory.mktemp("profile"), (run / "report.html").as_uri()) as page:
        yield page


def shown(page: Page) -> tuple[float, float]:
    """First and last ms that the time line shows."""
    start, width = page.evaluate(f"[{SHOWN}.x, {SHOWN}.width]")
    return start, start + width


def click(page: Page, selector: str) -> None:
    page.evaluate(f"document.querySelector({selector!r}).click()")


def test_it_asks_for_nothing_but_itself_and_nothing_fails(page: Page, run: Path) -> None:
    page.evaluate("document.querySelectorAll('button').forEach(function (b) { b.click(); })")
    assert page.requests == [(run / "report.html").as_uri()]
    assert page.said == []
    assert page.broken == []


def test_a_page_that_asks_and_fails_is_told_apart(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    (tmp_path / "bad.html").write_text(
        "<meta charset=utf-8><img src=missing.png><script>console.warn('odd'); missing();</script>"
    )
    with Page(CHROMIUM, tmp_path, (tmp_path / "bad.html").as_uri()) as page:
        assert [url.rpartition("/")[2] for url in page.requests] == ["bad.html", "missing.png"]
        assert any(text.startswith("warning: ") for text in page.said)
        assert any("ERR_FILE_NOT_FOUND" in text for text in page.said)
        assert len(page.broken) == 1


def test_the_report_of_a_real_run(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump(scenario(clients=[chat("user", timeout="60ms"), chat("b")])))
    command = [sys.executable, "-m", "cosim", "run", "scenario.yaml", "-o", "run", "--ui", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (tmp_path / "run" / "report.html").exists(), done.stderr
    with Page(CHROMIUM, tmp_path, (tmp_path / "run" / "report.html").as_uri()) as page:
        assert (len(page.requests), page.said, page.broken) == (1, [], [])
        assert page.evaluate("document.querySelectorAll('svg.timeline .plot rect').length") > 1


def test_all_tracks_zoom_together(page: Page) -> None:
    click(page, 'button[data-zoom="0"]')
    whole = shown(page)
    assert whole[0] == 0
    assert page.evaluate("document.querySelectorAll('svg.plot').length") == 1
    click(page, 'button[data-zoom="0.5"]')
    click(page, 'button[data-zoom="0.5"]')
    start, end = shown(page)
    assert end - start == pytest.approx(whole[1] / 4, rel=1e-3)
    assert not page.evaluate("document.querySelector('svg.timeline').classList.contains('near')")
    assert (start + end) / 2 == pytest.approx(whole[1] / 2, rel=1e-3)
    click(page, 'button[data-move="0.5"]')
    assert shown(page)[0] == pytest.approx(start + (end - start) / 2, rel=1e-3)
    click(page, 'button[data-zoom="2"]')
    assert shown(page)[1] - shown(page)[0] == pytest.approx(whole[1] / 2, rel=1e-3)
    ticks = page.evaluate("[...document.querySelectorAll('.axis text')].map(t => Number(t.textContent))")
    assert len(ticks) > 4
    assert shown(page)[0] <= 1000 * ticks[0] < 1000 * ticks[-1] <= shown(page)[1]
    click(page, 'button[data-zoom="0"]')
    assert shown(page) == whole


def test_the_wheel_with_ctrl_zooms_where_the_pointer_is(page: Page) -> None:
    click(page, 'button[data-zoom="0"]')
    whole = shown(page)[1]
    page.evaluate("document.getElementById('timeline').scrollIntoView()")
    box = page.evaluate("(b => [b.x, b.y, b.width])(document.querySelector('svg.plot .catch').getBoundingClientRect())")
    x, y = box[0] + box[2] / 4, box[1] + 20
    wheel = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": -100}
    page.call("Input.dispatchMouseEvent", **wheel, modifiers=2)
    start, end = shown(page)
    assert end - start == pytest.approx(0.8 * whole, rel=1e-3)
    assert start + (end - start) / 4 == pytest.approx(whole / 4, rel=1e-2)
    page.call("Input.dispatchMouseEvent", **wheel)
    assert shown(page) == (start, end)


def test_a_slow_request_is_found_in_the_time_line(page: Page) -> None:
    button = "document.querySelector('button[data-from]')"
    request_id, start, end = page.evaluate(
        f"[{button}.closest('tr').cells[0].textContent, +{button}.dataset.from, +{button}.dataset.to]"
    )
    click(page, "button[data-from]")
    assert shown(page) == pytest.approx((start, end), rel=1e-3)
    bar = f"[...document.querySelectorAll('.plot title')].find(t => t.textContent.startsWith('{request_id} '))"
    x, width = page.evaluate(f"(b => [b.x.baseVal.value, b.width.baseVal.value])({bar}.parentNode)")
    assert start < x < x + width < end


@pytest.mark.parametrize(("media", "width"), [("screen", 1280), ("print", PAPER_WIDTH)])
def test_it_fits(page: Page, media: str, width: int) -> None:
    page.media(media)
    page.resize(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if media == "print":
        assert page.evaluate("getComputedStyle(document.querySelector('button')).display") == "none"
    page.media("screen")
    page.resize(1280)


def test_long_names_scroll_within_their_tables(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    tiers = [f"tier{k}-" + 55 * "W" for k in range(10)]
    requests = [ended(f"{tier}-{k}", k * S, 300 * MS, tier=tier) for tier in tiers for k in range(3)]
    directory = write_run(tmp_path / "run", requests, [step(engine) for engine in tiers], name=200 * "W")
    with Page(CHROMIUM, tmp_path, write_report(directory).as_uri()) as page:
        page.resize(1280)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_it_is_dark_for_those_who_ask_and_never_on_paper(page: Page) -> None:
    def background(media: str, scheme: str) -> str:
        page.media(media, prefers_color_scheme=scheme)
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert background("screen", "dark") != background("screen", "light") == "rgb(255, 255, 255)"
    assert background("print", "dark") == "rgb(255, 255, 255)"
    page.media("screen")


def test_every_drawing_and_button_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        "[...document.querySelectorAll('svg[role=img]')]"
        ".filter(s => !s.getAttribute('aria-label') && !s.querySelector(':scope > title')).length"
    )
    assert nameless == 0
    assert page.evaluate("[...document.querySelectorAll('button')].filter(b => !b.textContent.trim()).length") == 0


def screenshot(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs" / "screenshot.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment or None)


def test_the_screenshot_shows_the_top_of_the_report(run: Path, tmp_path: Path) -> None:
    done = screenshot(run, tmp_path / "report.png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "report.png") as picture:
        assert picture.size == (1280, 2020)
        colours = picture.convert("RGB").getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 50
    assert (tmp_path / "report.png").stat().st_size <= 400_000


def test_the_screenshot_says_what_is_missing(run: Path, tmp_path: Path) -> None:
    nowhere = screenshot(tmp_path, tmp_path / "report.png")
    assert (nowhere.returncode, "`cosim report" in nowhere.stderr) == (2, True)
    without = screenshot(run, tmp_path / "report.png", PATH=str(tmp_path))
    assert (without.returncode, "apt-get install chromium" in without.stderr) == (2, True)
    assert not (tmp_path / "report.png").exists()
