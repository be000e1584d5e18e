"""Samples over time as Parquet parts: columns t_ns, source, metric, labels, value."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Collection
from itertools import accumulate
from pathlib import Path
from typing import Any

from cosim.clock import monotonic_s

PART_ROWS = 50_000
PART_AGE_S = 30.0


class TimeseriesWriter:
    """Writes `part-000000.parquet`, `part-000001.parquet`, ... into a directory.

    A part is closed after PART_ROWS rows or with the first sample PART_AGE_S of wall time after its first one, so
    memory is bounded and a killed run loses one part at most. `labels` is a JSON object with sorted keys, as text.
    """

    def __init__(self, directory: Path, part_rows: int = PART_ROWS) -> None:
        self._directory = directory
        self._part_rows = part_rows
        self._part = 0
        self._opened_s = 0.0
        self._t_ns = array("q")
        self._value = array("d")
        self._source = _Texts()
        self._metric = _Texts()
        self._labels = _Texts()
        self._label_texts: dict[tuple[tuple[str, str], ...], str] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def add(self, t_ns: int, source: str, metric: str, labels: dict[str, str], value: float) -> None:
        """Add one sample; `t_ns` is virtual time since the epoch."""
        if not self._t_ns:
            self._opened_s = monotonic_s()
        self._t_ns.append(t_ns)
        self._value.append(value)
        self._source.append(source)
        self._metric.append(metric)
        self._labels.append(self._label_text(labels))
        if len(self._t_ns) >= self._part_rows or monotonic_s() - self._opened_s >= PART_AGE_S:
            self._close_part()

    def close(self) -> None:
        """Write the samples of the open part, if there are any."""
        if self._t_ns:
            self._close_part()

    def _label_text(self, labels: dict[str, str]) -> str:
        key = tuple(sorted(labels.items()))
        text = self._label_texts.get(key)
        if text is None:
            # Labels name things of the scenario, so there are few; the bound is against a caller that puts ids in.
            if len(self._label_texts) >= 10_000:
                self._label_texts.clear()
            text = self._label_texts[key] = json.dumps(dict(key))
        return text

    def _close_part(self) -> None:
        # pyarrow takes a third of a second to import; a run without gauges never needs it.
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {
            "t_ns": _numbers(self._t_ns, pa.int64()),
            "source": self._source.column(),
            "metric": self._metric.column(),
            "labels": self._labels.column(),
            "value": _numbers(self._value, pa.float64()),
        }
        path = self._directory / f"part-{self._part:06d}.parquet"
        temporary = path.with_name(path.name + ".tmp")
        pq.write_table(pa.table(columns), temporary, compression="zstd")
        os.replace(temporary, path)
        self._part += 1
        self._t_ns, self._value = array("q"), array("d")
        self._source, self._metric, self._labels = _Texts(), _Texts(), _Texts()


class _Texts:
    """A column of texts of which there are few, each once and by number."""

    def __init__(self) -> None:
        self._numbers = array("i")
        self._number_of: dict[str, int] = {}

    def append(self, text: str) -> None:
        self._numbers.append(self._number_of.setdefault(text, len(self._number_of)))

    def column(self) -> Any:
        import pyarrow as pa

        return pa.DictionaryArray.from_arrays(_numbers(self._numbers, pa.int32()), string_array(self._number_of))


def string_array(texts: Collection[str]) -> Any:
    """A pyarrow array of texts. `pa.array` would import pandas, which takes most of a second."""
    import pyarrow as pa

    encoded = [text.encode() for text in texts]
    ends = array("i", accumulate(map(len, encoded), initial=0))
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def _numbers(values: array[Any], kind: Any) -> Any:
    import pyarrow as pa

    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
