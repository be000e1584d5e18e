"""The final table and the progress display."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from cosim.results import display, terminal
from cosim.results.display import choose_mode
from cosim.results.summary import summarise
from cosim.results.terminal import Progress, plain_lines, print_summary
from tests.results_factory import S, made_up_run, request, write_run


def printed(run: Path, *, tty: bool) -> str:
    stream = io.StringIO()
    print_summary(summarise(run), Console(file=stream, force_terminal=tty, width=120, color_system=None))
    return stream.getvalue()


def test_plain_text_fits_into_100_columns(tmp_path: Path) -> None:
    text = printed(made_up_run(tmp_path / "run", seconds=20), tty=False)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.startswith("VALID  made-up\n")
    assert "\x1b" not in text
    for word in ("device", "edge", "cloud", "premium", "hit rate", "ttft p50", "e2el p95", "prefill", "executed 100%"):
        assert word in text


def test_rich_table_says_the_same(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", seconds=20)
    text = printed(run, tty=True)
    for row in terminal.sla_cells(summarise(run)) + terminal.latency_cells(summarise(run)):
        assert all(cell in text for cell in row)


def test_reasons_and_undefined_numbers(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [request("a", status="error", tier="[edge]")])
    lines = plain_lines(summarise(run))
    assert lines[0] == "INVALID, no step  made-up"
    assert lines[1].startswith("  - tier device has 0 counted request(s)")
    assert max(len(line) for line in lines) <= 100
    assert any(line.split()[:5] == ["device", "0", "0", "-", "-"] for line in lines)
    assert "[edge]" in printed(run, tty=True)


def test_progress_limits_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(display, "monotonic_s", lambda: now_s)
    stream = io.StringIO()
    progress = Progress("plain", 60 * S, stream)
    for step in range(100):
        now_s = 100.0 + step * 0.11
        progress.update(step * S // 2, step, step // 2, {"edge": (step, step // 2)})
    progress.close()
    progress.update(0, 0, 0, {})
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].strip() == "23.0 s of 60 s virtual ( 38%), 5 s wall, 23/46 requests ended [edge 23/46]"


def test_progress_after_the_last_arrival_stays_at_100_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(display, "monotonic_s", lambda: now_s)
    stream = io.StringIO()
    progress = Progress("plain", 60 * S, stream)
    now_s = 9.0
    progress.update(70 * S, 5, 4, {})
    assert "(100%)" in stream.getvalue()
    progress.close()


def test_rich_progress_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(display, "monotonic_s", lambda: now_s)
    shown, silent = io.StringIO(), io.StringIO()
    for progress, stream in ((Progress("rich", 60 * S, shown), shown), (Progress("none", 60 * S, silent), silent)):
        now_s += 1.0
        progress.update(30 * S, 10, 9, {"edge": (10, 9)})
        progress.close()
        progress.close()
        del stream
    assert silent.getvalue() == ""


def test_the_mode_follows_the_stream() -> None:
    assert [choose_mode(ui, io.StringIO()) for ui in ("auto", "rich", "plain", "none")] == [
        "plain",
        "rich",
        "plain",
        "none",
    ]
