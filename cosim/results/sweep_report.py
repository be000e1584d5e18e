"""report.html of a sweep: its points on one page that fetches nothing; a pure function of the sweep's files."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cosim.results.capacity_text import HEADER, answer_lines, asked_text, curve_rows, read_answer
from cosim.results.pages import template
from cosim.results.report import loop_text
from cosim.results.store import FAILURE, REPORT, write_atomic
from cosim.results.sweep_axes import Axis
from cosim.results.sweep_curves import Points, all_axes, curve_sections, heat_charts, points_of, value_of
from cosim.results.sweep_figures import HIT_RATE, LATENCIES, Figure, counts_text, interval_text, latency_interval_text
from cosim.results.sweep_latency import bar_charts, distribution_charts
from cosim.results.sweep_panels import share_scale
from cosim.results.sweep_pareto import Loaded, pareto
from cosim.results.sweep_runs import STATES, Run, State, grouped, read_runs
from cosim.results.sweep_store import RUNS_TABLE, SUMMARY_TABLE, SWEEP_SCENARIO, Sweep, read_sweep
from cosim.results.sweep_tables import PointRow, point_rows, sweep_rows

TEMPLATE = "sweep.html.j2"
MAX_REASONS, MAX_LINKS, MAX_STEPS, MAX_VALUES = 12, 3, 3, 12
# Loads that differ by less than this share are one.
SAME_LOAD = 0.01
LOST: dict[State, str] = {"failed": "failed", "missing": "are missing"}
LETTERS = {"VALID": "V", "INVALID": "I", "failed": "F", "missing": "M"}


def write_sweep_report(sweep_directory: Path) -> Path:
    """Write report.html of a sweep and return its path; the same files give the same bytes.

    Raises ResultsError for a damaged sweep.json; a run that is missing, damaged or failed is shown as such.
    """
    path = sweep_directory / REPORT
    write_atomic(path, render(sweep_directory).encode())
    return path


def render(directory: Path) -> str:
    """The report as HTML."""
    sweep = read_sweep(directory)
    rows = point_rows(sweep_rows(directory, sweep))
    runs: dict[int, list[Run]] = {}
    for run in read_runs(directory, sweep):
        runs.setdefault(run.point, []).append(run)
    every = [run for found in runs.values() for run in found]
    points = points_of(sweep, rows)
    axes = all_axes(sweep)
    reasons = list(_reasons(sweep, every))
    intervals = f"of a hit rate: {interval_text(points.runs)} Of a latency: {latency_interval_text(points.runs)}"
    return template(TEMPLATE).render(
        sweep=sweep,
        states={state: sum(run.state == state for run in every) for state in STATES},
        total=len(every),
        done=sum(run.state in ("VALID", "INVALID") for run in every),
        steps=_steps(every),
        ending=_ending(every),
        reasons=reasons[:MAX_REASONS],
        more_reasons=max(len(reasons) - MAX_REASONS, 0),
        qualifiers=Counter(text for run in every for text in run.qualifiers).most_common(MAX_REASONS),
        seeds=_few(sweep.seeds),
        clock=_clock(every),
        axes=[{"key": axis.key, "said": _said(axis)} for axis in axes.values()],
        pairing=_pairing(sweep),
        paths=_paths(every),
        counted=counts_text(rows, points.runs) + "; warm-up is left out, error, timeout and rejected are misses",
        intervals=intervals,
        capacity=_capacity(directory),
        curves=curve_sections(points),
        heat=heat_charts(points),
        pareto=_pareto(sweep, points, runs),
        bars=bar_charts(points, runs),
        distributions=distribution_charts(directory, points, runs),
        columns=_columns(points),
        table_json=_table(sweep, axes, rows, runs),
        table_caption=f"Low and high: the interval of the hit rate, {interval_text(points.runs)}",
        summary_table=SUMMARY_TABLE,
        runs_table=RUNS_TABLE,
        scenario_name=SWEEP_SCENARIO,
        scenario=_scenario(directory),
    )


def _capacity(directory: Path) -> dict[str, Any] | None:
    answer = read_answer(directory)
    if answer is None:
        return None
    return {
        "asked": asked_text(answer),
        "answer": list(answer_lines(answer)),
        "header": HEADER,
        "rows": curve_rows(answer),
    }


def _scenario(directory: Path) -> str:
    """The scenario with its `sweep` section; a page without it is still of use."""
    try:
        return (directory / SWEEP_SCENARIO).read_text(encoding="utf-8")
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _steps(runs: Sequence[Run]) -> list[str]:
    """What steps are where they are not executed, in the words of a run's head."""
    counts = Counter(run.steps for run in runs if run.state in ("VALID", "INVALID"))
    done = sum(counts.values())
    return [
        f"{text or 'executed'}{f' ({count} of {done} runs)' if count < done else ''}"
        for text, count in counts.most_common(MAX_STEPS)
        if text or len(counts) > 1
    ]


def _ending(runs: Sequence[Run]) -> str:
    counts = Counter(run.state for run in runs)
    if counts["VALID"] == len(runs):
        return "Every run came to its end and is VALID; what that stands for is said in each run's own report."
    text = f"{counts['VALID']} of {len(runs)} runs are VALID."
    if counts["INVALID"]:
        text += f" The figures of the {counts['INVALID']} INVALID ones are drawn, and may not be used as they are."
    if counts["failed"] + counts["missing"]:
        lost = [f"{counts[state]} {words}" for state, words in LOST.items() if counts[state]]
        text += (
            f" {' and '.join(lost)}: without figures, so those of their points rest on fewer runs; "
            "`cosim sweep --resume` runs them."
        )
    return text


def _reasons(sweep: Sweep, runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    slugs = {point.index: point.slug for point in sweep.points}
    for state in ("failed", "INVALID"):
        for reason in grouped(run for run in runs if run.state == state):
            links = [
                (f"point {run.point} run {run.number}", _href(slugs[run.point], run)) for run in reason.runs[:MAX_LINKS]
            ]
            yield {"state": state, "text": reason.text, "count": len(reason.runs), "links": links}


def _href(slug: str, run: Run) -> str:
    """Where a run is: its report, what failed, or its directory."""
    file = FAILURE if run.state == "failed" else REPORT if run.has_report else ""
    return f"points/{quote(slug)}/run={run.number}/{file}"


def _clock(runs: Sequence[Run]) -> str:
    done = [run for run in runs if run.clock]
    clocks = sorted({run.clock for run in done})
    loops = {loop: loop for run in done for loop in run.loops}
    return f"{' and '.join(clocks)}, {loop_text(loops)}" if done else ""


def _said(axis: Axis) -> str:
    """The values of a key, or their range where there are many."""
    if len(axis.texts) <= MAX_VALUES:
        return ", ".join(axis.texts)
    return f"{len(axis.texts)} values" + (f" from {axis.texts[0]} to {axis.texts[-1]}" if axis.numbers else "")


def _few(seeds: Sequence[int]) -> str:
    texts = [str(seed) for seed in seeds]
    return ", ".join(texts) if len(texts) <= MAX_VALUES else f"{texts[0]} to {texts[-1]}"


def _pairing(sweep: Sweep) -> str:
    if sweep.paired:
        return (
            "paired: no step is executed, so runs of equal number have the same arrivals, images, fading, losses and "
            "step times at every point, as far as causality allows. The intervals here are of each point alone; that "
            "of a difference between points is mostly narrower (cosim compare)."
        )
    return (
        "not paired: steps are executed, and each execution has its own noise; runs of equal number share arrivals and "
        "the network's draws only."
    )


def _pareto(sweep: Sweep, points: Points, runs: Mapping[int, Sequence[Run]]) -> dict[str, str]:
    """Hit rate against offered requests/s, or against output tokens/s where the offered load is the same everywhere."""
    slugs = {point.index: point.slug for point in sweep.points}
    offered = {
        (index, tier): math.fsum(loads) / len(loads)
        for index, found in runs.items()
        for tier in {name for run in found for name in run.tiers}
        if (loads := [run.tiers[tier].offered for run in found if tier in run.tiers])
    }
    varies = offered and max(offered.values()) > (1 + SAME_LOAD) * min(offered.values())
    title = "offered requests/s" if varies else "output tokens/s"
    groups = []
    for group in points.by_tier if len(sweep.points) > 1 else []:
        found = []
        for index, row in group.rows.items():
            load = offered.get((index, row.tier or "")) if varies else row.figures["output_throughput"].mean
            if group.sla_class and load is not None and row.hit_rate.mean is not None:
                href = f"points/{quote(slugs[index])}/"
                found.append(Loaded(index, load, row.hit_rate.mean, points.states[index], href))
        groups.append((f"{group.title}: hit rate, %", found))
    scale = share_scale(Figure(point.rate, None, None) for _, found in groups for point in found)
    without = sum(run_count == 0 for run_count in _done(runs).values())
    caption = (
        f"Line: the front, points than which no other has both at least the load ({title}, mean over runs) and at "
        "least the hit rate, and more of one; a point of it leads to its directory, any other mark to its rows below. "
        f"{counts_text(_rows(points), points.runs)}; the intervals are in the table. Hollow: some run is INVALID, "
        "failed or missing."
    )
    if without:
        caption += f" {without} of {len(runs)} points have no run that is done, and are not drawn."
    if not varies:
        caption += " The offered load is the same at all points."
    return {"svg": pareto(groups, title, scale), "caption": caption}


def _done(runs: Mapping[int, Sequence[Run]]) -> dict[int, int]:
    """How many runs of each point have figures."""
    return {index: sum(run.state in ("VALID", "INVALID") for run in found) for index, found in runs.items()}


def _paths(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """What links rest on where a preset or a trace gives their values, with the number of runs of which it is true."""
    return Counter(text for run in runs for text in run.paths).most_common(MAX_REASONS)


def _rows(points: Points) -> list[PointRow]:
    return [row for group in points.groups for row in group.rows.values()]


def _columns(points: Points) -> list[dict[str, Any]]:
    keys = [points.names[key] for key in points.sweep.keys]
    figures = ["n", "hit rate", "low", "high", *(f"{measure.title}, {measure.unit}" for measure in LATENCIES)]
    left = [{"name": name, "left": True} for name in ["point", *keys, "tier", "class", "runs"]]
    return [*left, *({"name": name, "left": False} for name in figures)]


def _table(sweep: Sweep, axes: Mapping[str, Axis], rows: Sequence[PointRow], runs: Mapping[int, Sequence[Run]]) -> str:
    """The table of all points as JSON for the page's script: words once, rows as places in them and figures."""
    tiers = list(dict.fromkeys(row.tier or "-" for row in rows))
    classes = list(dict.fromkeys(row.sla_class or "-" for row in rows))
    table = {
        "keys": sweep.keys,
        "texts": [axis.texts for axis in axes.values()],
        "seeds": sweep.seeds,
        "tiers": tiers,
        "classes": classes,
        "points": {
            point.index: {
                "slug": point.slug,
                "places": [axis.place(value_of(point.values, key)) for key, axis in axes.items()],
                "runs": "".join(_letter(run) for run in runs[point.index]),
            }
            for point in sweep.points
        },
        "rows": [
            [row.point.index, tiers.index(row.tier or "-"), classes.index(row.sla_class or "-"), *_cells(row)]
            for row in rows
        ],
    }
    # A script element ends at the first "</", wherever it stands.
    return json.dumps(table, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _letter(run: Run) -> str:
    """A run's state as a letter; a small one of a run that is done and has no report."""
    letter = LETTERS[run.state]
    return letter if run.has_report or run.state in ("failed", "missing") else letter.lower()


def _cells(row: PointRow) -> list[float | str | None]:
    if not row.runs:
        return [None] * (4 + len(LATENCIES))
    shares = [None if value is None else round(value, 5) for value in HIT_RATE.of(row)]
    values = [measure.of(row).value for measure in LATENCIES]
    return [row.n, *shares, *(_millis(value) for value in values)]


def _millis(value: float | None) -> float | str | None:
    return None if value is None else "inf" if math.isinf(value) else round(value, 2)
