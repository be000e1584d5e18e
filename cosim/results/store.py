"""The run directory: written as things happen, read back line by line."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar

import msgspec

from cosim.clock import monotonic_s
from cosim.results.manifest import damage
from cosim.results.records import RequestRecord, StepsLine
from cosim.results.timeseries import TimeseriesWriter, string_array
from cosim.signals import unbroken

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

REQUESTS = "requests.jsonl"
STEPS = "steps.jsonl"
MANIFEST = "manifest.json"
SCENARIO = "scenario.resolved.yaml"
SUMMARY = "summary.json"
FAILURE = "failure.json"
REPORT = "report.html"
TIMESERIES = "timeseries"
LOGS = "logs"

FLUSH_INTERVAL_S = 0.5
FLUSH_LINES = 1000

T = TypeVar("T")


class Samples(NamedTuple):
    """Samples of one source, metric and set of labels (as text) from one part of timeseries/, in its order."""

    source: str
    metric: str
    labels: str
    t_ns: NDArray[np.int64]
    value: NDArray[np.float64]


class ResultsError(Exception):
    """A file of a run directory is missing, damaged or in the way; the text names it and says what to do."""


def write_atomic(path: Path, content: bytes) -> None:
    """Replace a file so that a reader sees the old content or the new, never a part. An OSError names the file."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_manifest(directory: Path, content: dict[str, object]) -> None:
    """Write manifest.json anew; the latest call counts."""
    write_atomic(directory / MANIFEST, (json.dumps(content, indent=1) + "\n").encode())


class _Lines:
    """A file of JSON lines with a buffer of its own, bounded by a number of lines."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: BinaryIO = open(path, "xb", buffering=0)  # noqa: SIM115
        except FileExistsError:
            raise ResultsError(
                f"{path} exists: the directory already holds a run; choose another with -o or pass --force"
            ) from None
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        self._lines = 0
        self.written = 0

    def write(self, record: RequestRecord | StepsLine) -> None:
        self._buffer += self._encoder.encode(record)
        self._buffer += b"\n"
        self._lines += 1
        self.written += 1
        if self._lines >= FLUSH_LINES:
            self.flush()

    def flush(self) -> None:
        # What a full disk did not take stays here, so that a later try neither loses nor doubles a part of a line.
        while self._buffer:
            del self._buffer[: self._file.write(self._buffer)]
        self._lines = 0

    def close(self) -> None:
        self.flush()
        self._file.close()


class RunWriter:
    """Writes one run's directory as things happen.

    Lines reach the operating system after FLUSH_LINES lines, and with the first call that comes FLUSH_INTERVAL_S or
    more after the last flush; a killed process loses no more than that. Raises ResultsError if the directory holds a
    run already, or if requests do not come in order of `t_end_ns`. Ctrl-C and SIGTERM come between two records.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        (directory / LOGS).mkdir(exist_ok=True)
        self._requests = _Lines(directory / REQUESTS)
        self._steps = _Lines(directory / STEPS)
        self._timeseries = TimeseriesWriter(directory / TIMESERIES)
        # Requests of the latest t_end_ns wait here: a later one of the same instant may sort before them.
        self._held: list[RequestRecord] = []
        self._flushed_s = monotonic_s()
        self._closed = False

    def request(self, record: RequestRecord) -> None:
        """Add a request that has ended; calls come in order of `t_end_ns`."""
        with unbroken:
            if self._held and record.t_end_ns != self._held[0].t_end_ns:
                if record.t_end_ns < self._held[0].t_end_ns:
                    what = (
                        f"request {record.request_id} ended at {record.t_end_ns} ns, before {self._held[0].request_id}"
                    )
                    raise ResultsError(
                        f"{what} at {self._held[0].t_end_ns} ns that is already recorded; please report this as a bug"
                    )
                self._release()
            self._held.append(record)
            self._flush_if_due()

    def step(self, record: StepsLine) -> None:
        """Add a line of steps.jsonl."""
        with unbroken:
            self._steps.write(record)
            self._flush_if_due()

    def gauge(self, t_ns: int, source: str, metric: str, labels: dict[str, str], value: float) -> None:
        """Add one sample of a time series; the unit is in the metric's name."""
        with unbroken:
            self._timeseries.add(t_ns, source, metric, labels, value)
            self._flush_if_due()

    def lines(self) -> dict[str, int]:
        """Lines written so far by file, so that a reader can tell a file that was cut."""
        return {"requests": self._requests.written, "steps": self._steps.written}

    def flush(self) -> None:
        """Hand to the operating system what is buffered, but for requests whose order is still open."""
        with unbroken:
            self._requests.flush()
            self._steps.flush()
            self._flushed_s = monotonic_s()

    def close(self) -> None:
        """Write everything out; a second call does nothing."""
        with unbroken:
            if self._closed:
                return
            self._closed = True
            self._release()
            self._requests.close()
            self._steps.close()
            self._timeseries.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _release(self) -> None:
        self._held.sort(key=lambda record: record.request_id)
        for record in self._held:
            self._requests.write(record)
        self._held.clear()

    def _flush_if_due(self) -> None:
        if monotonic_s() - self._flushed_s >= FLUSH_INTERVAL_S:
            self.flush()


def read_requests(directory: Path) -> Iterator[RequestRecord]:
    """The requests of a run, in the file's order.

    A last line that a killed run left torn is skipped; raises ResultsError with file and line for any other damage.
    """
    return _read(directory / REQUESTS, msgspec.json.Decoder(RequestRecord))


class _Parts(msgspec.Struct):
    parts: dict[str, int]


def read_part_names(directory: Path) -> set[str]:
    """Every key that `parts` has in requests.jsonl; damage is treated as by `read_requests`."""
    found: set[str] = set()
    for record in _read(directory / REQUESTS, msgspec.json.Decoder(_Parts)):
        found.update(record.parts)
    return found


def read_steps(directory: Path) -> Iterator[StepsLine]:
    """The lines of steps.jsonl, in the file's order; damage is treated as by `read_requests`."""
    decoder: msgspec.json.Decoder[StepsLine] = msgspec.json.Decoder(StepsLine)
    return _read(directory / STEPS, decoder)


def read_timeseries(directory: Path) -> Iterator[pa.Table]:
    """The time series of a run, a table with the columns t_ns, source, metric, labels, value for each part.

    Raises ResultsError for a damaged part; a run without time series has no tables.
    """
    parts = sorted((directory / TIMESERIES).glob("part-*.parquet"))
    if not parts:
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in parts:
        try:
            # Not read_table: it imports pandas, by way of pyarrow.dataset.
            with pq.ParquetFile(path) as part:
                table = part.read(["t_ns", "source", "metric", "labels", "value"])
        except (pa.ArrowException, OSError) as error:
            raise ResultsError(f"{path}: {error}; restore the file or run the scenario again") from None
        yield table


def read_samples(directory: Path, metrics: Collection[str] | None) -> Iterator[Samples]:
    """The time series of a run whose metric is named (None: all), part by part, so that memory holds one part.

    Raises ResultsError for a damaged part; a run without time series has no samples.
    """
    for table in read_timeseries(directory):
        yield from _samples(table, metrics)


def _samples(table: pa.Table, metrics: Collection[str] | None) -> Iterator[Samples]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if metrics is not None:
        table = table.filter(pc.is_in(table["metric"].cast(pa.string()), string_array(metrics)))
    if not len(table):
        return
    names, codes = [], np.zeros(len(table), dtype=np.int64)
    for key in ("source", "metric", "labels"):
        found = table[key].cast(pa.string()).combine_chunks().dictionary_encode()
        names.append(found.dictionary.to_pylist())
        codes = codes * max(len(names[-1]), 1) + np.asarray(np.from_dlpack(found.indices), np.int64)
    order = np.argsort(codes, kind="stable")
    # to_numpy would import pandas.
    t_ns = np.asarray(np.from_dlpack(table["t_ns"].combine_chunks()), np.int64)[order]
    value = np.asarray(np.from_dlpack(table["value"].combine_chunks()), np.float64)[order]
    kinds, starts = np.unique(codes[order], return_index=True)
    for code, start, end in zip(kinds.tolist(), starts, [*starts[1:], len(order)], strict=True):
        code, labels = divmod(code, len(names[2]))
        source, metric = divmod(code, len(names[1]))
        chosen = slice(start, end)
        yield Samples(names[0][source], names[1][metric], names[2][labels], t_ns[chosen], value[chosen])


def read_manifest(directory: Path) -> dict[str, Any]:
    """manifest.json of a run. Raises ResultsError if it is missing, no JSON object or not as a run writes it."""
    path = directory / MANIFEST
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise _missing(path, error) from None
    except ValueError as error:
        raise ResultsError(f"{path}: not JSON ({error}); restore the file or run the scenario again") from None
    if not isinstance(content, dict):
        raise ResultsError(f"{path}: holds no JSON object; restore the file or run the scenario again")
    if what := damage(content):
        raise ResultsError(f"{path}: {what}; restore the file or run the scenario again")
    return content


def read_scenario_text(directory: Path, name: str = SCENARIO) -> str:
    """scenario.resolved.yaml of a run, or another file of its directory, as text. Raises ResultsError."""
    path = directory / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise _missing(path, error) from None
    except UnicodeDecodeError:
        raise ResultsError(f"{path}: is not UTF-8 text; restore the file or run the scenario again") from None


def _missing(path: Path, error: OSError) -> ResultsError:
    what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    return ResultsError(f"{path} {what}; is {path.parent} the directory of a run (-o of `cosim run`)?")


def _read(path: Path, decoder: msgspec.json.Decoder[T]) -> Iterator[T]:
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise _missing(path, error) from None
    with file:
        for number, line in enumerate(file, 1):
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                # Each line is written with its newline in one go, so only a killed run's last line can lack it.
                if not line.endswith(b"\n"):
                    return
                raise ResultsError(
                    f"{path}:{number}: {error}; the file was changed or the disk failed: run the scenario again"
                ) from None
