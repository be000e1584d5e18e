"""The requests of a trace that a group of clients asks: checked, cut to the run, and spread over the clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cosim.clients import trace_formats as formats
from cosim.clients.trace_lines import LineError, Row, Rows, open_rows
from cosim.scenario.errors import MOST_SHOWN, Problem, ScenarioError, shown
from cosim.scenario.traces import Trace, TraceColumns

Value = TypeVar("Value")


class TraceRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request: its line in the trace, when it is due (ns since the run's epoch), and the number of its client."""

    line: int
    due_ns: int
    client: int
    prompt_tokens: int
    output_tokens: int
    session: str | None = None
    turn: int | None = None
    hash_ids: formats.HashIds = ()


@dataclass(slots=True)
class TraceUse:
    """What became of the rows that were read; complete once they all were."""

    format: str = "columns"
    requests: int = 0
    clipped: int = 0
    dropped: int = 0
    first_line: int | None = None
    last_line: int | None = None
    last_due_ns: int | None = None


class TraceFileError(OSError):
    """The file of a trace cannot be opened or read on."""


@dataclass(slots=True)
class TraceReader:
    """Reads the requests of a group that are due before `end_ns` and before it leaves, and no more of the file."""

    group: Trace
    end_ns: int
    use: TraceUse = field(default_factory=TraceUse)
    _problems: list[Problem] = field(default_factory=list)
    _columns: TraceColumns = field(init=False)
    _first_ns: int | None = None
    _last_ns: int = -1
    _too_long: int = 0
    _first_too_long: Problem | None = None
    _sessions: dict[str, int] = field(default_factory=dict)

    def requests(self) -> Iterator[TraceRequest]:
        """The requests in order of time.

        Raises TraceFileError, and at the end ScenarioError with what is wrong in the file, each at its line.
        """
        group = self.group
        end_ns = self.end_ns if group.leave is None else min(self.end_ns, group.leave)
        try:
            with open_rows(Path(group.file)) as rows:
                self._choose_columns(rows)
                while len(self._problems) <= MOST_SHOWN and self.use.requests != group.limit:
                    try:
                        row = rows.each()
                        due_ns = None if row is None else self._due_ns(row)
                        if row is None or due_ns is None or due_ns >= end_ns:
                            break
                        if due_ns < group.join:
                            continue
                        request = self._request(row, due_ns)
                    except _Fault as fault:
                        self._problems.append(fault.problem)
                        continue
                    except LineError as error:
                        self._problems.append(self._line_problem(error))
                        if error.fatal:
                            break
                        continue
                    if request is not None:
                        yield request
        except LineError as error:
            self._problems.append(self._line_problem(error))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise TraceFileError(f"{group.file!r} cannot be read: {why}") from None
        self._conclude()

    def _choose_columns(self, rows: Rows) -> None:
        """Whose columns the file has. Raises ScenarioError."""
        group, header, line = self.group, rows.header, rows.header_line
        twice = next((name for name in header if header.count(name) > 1), None)
        if twice is not None:
            raise ScenarioError([Problem(group.file, line, twice, "names two columns", "each name once")])
        name = formats.recognised(header) if group.format == "auto" else group.format
        if group.columns is not None:
            wanted, of = formats.all_of(group.columns), "`columns`"
            self._columns = group.columns
        elif name is None and (name := formats.most_alike(header)) is None:
            known = "; ".join(f"{key}: {', '.join(formats.required(value))}" for key, value in formats.FORMATS.items())
            what = f"the columns {', '.join(header)} are those of no known trace"
            raise ScenarioError([Problem(group.file, line, "", what, f"give `columns`, or have those of {known}")])
        else:
            wanted, of = formats.required(formats.FORMATS[name]), name
            self._columns, self.use.format = formats.present(formats.FORMATS[name], header), name
        if group.spread == "session" and self._columns.session is None:
            what = "has no sessions, by which the scenario wants requests spread"
            raise ScenarioError([Problem(group.file, line, "", what, "spread: round-robin")])
        problems = [
            Problem(
                group.file,
                line,
                column,
                f"no such column ({of} has it){f', but {nearest!r}' if nearest else ''}",
                f"columns here: {shown(', '.join(header))}",
            )
            for column, nearest in formats.missing(wanted, header)
        ]
        if problems:
            raise ScenarioError(problems)

    def _due_ns(self, row: Row) -> int:
        """When a row's request is due; before `join` if it lies before the part that is wanted. Raises _Fault."""
        group, column, unit = self.group, self._columns.arrival, self._columns.unit
        t_ns = self._parsed(row, column, lambda value: formats.arrival_ns(value, unit))
        if t_ns < self._last_ns:
            what = f"goes back in time, by {(self._last_ns - t_ns) / 1e9:g} s"
            raise self._fault(row, column, formats.CellError(what, "a trace sorted by time"))
        self._last_ns = t_ns
        if self._first_ns is None:
            self._first_ns = t_ns
        faster, by = group.speedup.as_integer_ratio()
        return group.join + (t_ns - self._first_ns - group.start) * by // faster

    def _request(self, row: Row, due_ns: int) -> TraceRequest | None:
        """The request of a row; None if it is dropped. Raises _Fault."""
        group, columns, use = self.group, self._columns, self.use
        prompt, output = (
            self._parsed(row, column, formats.tokens) for column in (columns.prompt_tokens, columns.output_tokens)
        )
        if not prompt or not output:
            if group.on_no_tokens == "error":
                column = columns.output_tokens if prompt else columns.prompt_tokens
                raise self._fault(row, column, formats.CellError("0 tokens", "1 or more, or on_no_tokens: drop"))
            use.dropped += 1
            return None
        hash_ids: formats.HashIds = ()
        if columns.hash_ids is not None:
            n_tokens = prompt
            hash_ids = self._parsed(
                row, columns.hash_ids, lambda value: formats.hash_ids(value, n_tokens, group.block_tokens)
            )
        session = self._parsed(row, columns.session, formats.session) if columns.session else None
        turn = self._parsed(row, columns.turn, formats.turn) if columns.turn else None
        most = group.max_prompt_tokens
        if most is not None and prompt > most:
            if group.on_too_long == "drop":
                use.dropped += 1
                return None
            if group.on_too_long == "clip":
                use.clipped += 1
                prompt, hash_ids = most, hash_ids[: -(-most // group.block_tokens)]
            else:
                self._note_too_long(row, prompt)
        client = self._client(session)
        use.requests += 1
        use.first_line, use.last_line, use.last_due_ns = use.first_line or row.line, row.line, due_ns
        return TraceRequest(row.line, due_ns, client, prompt, output, session, turn, hash_ids)

    def _client(self, session: str | None) -> int:
        """The number of the client that asks."""
        if session is None or self.group.spread == "round-robin":
            return self.use.requests % self.group.count
        return self._sessions.setdefault(session, len(self._sessions) % self.group.count)

    def _parsed(self, row: Row, column: str, parse: Callable[[Any], Value]) -> Value:
        """What stands in a cell. Raises _Fault."""
        try:
            if column not in row.values:  # Objects of JSON Lines need not all have the same keys.
                raise formats.CellError("is missing", "the same keys in every object")
            return parse(row.values[column])
        except formats.CellError as error:
            raise self._fault(row, column, error) from None

    def _note_too_long(self, row: Row, prompt: int) -> None:
        self._too_long += 1
        if self._first_too_long is None:
            what = f"a prompt of {prompt} tokens is longer than max_prompt_tokens, {self.group.max_prompt_tokens}"
            self._first_too_long = Problem(self.group.file, row.line, self._columns.prompt_tokens, what)

    def _fault(self, row: Row, column: str, error: formats.CellError) -> _Fault:
        return _Fault(Problem(self.group.file, row.line, column, str(error), error.allowed))

    def _line_problem(self, error: LineError) -> Problem:
        return Problem(self.group.file, error.line, "", str(error), error.allowed)

    def _conclude(self) -> None:
        """Raise ScenarioError if something was wrong, or if there was nothing."""
        use = self.use
        if self._first_too_long is not None:
            first = self._first_too_long
            what = f"{first.what}; so are {self._too_long} of {use.requests} requests"
            allowed = "on_too_long: clip or drop, or a larger max_prompt_tokens"
            self._problems.append(Problem(first.origin, first.line, first.key, what, allowed))
        if not self._problems and not use.requests:
            what = "has no request for this run"
            if use.dropped:
                what += f": all {use.dropped} were dropped"
            self._problems.append(
                Problem(self.group.file, None, "", what, "another `start`, a longer duration, or another trace")
            )
        if self._problems:
            raise ScenarioError(self._problems)


class _Fault(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem
