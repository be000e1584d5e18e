"""What the values of each link rest on: a preset's measurement or assumption, a trace, or the scenario itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cosim.link_words import value_words
from cosim.scenario.link_values import MahimahiRate, RttTrace
from cosim.scenario.links import LinkDirection, Path
from cosim.scenario.live import LINK_KEYS
from cosim.scenario.network import LinkAccess, Network
from cosim.scenario.path_presets import SUFFIXES, PathPreset, presets


def path_basis(network: Network) -> dict[str, dict[str, Any]]:
    """By link (`paths.NAME`, `core`, `access.uplink`): its preset, and what each figure that is not a default rests on.

    `kind` of a figure: `measured` or `assumption` of the preset, `trace`, or `scenario`.
    """
    links: dict[str, LinkDirection | Path] = {f"paths.{name}": path for name, path in network.paths.items()}
    links["core"] = network.core
    if isinstance(network.access, LinkAccess):
        links |= {"access.uplink": network.access.uplink, "access.downlink": network.access.downlink}
    found = {}
    for name, link in links.items():
        preset = presets()[link.preset] if isinstance(link, Path) and link.preset is not None else None
        figures = list(_figures(link, preset))
        if figures or preset:
            found[name] = {"preset": preset.name if preset else None, "figures": figures}
    return found


def figure_row(preset: PathPreset, key: str, value: Any) -> dict[str, Any]:
    """A figure of a preset, whose value has been read, as a manifest has it."""
    figure = preset.figures[key]
    row = _row(key, value, figure.kind)
    return row | {name: getattr(figure, name) for name in ("source", "date", "percentile", "why")}


def _figures(link: LinkDirection | Path, preset: PathPreset | None) -> Iterator[dict[str, Any]]:
    from_preset = link.from_preset() if isinstance(link, Path) else []
    partly = link.partly_from_preset() if isinstance(link, Path) else {}
    fields = type(link).model_fields
    for name in LINK_KEYS:
        keys = [name + suffix for suffix in SUFFIXES if name + suffix in fields]
        own = [key for key in keys[1:] if getattr(link, key) is not None]
        for key in own if len(own) == 2 else [name, *own]:
            value = getattr(link, key)
            if preset and key in from_preset:
                yield figure_row(preset, key, value)
            elif preset and key in partly:
                row = figure_row(preset, key, value)
                yield row | {"why": f"{row['why']}; of the scenario: {', '.join(partly[key])}"}
            elif isinstance(value, (RttTrace, MahimahiRate)):
                yield _row(key, value, "trace") | {"source": value.read_from}
            elif value != fields[key].default:
                yield _row(key, value, "scenario")


def _row(key: str, value: Any, kind: str) -> dict[str, Any]:
    words = value_words(key.partition("_")[0], value)
    return {"key": key, "value": words, "kind": kind, "source": None, "date": None, "percentile": None, "why": None}
