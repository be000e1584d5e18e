"""The lines of requests.jsonl and steps.jsonl as typed columns, each with its definition; read in batches of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

from cosim.results.parts import in_time, part_of
from cosim.results.records import EgressRecord, FrontendRecord, RequestRecord, StepRecord
from cosim.results.store import read_part_names, read_requests, read_steps

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 10_000

Kind = Literal["int", "float", "bool", "text", "ints", "texts"]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column: its name, what it holds (`covers`), how a row gives it. `nullable`: a value may be missing."""

    name: str
    kind: Kind
    covers: str
    value: Callable[[Row], Any]
    nullable: bool = False


class EgressRow(NamedTuple):
    """One request of an EgressRecord."""

    line: EgressRecord
    request_id: str
    duration_ns: int


def _same(name: str, kind: Kind, covers: str, *, nullable: bool = False) -> Column[Any]:
    """A column that a record has under its own name."""
    return Column(name, kind, covers, attrgetter(name), nullable)


def _condition(name: str, kind: Kind, covers: str) -> Column[Any]:
    """A column of a record's `conditions`."""
    return Column(name, kind, covers, lambda r: getattr(r.conditions, name) if r.conditions else None, nullable=True)


_SOURCE = (
    _same("source", "text", "where the duration is from: executed, replayed, interpolated, extrapolated or predicted"),
    _same("recorded_source", "text", "of a replayed duration what it was when it was recorded", nullable=True),
)
_WALL = (
    _same("wall_start_ns", "int", "start on the monotonic clock of the engine's host", nullable=True),
    _same("wall_end_ns", "int", "end on the same clock", nullable=True),
)
_CONDITIONS = (
    _condition("cpu_ns", "int", "CPU time that the process used meanwhile"),
    _condition("cpu_wait_ns", "int", "time for which the executing thread waited for a CPU"),
    _condition("cpu_mhz", "float", "clock of the CPU afterwards"),
    _condition("gpu_mhz", "int", "clock of the GPU afterwards"),
    _condition("gpu_power_w", "float", "power of the GPU afterwards"),
)

_REQUEST: tuple[Column[RequestRecord], ...] = (
    _same("request_id", "text", "unique in the run"),
    _same("client", "text", "who asked"),
    _same("session", "text", "conversation that the request is part of", nullable=True),
    _same("turn", "int", "place in the conversation, from 0", nullable=True),
    _same("tier", "text", "where it was served; missing if it was rejected", nullable=True),
    _same("engine", "text", "engine that served it", nullable=True),
    _same("model", "text", "the engine's model", nullable=True),
    _same("status", "text", "ok, error, timeout, cancelled or rejected"),
    _same("error", "text", "why it is not ok", nullable=True),
    _same("warmup", "bool", "due in the warm-up: served, not counted"),
    _same("attempts", "int", "how often it was sent"),
    _same("t_scheduled_ns", "int", "when it was due"),
    _same("t_sent_ns", "int", "when it was handed to the HTTP client"),
    _same("t_first_token_ns", "int", "arrival of the first chunk with a token", nullable=True),
    _same("t_end_ns", "int", "when it ended"),
    _same("ttft_ns", "int", "t_first_token - t_sent", nullable=True),
    _same("e2el_ns", "int", "t_end - t_sent"),
    _same("e2el_scheduled_ns", "int", "t_end - t_scheduled; what an SLA judges"),
    _same("tpot_ns", "int", "(e2el - ttft) / (output_tokens - 1), rounded", nullable=True),
    _same("chunk_times_ns", "ints", "arrival of each chunk of the answer at the client"),
    _same("prompt_tokens", "int", "tokens of the prompt, images included", nullable=True),
    _same("output_tokens", "int", "tokens of the answer that reached the client"),
    _same("cached_tokens", "int", "prompt tokens that the engine's prefix cache had", nullable=True),
    _same("bytes_up", "int", "bytes sent, all attempts"),
    _same("bytes_down", "int", "bytes of the answer that reached the client"),
    _same("connection", "text", "new, reused or none"),
)
_RESERVED: tuple[Column[RequestRecord], ...] = (
    _same("redirected_from", "text", "reserved: nothing fills it yet", nullable=True),
    _same("energy_j", "float", "reserved: nothing fills it yet", nullable=True),
    _same("cost", "float", "reserved: nothing fills it yet", nullable=True),
    _same("quality", "float", "reserved: nothing fills it yet", nullable=True),
)

STEP_COLUMNS: tuple[Column[StepRecord], ...] = (
    _same("engine", "text", "which engine"),
    _same("index", "int", "number of the step at its engine, from 0"),
    _same("t_start_ns", "int", "start in virtual time"),
    _same("duration_ns", "int", "how long it took, after time_scale"),
    *_SOURCE,
    Column("prefill_tokens", "int", "prompt tokens in the batch", attrgetter("signature.prefill_tokens")),
    Column("decode_sequences", "int", "sequences that decode in the batch", attrgetter("signature.decode_sequences")),
    Column("context_tokens", "int", "tokens that attention looks back on", attrgetter("signature.context_tokens")),
    Column("encoder_tokens", "int", "tokens that the vision encoder makes", attrgetter("signature.encoder_tokens")),
    Column("images", "int", "images that are encoded", attrgetter("signature.images")),
    Column("request_ids", "texts", "requests in the batch; -retryN: a further attempt", lambda r: list(r.scheduled)),
    Column("output_tokens", "int", "tokens that it yielded", lambda r: sum(t[0] for t in r.tokens.values())),
    _same("in_flight", "bool", "a further batch was fixed when it started (asynchronous scheduling)"),
    *_WALL,
    *_CONDITIONS,
)
FRONTEND_COLUMNS: tuple[Column[FrontendRecord], ...] = (
    _same("engine", "text", "which engine"),
    _same("request_id", "text", "which request; -retryN: a further attempt"),
    _same("t_start_ns", "int", "start in virtual time"),
    _same("duration_ns", "int", "how long it took, after time_scale"),
    *_SOURCE,
    _same("prompt_tokens", "int", "tokens of the prompt, images included"),
    _same("encoder_tokens", "int", "tokens of its images"),
    _same("images", "int", "its images"),
    _same("refused", "text", "text of the server's 4xx answer", nullable=True),
    *_WALL,
    *_CONDITIONS,
)
EGRESS_COLUMNS: tuple[Column[EgressRow], ...] = (
    Column("engine", "text", "which engine", attrgetter("line.engine")),
    Column("index", "int", "the step whose tokens these are", attrgetter("line.index")),
    Column("request_id", "text", "which request; -retryN: a further attempt", attrgetter("request_id")),
    Column("duration_ns", "int", "output processing and SSE of its chunk, after time_scale", attrgetter("duration_ns")),
    Column("source", "text", "as in steps", attrgetter("line.source")),
    Column("recorded_source", "text", "as in steps", attrgetter("line.recorded_source"), nullable=True),
)


def part_column(part: str) -> Column[RequestRecord]:
    """The column of a latency part; 0 where a request lacks it."""
    return Column(f"parts.{part}_ns", "int", part_of(part).covers, lambda record: record.parts.get(part, 0))


def request_columns(parts: Iterable[str]) -> tuple[Column[RequestRecord], ...]:
    """Columns of a table of requests whose `parts` have these keys, the parts in the order of time."""
    return (*_REQUEST, *(part_column(part) for part in in_time(parts)), *_RESERVED)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a run: its schema, and its rows, read as they are asked for."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def requests_table(directory: Path, parts: Iterable[str] | None = None) -> Table:
    """requests.jsonl, with a column for each part in it, or for each of `parts`.

    Raises ResultsError for a missing or damaged file, here and below; damage may only be met with a later batch.
    """
    return _table(request_columns(read_part_names(directory) if parts is None else parts), read_requests(directory))


def steps_table(directory: Path) -> Table:
    """The steps of steps.jsonl."""
    return _table(STEP_COLUMNS, (line for line in read_steps(directory) if isinstance(line, StepRecord)))


def frontends_table(directory: Path) -> Table:
    """The front ends' work in steps.jsonl."""
    return _table(FRONTEND_COLUMNS, (line for line in read_steps(directory) if isinstance(line, FrontendRecord)))


def egress_table(directory: Path) -> Table:
    """The egress work in steps.jsonl, a row for each chunk of an answer."""
    lines = (line for line in read_steps(directory) if isinstance(line, EgressRecord))
    rows = (EgressRow(line, *item) for line in lines for item in line.durations_ns.items())
    return _table(EGRESS_COLUMNS, rows)


def schema_of(columns: Iterable[Column[Any]]) -> pa.Schema:
    """The columns as Arrow has them; each field carries its definition as metadata."""
    import pyarrow as pa

    types = {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "text": pa.string(),
        "ints": pa.list_(pa.int64()),
        "texts": pa.list_(pa.string()),
    }
    return pa.schema(
        [
            pa.field(column.name, types[column.kind], column.nullable, {"description": column.covers})
            for column in columns
        ]
    )


def _table(columns: Sequence[Column[Row]], rows: Iterable[Row]) -> Table:
    schema = schema_of(columns)
    return Table(schema, _batches(columns, schema, iter(rows)))


def _batches(columns: Sequence[Column[Row]], schema: pa.Schema, rows: Iterator[Row]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    while some := list(islice(rows, BATCH_ROWS)):
        arrays = [
            pa.array([column.value(row) for row in some], type=field.type)
            for column, field in zip(columns, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
