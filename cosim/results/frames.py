"""`cosim.read`: the files of a run or of a sweep as pandas data frames, each read when it is first asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.results import columns
from cosim.results.columns import Table
from cosim.results.store import (
    MANIFEST,
    REQUESTS,
    SUMMARY,
    ResultsError,
    read_manifest,
    read_part_names,
    read_timeseries,
)
from cosim.results.summary import load_scenario
from cosim.results.sweep_store import (
    RUNS_TABLE,
    SUMMARY_TABLE,
    SWEEP_SCENARIO,
    Sweep,
    is_sweep,
    no_results,
    read_run_summary,
    read_sweep,
    run_directory,
)
from cosim.results.sweep_tables import as_written

TEXTS = ("point", "tier", "class", "status", "verdict", "steps", "paired")

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def read(directory: str | Path) -> RunFrames | SweepFrames:
    """The results in the directory of a run, or of a sweep. Raises ResultsError if it holds neither."""
    path = Path(directory)
    if is_sweep(path):
        return SweepFrames(path)
    if not any((path / name).is_file() for name in (REQUESTS, MANIFEST)):
        raise no_results(path)
    return RunFrames(path)


class RunFrames:
    """A run. Times are int64 ns since its epoch; texts are `string`; where a value may be missing an int is Int64.

    `requests`, `steps`, `frontends` and `egress` have the columns of `cosim.results.columns`. Anything may raise
    ResultsError, with file and line where there is one.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __repr__(self) -> str:
        return f"cosim.read({str(self.directory)!r})"

    @cached_property
    def requests(self) -> pd.DataFrame:
        """A row for each request, in order of its end."""
        return _frame(columns.requests_table(self.directory))

    @cached_property
    def steps(self) -> pd.DataFrame:
        """A row for each engine step, in the order in which they were executed."""
        return _frame(columns.steps_table(self.directory))

    @cached_property
    def frontends(self) -> pd.DataFrame:
        """A row for each request that a front end took."""
        return _frame(columns.frontends_table(self.directory))

    @cached_property
    def egress(self) -> pd.DataFrame:
        """A row for each request of each step that yielded tokens for it."""
        return _frame(columns.egress_table(self.directory))

    @cached_property
    def timeseries(self) -> pd.DataFrame:
        """Samples: `t_ns`, `source`, `metric`, `labels` (JSON), `value`; the three in the middle are categories."""
        import pyarrow as pa

        text = pa.dictionary(pa.int32(), pa.string())
        kinds = {"t_ns": pa.int64(), "source": text, "metric": text, "labels": text, "value": pa.float64()}
        tables = [table.cast(pa.schema(kinds)) for table in read_timeseries(self.directory)]
        whole = pa.concat_tables([pa.schema(kinds).empty_table(), *tables]).unify_dictionaries()
        frame: pd.DataFrame = whole.to_pandas()
        return frame

    @cached_property
    def sla(self) -> pd.DataFrame:
        """A row for each tier and class, as in summary.json."""
        import pandas as pd

        return pd.DataFrame(self.summary["sla"])

    @cached_property
    def tiers(self) -> pd.DataFrame:
        """A row for each tier, as in summary.json; what is nested there has a dotted name (`parts_ms.up_wan`)."""
        import pandas as pd

        rows = [{"tier": name, **tier} for name, tier in self.summary["tiers"].items()]
        return pd.json_normalize(rows)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """summary.json."""
        return _read_summary(self.directory / SUMMARY)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """manifest.json."""
        return read_manifest(self.directory)

    @cached_property
    def scenario(self) -> dict[str, Any]:
        """scenario.resolved.yaml."""
        return load_scenario(self.directory)


class SweepFrames:
    """A sweep; what is said of RunFrames holds here too. A swept key is a column under its dotted path."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __repr__(self) -> str:
        return f"cosim.read({str(self.directory)!r})"

    @cached_property
    def sweep(self) -> Sweep:
        """sweep.json: keys, seeds, points."""
        return read_sweep(self.directory)

    @cached_property
    def scenario(self) -> dict[str, Any]:
        """sweep.resolved.yaml."""
        return load_scenario(self.directory, SWEEP_SCENARIO)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """runs.csv: a row for each run, tier and class."""
        return _read_csv(self.directory / RUNS_TABLE)

    @cached_property
    def points(self) -> pd.DataFrame:
        """summary.csv: a row for each point, tier and class, with intervals across the runs."""
        return _read_csv(self.directory / SUMMARY_TABLE)

    def run(self, point: str, number: int = 0) -> RunFrames:
        """A run by its point's slug and its number. Raises ResultsError if the sweep has no such run."""
        slugs = [known.slug for known in self.sweep.points]
        if point not in slugs:
            raise ResultsError(f"{self.directory}: no point {point!r}; its points: {_some(slugs)}")
        if not 0 <= number < len(self.sweep.seeds):
            last = len(self.sweep.seeds) - 1
            raise ResultsError(f"{self.directory}: no run {number}; each point has runs 0 to {last}")
        directory = run_directory(self.directory, point, number)
        if not (directory / MANIFEST).is_file():
            what = f"run {number} of {point} was not carried out"
            raise ResultsError(f"{self.directory}: {what}; `cosim sweep --resume` carries out what is missing")
        return RunFrames(directory)

    @cached_property
    def requests(self) -> pd.DataFrame:
        """A row for each request of each run: `point`, `run`, `seed`, the swept keys, then the columns of a run."""
        return _frame(sweep_requests_table(self.directory))


def sweep_requests_table(directory: Path) -> Table:
    """The requests of all runs that there are, in the order of sweep.json. Raises ResultsError as `read_requests`."""
    import pyarrow as pa

    sweep = read_sweep(directory)
    runs = list(_runs(directory, sweep))
    parts = set[str]().union(*(read_part_names(run) for _, _, run in runs))
    values = {key: _swept(point.values.get(key) for point in sweep.points) for key in sweep.keys}
    own = pa.schema(
        [
            pa.field("point", pa.string(), nullable=False, metadata={"description": "the point's slug"}),
            pa.field("run", pa.int64(), nullable=False, metadata={"description": "number of the run at its point"}),
            pa.field("seed", pa.int64(), nullable=False, metadata={"description": "the run's seed"}),
            *(
                pa.field(key, array.type, array.null_count > 0, {"description": "swept"})
                for key, array in values.items()
            ),
        ]
    )
    schema = pa.schema([*own, *columns.schema_of(columns.request_columns(parts))])

    def batches() -> Iterator[pa.RecordBatch]:
        for place, number, run in runs:
            point = sweep.points[place]
            row = [pa.scalar(point.slug), pa.scalar(number), pa.scalar(sweep.seeds[number])]
            row += [array[place] for array in values.values()]
            for batch in columns.requests_table(run, parts).batches:
                constant = [pa.repeat(value, len(batch)) for value in row]
                yield pa.RecordBatch.from_arrays([*constant, *batch.columns], schema=schema)

    return Table(schema, batches())


def _runs(directory: Path, sweep: Sweep) -> Iterator[tuple[int, int, Path]]:
    """Place of the point, number and directory of each run that is done."""
    for place, point in enumerate(sweep.points):
        for number in range(len(sweep.seeds)):
            run = run_directory(directory, point.slug, number)
            if read_run_summary(run) is not None:
                yield place, number, run


def _swept(values: Iterable[Any]) -> pa.Array:
    """A swept key's values as a column: numbers or texts as they are, anything else as JSON."""
    import pyarrow as pa

    values = list(values)
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or kinds in ({bool}, {str}):
        return pa.array(values)
    return pa.array([as_written(value) for value in values])


def _frame(table: Table) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    whole = pa.Table.from_batches(table.batches, schema=table.schema)
    kinds = {pa.string(): pd.StringDtype()}
    with_gaps = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), **kinds}
    return pd.DataFrame(
        {
            field.name: whole[field.name].to_pandas(types_mapper=(with_gaps if field.nullable else kinds).get)
            for field in table.schema
        }
    )


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ResultsError(
            f"{path} is missing: the run did not finish, or `cosim report {path.parent}` has to write it"
        ) from None
    except OSError as error:
        raise ResultsError(f"{path} cannot be read ({error.strerror})") from None
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise ResultsError(f"{path}:{line}: not JSON ({error}); `cosim report {path.parent}` writes it anew") from None
    if not isinstance(content, dict):
        raise ResultsError(f"{path}:1: holds no JSON object; `cosim report {path.parent}` writes it anew")
    return content


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        # Names stay texts even where they look like a number or like "NA".
        return pd.read_csv(path, dtype=dict.fromkeys(TEXTS, "string"), keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise ResultsError(f"{path} is missing; `cosim report {path.parent}` writes it from the runs") from None
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: {error}; `cosim report {path.parent}` writes it anew") from None


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
