"""docs/analysis.md: its scenario, commands and examples are executed; what it prints and lists is compared."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cosim.results.columns import EGRESS_COLUMNS, FRONTEND_COLUMNS, STEP_COLUMNS, Column, request_columns
from tests.perfetto_trace import read_trace

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"
TYPES = {"int": "int", "float": "float", "bool": "bool", "text": "text", "ints": "array of ints"}
TYPES["texts"] = "array of texts"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def commands(text: str) -> list[list[str]]:
    lines = [line.removeprefix("$ cosim ").split() for line in text.splitlines()]
    return [[sys.executable, "-m", "cosim", *words] for words in lines]


def rows(columns: Sequence[Column[Any]]) -> str:
    return "\n".join(
        f"| `{column.name}` | {TYPES[column.kind]}{', may be missing' if column.nullable else ''} | {column.covers} |"
        for column in columns
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's scenario has been swept."""
    folder = tmp_path_factory.mktemp("analysis")
    (folder / "analysis.yaml").write_text(blocks("yaml")[0])
    run_in(folder, commands(blocks("console")[0]))
    return folder


def run_in(folder: Path, lines: list[list[str]]) -> None:
    root = os.pathsep.join(filter(None, [str(PAGE.parents[1]), os.environ.get("PYTHONPATH")]))
    for line in lines:
        environment = {**os.environ, "PYTHONPATH": root}
        done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr


def test_the_examples_print_what_the_page_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    examples = "\n".join(blocks("python"))
    page = doctest.DocTestParser().get_doctest(examples, {}, PAGE.name, str(PAGE), 0)
    assert len(page.examples) > 15
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(page, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_the_exports_of_the_page_work(folder: Path) -> None:
    run_in(folder, commands(blocks("console")[1]))
    run = folder / "results" / "analysis" / "points" / "delay=60ms" / "run=0"
    assert (run.parents[2] / "parquet" / "requests.parquet").is_file()
    assert (run / "csv" / "requests.csv").is_file()
    assert (run / "vllm-bench-cloud.json").is_file()
    assert read_trace(run / "trace.pftrace").of("request")


def test_the_page_lists_each_column_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    tables: tuple[Sequence[Column[Any]], ...] = (request_columns([]), STEP_COLUMNS, FRONTEND_COLUMNS, EGRESS_COLUMNS)
    for columns in tables:
        assert rows(columns) in text
