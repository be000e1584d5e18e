"""The WAN presets as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from cosim.path_basis import figure_row
from cosim.results.terminal import wrapped
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.links import Path
from cosim.scenario.path_presets import allowed, presets

WIDTH = 118


def preset_lines(name: str | None = None) -> Iterator[str]:
    """A line for each preset, or one preset in full. Raises ScenarioError for a name that is none."""
    if name is not None:
        yield from _whole(name)
        return
    header = ("preset", "delay, one way", "is", "of", "jitter", "rate up / down", "loss")
    rows = [header, *(_cells(preset) for preset in presets())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    yield "jitter, rate and loss of every preset are assumptions"
    for source, date in dict.fromkeys(
        (figure.source, figure.date) for preset in presets().values() for figure in preset.figures.values()
    ):
        if source is not None:
            yield from wrapped(f"source of {date}: {source}", width=WIDTH, others="  ")
    yield "`cosim paths NAME` shows all of one; network.paths.X: {preset: NAME}, with keys of your own beside it"


def _cells(name: str) -> tuple[str, ...]:
    preset, values = presets()[name], Path.model_validate({"preset": name})
    up, down = values.direction(up=True), values.direction(up=False)
    figure = preset.figures["delay"]
    row = {key: figure_row(preset, key, getattr(values, key))["value"] for key in ("delay", "jitter", "loss")}
    rates = [
        "none" if rate is None else f"{rate / 1e6:g}" for rate in (up.rate, down.rate) if not hasattr(rate, "kind")
    ]
    rate = "none" if set(rates) == {"none"} else f"{' / '.join(rates)} Mbit/s"
    of = " ".join(filter(None, (figure.percentile, figure.date))) or "-"
    return name, row["delay"], figure.kind, of, row["jitter"], rate, row["loss"]


def _whole(name: str) -> Iterator[str]:
    if name not in presets():
        raise ScenarioError([Problem("cosim paths", None, "", f"no preset {name!r}", allowed(name))])
    preset, values = presets()[name], Path.model_validate({"preset": name})
    yield f"{name}: {preset.title}"
    for key in preset.figures:
        row = figure_row(preset, key, getattr(values, key))
        yield f"  {key}: {row['value']}"
        rests = ", ".join(
            row[part] for part in ("kind", "percentile", "source", "date", "why") if row[part] is not None
        )
        yield from wrapped(rests, width=WIDTH, first="    ", others="    ")
