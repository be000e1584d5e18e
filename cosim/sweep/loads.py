"""How the loads of a capacity search are read from flags and written into scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.units import quantity, units_beside

MOST_LOAD = 10**12


@dataclass(frozen=True, slots=True)
class Load:
    """How loads are written: `unit` is None for whole numbers such as a count of clients."""

    unit: str | None

    def written(self, load: float) -> Any:
        """A load as the scenario has it."""
        # Twelve digits: what a sum of steps has beyond them is the error of its floats.
        return int(load) if self.unit is None else f"{Decimal(f'{load:.12g}').normalize():f}{self.unit}"

    def parse(self, text: str, flag: str) -> float:
        """A load from a flag, in any unit of the kind or without one. Raises ScenarioError for what is none."""
        value, unit = quantity(text) or (Decimal(0), "")
        if self.unit is None:
            size = Decimal(1 if unit == "" and value == value.to_integral_value() else 0)
            allowed = "a whole number from 1 on"
        else:
            units = units_beside(self.unit)
            size = units.get(unit, Decimal(unit == "")) / (units[self.unit] if unit in units else 1)
            allowed = f"a number above 0, such as 2{self.unit} (units: {', '.join(filter(None, units))})"
        if not 0 < value * size <= MOST_LOAD:
            raise ScenarioError([Problem(flag, None, "", f"{text!r} is no load", allowed)])
        return float(value * size)
