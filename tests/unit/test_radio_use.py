"""A window of a cell as rows: a row for what was measured, none for what was not."""

from __future__ import annotations

from math import nan

from cosim.bridge.messages import Kpi
from cosim.network.radio_use import FIELDS, radio_kpi

IDLE = {
    "prb_share": 0.0,
    "delivered_bytes": 0,
    "max_queue_bytes": 0,
    "dropped_packets": 0,
    "mcs_mean": -1.0,
    "bler": -1.0,
    "harq_rounds_mean": -1.0,
    "sr_wait_ms_mean": -1.0,
    "grant_wait_ms_mean": -1.0,
    "sinr_db": nan,
}


def test_the_fields_are_those_of_a_sample() -> None:
    assert sorted(FIELDS) == sorted(IDLE)


def test_what_was_not_measured_has_no_row() -> None:
    assert radio_kpi(5, "cam-0", True, IDLE) == Kpi(5, "radio", {"ue": "cam-0", "direction": "up"}, {})


def test_what_was_measured_has_a_row_even_if_it_is_0() -> None:
    sample = IDLE | {"sinr_db": -1.0, "bler": 0.0, "mcs_mean": 0.0, "sr_wait_ms_mean": 0.0, "delivered_bytes": 9}
    assert radio_kpi(5, None, False, sample) == Kpi(
        5,
        "radio",
        {"cell": "1", "direction": "down"},
        {
            "radio_delivered_bytes": 9,
            "radio_mcs_mean": 0.0,
            "radio_bler": 0.0,
            "radio_sr_wait_ms": 0.0,
            "radio_sinr_db": -1.0,
        },
    )


def test_every_field_has_a_metric() -> None:
    sample = {field: place + 0.5 for place, field in enumerate(FIELDS)}
    kpi = radio_kpi(5, "u", True, sample)
    assert sorted(kpi.values.values()) == sorted(sample.values())
    assert {metric.removeprefix("radio_") for metric in kpi.values} == {
        field.removesuffix("_mean") if "wait" in field else field for field in FIELDS
    }
