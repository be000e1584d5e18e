"""Parquet parts: closed as they fill, readable at any time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosim.results import timeseries
from cosim.results.timeseries import TimeseriesWriter

pq = pytest.importorskip("pyarrow.parquet")


def rows(directory: Path) -> list[dict[str, object]]:
    return [row for part in sorted(directory.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**62),
            st.sampled_from(["edge", "link"]),
            st.sampled_from(["queue_bytes", "running"]),
            st.dictionaries(st.sampled_from(["ue", "path"]), st.text(max_size=3), max_size=2),
            st.floats(allow_nan=False),
        ),
        max_size=12,
    )
)
def test_samples_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[int, str, str, dict[str, str], float]]
) -> None:
    directory = tmp_path_factory.mktemp("timeseries")
    writer = TimeseriesWriter(directory, part_rows=4)
    for sample in samples:
        writer.add(*sample)
    writer.close()
    assert [
        (row["t_ns"], row["source"], row["metric"], json.loads(str(row["labels"])), row["value"])
        for row in rows(directory)
    ] == samples
    assert len(list(directory.iterdir())) == (len(samples) + 3) // 4


def test_columns_and_types(tmp_path: Path) -> None:
    writer = TimeseriesWriter(tmp_path)
    writer.add(1, "edge", "running", {"b": "2", "a": "1"}, 3.0)
    writer.close()
    table = pq.read_table(tmp_path / "part-000000.parquet")
    assert table.column_names == ["t_ns", "source", "metric", "labels", "value"]
    assert str(table.schema.field("t_ns").type) == "int64"
    assert str(table.schema.field("value").type) == "double"
    assert str(table.schema.field("metric").type).startswith("dictionary<values=string")
    assert rows(tmp_path)[0]["labels"] == '{"a": "1", "b": "2"}'


def test_an_old_part_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(timeseries, "monotonic_s", lambda: now_s)
    writer = TimeseriesWriter(tmp_path)
    writer.add(1, "edge", "running", {}, 1.0)
    assert rows(tmp_path) == []
    now_s = 31.0
    writer.add(2, "edge", "running", {}, 2.0)
    assert [row["t_ns"] for row in rows(tmp_path)] == [1, 2]


def test_nothing_to_write_leaves_no_part(tmp_path: Path) -> None:
    writer = TimeseriesWriter(tmp_path)
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_neither_writing_nor_reading_imports_pandas(tmp_path: Path) -> None:
    """It would be a third of the time that a short run takes."""
    program = f"""
import sys
from pathlib import Path
from cosim.results.store import read_samples
from cosim.results.timeseries import TimeseriesWriter
directory = Path({str(tmp_path)!r})
writer = TimeseriesWriter(directory / "timeseries")
writer.add(1, "edge", "running", {{}}, 3.0)
writer.close()
(found,) = read_samples(directory, ["running"])
assert found.value.tolist() == [3.0]
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
