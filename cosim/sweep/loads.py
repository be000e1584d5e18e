"""How the loads of a capacity search are read from flags and written into scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any

from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.units import quantity, units_beside

LEAST_LOAD, MOST_LOAD = Decimal("1e-9"), 10**15


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
            allowed = f"a whole number from 1 to {MOST_LOAD}"
        else:
            units = units_beside(self.unit)
            size = units.get(unit, Decimal(unit == "")) / (units[self.unit] if unit in units else 1)
            bounds = f"from {LEAST_LOAD:g}{self.unit} to {MOST_LOAD:g}{self.unit}"
            allowed = f"a number {bounds}, such as 2{self.unit} (units: {', '.join(filter(None, units))})"
        try:
            load = value * size
        except DecimalException:
            load = Decimal(0)
        if not LEAST_LOAD <= load <= MOST_LOAD:
            raise ScenarioError([Problem(flag, None, "", f"{text!r} is no load", allowed)])
        return float(load)
