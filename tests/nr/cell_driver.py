"""Drives a cell inside the child: packets, knobs and time in; arrivals, transmissions and samples out."""

from __future__ import annotations

import math
from typing import Any

# Methods of Cell by the word that names them in an event.
KNOBS = {"grants": "SetGrants", "scheduler": "SetScheduler", "link": "SetLink", "radio": "SetRadio"}
PARTS = ("sr_wait", "grant_wait", "queue", "air", "harq", "rlc_recovery", "pdcp_reorder", "processing")


def config_of(nr: Any, values: dict[str, Any]) -> Any:
    """The CellConfig with these values; what is not given has its default."""
    config = nr.CellConfig()
    _fill(nr, config, values)
    return config


def _fill(nr: Any, target: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        field = getattr(target, name)
        if isinstance(value, dict):
            _fill(nr, field, value)
        elif isinstance(value, list):
            for item in value:
                element = _ELEMENTS[name](nr)
                _fill(nr, element, item)
                field.push_back(element)
        else:
            setattr(target, name, value)


_ELEMENTS = {
    "slots": lambda nr: nr.SlotShape(),
    "bearers": lambda nr: nr.BearerConfig(),
    "ues": lambda nr: nr.UeConfig(),
    "trace": lambda nr: nr.TracePoint(),
}
_KNOB_TYPES = {
    "grants": "UplinkGrantConfig",
    "scheduler": "SchedulerConfig",
    "link": "LinkAdaptationConfig",
    "radio": "RadioConfig",
}


class Driver:
    """One cell, run from event to event as ns-3 does it."""

    def __init__(self, nr: Any, values: dict[str, Any], record: bool) -> None:
        self._nr = nr
        self._cell = nr.Cell(config_of(nr, values))
        self._ues = len(values["ues"])
        self.arrivals: list[list[Any]] = []
        self.dropped: list[int] = []
        self.refused: list[int] = []
        self.samples: list[dict[str, Any]] = []
        self.wakes = 0
        if record:
            self._cell.RecordTransmissions()

    def run_to(self, t_ns: int) -> None:
        """Run at each time at which there is something to do."""
        while (next_ns := self._cell.NextNs()) <= t_ns:
            self._cell.Run(next_ns)
            self.wakes += 1
            self.take()
        self._cell.Run(t_ns)
        self.take()

    def take(self) -> None:
        """Keep what has left the cell."""
        for arrival in self._cell.TakeArrivals():
            parts = [int(getattr(arrival.parts, f"{part}_ns")) for part in PARTS]
            self.arrivals.append([int(arrival.t_ns), int(arrival.handle), parts])
        self.dropped += [int(handle) for handle in self._cell.TakeDropped()]

    def apply(self, event: list[Any], handle: int) -> None:
        """[t_ns, word, arguments...]."""
        t_ns, word, *arguments = event
        if word == "packet":
            ue, up, bearer, n_bytes = arguments
            if not self._cell.Enqueue(t_ns, ue, up, bearer, n_bytes, handle):
                self.refused.append(handle)
        elif word == "interrupt":
            self._cell.Interrupt(t_ns, *arguments)
        elif word == "look":
            self.samples += [_sample(sample) for sample in self._cell.TakeSamples(t_ns, False)]
        elif word == "traffic":
            ue, up, present, values = arguments
            traffic = self._nr.TrafficConfig()
            _fill(self._nr, traffic, values)
            self._cell.SetTraffic(t_ns, ue, up, present, traffic)
        else:
            *ue, values = arguments
            knob = getattr(self._nr, _KNOB_TYPES[word])()
            _fill(self._nr, knob, values)
            getattr(self._cell, KNOBS[word])(t_ns, *ue, knob)

    def outcome(self, until_ns: int) -> dict[str, Any]:
        """Everything that came out, and what is left."""
        next_ns = int(self._cell.NextNs())
        names = ("sent", "delivered", "dropped", "waiting", "dropped_packets")
        accounts = [
            {name: int(getattr(self._cell.Account(ue, up), name)) for name in names}
            for ue in range(self._ues)
            for up in (True, False)
        ]
        transmissions = [
            {
                name: int(getattr(transmission, name))
                for name in (
                    *("slot", "ue", "up", "first_rb", "rbs", "first_symbol", "symbols"),
                    *("mcs", "round", "tb_bits", "decoded"),
                )
            }
            for transmission in self._cell.TakeTransmissions()
        ]
        self.samples += [_sample(sample) for sample in self._cell.TakeSamples(until_ns, True)]
        return {
            "arrivals": self.arrivals,
            "dropped": self.dropped,
            "refused": self.refused,
            "accounts": accounts,
            "transmissions": transmissions,
            "samples": self.samples,
            "next_ns": next_ns,
            "wakes": self.wakes,
        }


def _sample(sample: Any) -> dict[str, Any]:
    fields = ("t_ns", "ue", "delivered_bytes", "max_queue_bytes", "dropped_packets")
    values: dict[str, Any] = {name: int(getattr(sample, name)) for name in fields}
    values["up"] = bool(sample.up)
    for name in (
        "prb_share",
        "mcs_mean",
        "bler",
        "harq_rounds_mean",
        "sinr_db",
        "sr_wait_ms_mean",
        "grant_wait_ms_mean",
    ):
        value = float(getattr(sample, name))
        values[name] = None if math.isnan(value) else value
    return values


def drive(
    nr: Any, config: dict[str, Any], events: list[list[Any]], until_ns: int, record: bool = False
) -> dict[str, Any]:
    """Outcome of a cell; a packet's handle is the index of its event."""
    driver = Driver(nr, config, record)
    for handle, event in enumerate(events):
        driver.run_to(event[0] - 1)
        driver.apply(event, handle)
    driver.run_to(until_ns)
    return driver.outcome(until_ns)
