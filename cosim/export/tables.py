"""Tables as CSV or Parquet files; their columns are those of `cosim.read`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from cosim.results.columns import Table, requests_table
from cosim.results.frames import SweepFrames, sweep_requests_table
from cosim.results.sweep_store import is_sweep

TableFormat = Literal["csv", "parquet"]


def tables_of(directory: Path) -> dict[str, Table]:
    """The tables that are exported, by name: `requests`; of a sweep also `runs` and `points`."""
    if not is_sweep(directory):
        return {"requests": requests_table(directory)}
    frames = SweepFrames(directory)
    return {
        "requests": sweep_requests_table(directory),
        "runs": _whole(pa.Table.from_pandas(frames.runs, preserve_index=False)),
        "points": _whole(pa.Table.from_pandas(frames.points, preserve_index=False)),
    }


def write_table(table: Table, path: Path, kind: TableFormat, about: dict[str, Any]) -> None:
    """Write a table batch by batch; `about` goes to the metadata of a Parquet file, under the key `cosim`.

    A list (`chunk_times_ns`) is a JSON text in CSV, a missing value an empty cell.
    """
    if kind == "parquet":
        schema = table.schema.with_metadata({"cosim": json.dumps(about)})
        with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in table.batches:
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
        return
    flat = pa.schema([_flat(field) for field in table.schema])
    with pa.csv.CSVWriter(path, flat, write_options=pa.csv.WriteOptions(quoting_style="needed")) as writer:
        for batch in table.batches:
            columns = [_flatten(array) for array in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=flat))


def _whole(table: pa.Table) -> Table:
    return Table(table.schema, iter(table.to_batches()))


def _flat(field: pa.Field) -> pa.Field:
    return field.with_type(pa.string()) if pa.types.is_list(field.type) else field


def _flatten(array: pa.Array) -> pa.Array:
    if not pa.types.is_list(array.type):
        return array
    texts = pc.binary_join(array.cast(pa.list_(pa.string())), ", ")
    return pc.binary_join_element_wise("[", texts, "]", "")
