"""What a cell did in each window of virtual time, as rows of a run's time series.

Windows are `NrCell.kpi_window_ns` long, 100 ms by default. Labels: `ue` and `direction`, or `cell` and `direction` for
the sum over all UEs. A share or count of 0 has no row; neither has what there was nothing to measure of.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

from cosim.bridge.messages import Kpi

SOURCE = "radio"
# Metric -> field of the sample. A count of 0 has no row, nor a measure below 0; an SINR is NaN where none was read.
COUNTED = {
    "radio_prb_share": "prb_share",
    "radio_delivered_bytes": "delivered_bytes",
    "radio_max_queue_bytes": "max_queue_bytes",
    "radio_dropped_packets": "dropped_packets",
}
MEASURED = {
    "radio_mcs_mean": "mcs_mean",
    "radio_bler": "bler",
    "radio_harq_rounds_mean": "harq_rounds_mean",
    "radio_sr_wait_ms": "sr_wait_ms_mean",
    "radio_grant_wait_ms": "grant_wait_ms_mean",
}
SINR_METRIC, SINR_FIELD = "radio_sinr_db", "sinr_db"
FIELDS = (*COUNTED.values(), *MEASURED.values(), SINR_FIELD)


def radio_kpi(t_ns: int, ue: str | None, up: bool, sample: Mapping[str, float]) -> Kpi:
    """The row of a window that ends at a time. `ue` None: the whole cell. `sample`: values of FIELDS."""
    labels = {"cell": "1"} if ue is None else {"ue": ue}
    values = {metric: sample[field] for metric, field in COUNTED.items() if sample[field]}
    values |= {metric: sample[field] for metric, field in MEASURED.items() if sample[field] >= 0}
    if not isnan(sample[SINR_FIELD]):
        values[SINR_METRIC] = sample[SINR_FIELD]
    return Kpi(t_ns, SOURCE, labels | {"direction": "up" if up else "down"}, values)
