"""The roofline against public measurements: the file has sources, and the errors stay what the documents say."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.roofline_check import REFERENCE, Row, closed_loop_ms, decode_ms, predicted, roofline, rows

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "roofline_check.py"


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(SCRIPT), "--json"], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_measurement_says_where_it_was_found() -> None:
    sources = yaml.safe_load(REFERENCE.read_text())["sources"]
    for source in sources.values():
        assert set(source) == {"url", "date", "conditions", "quote"}
        assert source["url"].startswith("https://")
        assert "2602.23722" not in source["url"]
    found = rows()
    assert len({row.id for row in found}) == len(found)
    assert len({(row.hardware, row.model) for row in found if row.use == "check"}) >= 10


def test_calibrated_rows_are_met_and_held_out_ones_as_documented(result: dict[str, Any]) -> None:
    by_use: dict[str, list[float]] = {"calibration": [], "check": []}
    for row in result["rows"]:
        if row["workload"]["kind"] != "kv_cache":
            by_use[row["use"]].append(abs(row["error"]))
    assert max(by_use["calibration"]) < 0.05
    assert len(by_use["check"]) >= 20
    assert statistics.median(by_use["check"]) < 0.10
    assert result["summary"]["times"]["median_abs_error"] == pytest.approx(statistics.median(by_use["check"]), abs=1e-3)
    assert result["summary"]["kv_cache"]["rows"] >= 4


def test_clients_of_a_closed_loop_share_steps_with_prompts() -> None:
    row = next(row for row in rows() if row.id == "l40s-qwen3-8b-c16")
    profile = roofline(row)
    alone = decode_ms(profile, 16, 512 + 128)
    assert alone < closed_loop_ms(profile, 16, 512, 256) < 1.2 * alone
    assert closed_loop_ms(profile, 512, 512, 256) > decode_ms(profile, 512, 640)


def test_rates_and_times_of_one_request_agree() -> None:
    stream = Row(
        "x",
        "l40s",
        "qwen3-8b",
        "s",
        "tokens/s",
        1,
        {"kind": "stream", "prompt": 100, "output": 200},
        args={"max_model_len": 1024},
    )
    ttft = Row("x", "l40s", "qwen3-8b", "s", "ms", 1, {"kind": "ttft", "prompt": 100}, args={"max_model_len": 1024})
    total_ms = predicted(ttft) + 199 * decode_ms(roofline(stream), 1, 200)
    assert predicted(stream) == pytest.approx(200 / total_ms * 1e3)
