"""The carrier of an NR cell: bandwidth and resource blocks, numerology, the duplex pattern and its slots."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

from pydantic import Field, model_validator

from cosim.scenario.section import Section, out_of_range, problems
from cosim.scenario.units import CarrierFrequency, Decibel, Ratio

SYMBOLS = 14
SUBCARRIERS = 12
MOST_RESOURCE_BLOCKS = 275  # 38.211 4.4.2
SUBCARRIER_SPACING_HZ = {0: 15_000, 1: 30_000, 2: 60_000}
# 3GPP TS 38.101-1 Table 5.3.2-1: RBs by numerology and bandwidth in MHz.
_MHZ = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100)
_RBS = {
    0: (25, 52, 79, 106, 133, 160, 188, 216, 242, 270),
    1: (11, 24, 38, 51, 65, 78, 92, 106, 119, 133, 162, 189, 217, 245, 273),
    2: (None, 11, 18, 24, 31, 38, 44, 51, 58, 65, 79, 93, 107, 121, 135),
}
RESOURCE_BLOCKS = {
    numerology: {mhz: n for mhz, n in zip(_MHZ, rbs, strict=False) if n is not None} for numerology, rbs in _RBS.items()
}
# 3GPP TS 38.213 11.1: periods of a pattern, in ms; 3 and 4 ms are dl-UL-TransmissionPeriodicity-v1530.
PATTERN_PERIODS_MS = tuple(map(Fraction, ("0.5", "0.625", "1", "1.25", "2", "2.5", "3", "4", "5", "10")))
FREQUENCY_HZ = (410 * 10**6, 100 * 10**9, "410MHz to 100GHz")  # 38.101-1 5.1 from below, TR 38.901 from above
LONGEST_PATTERNS_MS = 20  # one pattern, or two in a row, repeat within 20 ms (38.213 11.1)
PATTERN = "FDD, or letters D, S, U with optional counts such as DDDSU, DSUUD, 7DS2U, DDDSUDDSUU"


class SpecialSlot(Section):
    """Symbols of a slot that changes from downlink to uplink; what is neither is the guard period."""

    downlink: int = Field(10, ge=0, le=SYMBOLS)
    uplink: int = Field(2, ge=0, le=SYMBOLS)

    @model_validator(mode="after")
    def _fits_a_slot(self) -> SpecialSlot:
        if self.downlink + self.uplink > SYMBOLS:
            what = f"{self.downlink} downlink and {self.uplink} uplink symbols are more than a slot has"
            raise problems([(("downlink",), what, f"at most {SYMBOLS} together")])
        return self


class Carrier(Section):
    """One carrier, or with FDD one each way, on which the whole bandwidth is one bandwidth part."""

    frequency: CarrierFrequency = Field(3_500_000_000, description="For path loss and Doppler; n78 is 3.3 to 3.8 GHz.")
    bandwidth: CarrierFrequency = Field(100_000_000, description="Of each direction; 38.101-1 Table 5.3.2-1 gives RBs.")
    numerology: int = Field(1, ge=0, le=2, description="Subcarrier spacing 15 kHz * 2^numerology (38.211 4.2).")
    guard_share: Ratio | None = Field(
        None,
        description="Share of the bandwidth that no RB uses; RBs are what fits the rest. None: 38.101-1 Table 5.3.2-1.",
    )
    duplex: str = Field("DDDSU", description=f"{PATTERN} (38.213 11.1).")
    special_slot: SpecialSlot = SpecialSlot()
    dl_layers: int = Field(2, ge=1, le=4)
    ul_layers: int = Field(1, ge=1, le=2)
    layer_cost: Decibel = Field(3.0, description="SINR of each layer falls by this for every doubling of layers.")
    dl_mcs_table: Literal[1, 2, 3] = Field(2, description="38.214 Tables 5.1.3.1-1 (64QAM), -2 (256QAM), -3 (low SE).")
    ul_mcs_table: Literal[1, 2, 3] = Field(1, description="38.214 6.1.4.1: the same tables, with CP-OFDM.")
    pdcch_symbols: int = Field(1, ge=1, le=3, description="At the start of a slot that has downlink symbols.")
    pucch_symbols: int = Field(1, ge=1, le=4, description="At the end of a slot that has uplink symbols.")
    srs_symbols: int = Field(0, ge=0, le=4, description="Of each UE's SRS, before the PUCCH (38.211 6.4.1.4).")
    srs_period: int = Field(80, ge=1, le=5120, description="Uplink slots from one SRS of a UE to the next.")
    srs_excludes_pusch: bool = Field(False, description="A UE gets no new PUSCH in the slot of its SRS.")
    dmrs_per_rb: int = Field(12, ge=0, le=48, description="REs of an allocation (38.214 5.1.3.2, N_DMRS).")
    dmrs_per_rb_symbol: int = Field(0, ge=0, le=11, description="REs of each symbol of an allocation.")
    overhead_per_rb: Literal[0, 6, 12, 18] = Field(6, description="REs (38.214 5.1.3.2, xOverhead).")

    @model_validator(mode="after")
    def _is_possible(self) -> Carrier:
        found = out_of_range(self, {"frequency": FREQUENCY_HZ})
        table = RESOURCE_BLOCKS[self.numerology]
        bandwidth_mhz = Fraction(self.bandwidth, 10**6)
        if bandwidth_mhz not in table:
            spacing_khz = SUBCARRIER_SPACING_HZ[self.numerology] // 1000
            what = f"{float(bandwidth_mhz):g} MHz is no bandwidth at {spacing_khz} kHz (38.101-1 Table 5.3.2-1)"
            found.append((("bandwidth",), what, [f"{mhz}MHz" for mhz in table]))
        elif not 1 <= self.n_rb <= MOST_RESOURCE_BLOCKS:
            what = f"leaves {self.n_rb} RBs of {float(bandwidth_mhz):g} MHz"
            found.append((("guard_share",), what, f"1 to {MOST_RESOURCE_BLOCKS} RBs (38.211 4.4.2)"))
        try:
            slots(self)
        except ValueError as error:
            found.append((("duplex",), str(error), PATTERN))
        if found:
            raise problems(found)
        return self

    @property
    def n_rb(self) -> int:
        """Resource blocks of each direction."""
        if self.guard_share is None:
            return RESOURCE_BLOCKS[self.numerology][self.bandwidth // 10**6]
        return int(self.bandwidth * (1 - self.guard_share) / (SUBCARRIERS * SUBCARRIER_SPACING_HZ[self.numerology]))

    @property
    def slot_ns(self) -> int:
        """Length of a slot (38.211 4.3.2)."""
        return 10**6 >> self.numerology


def slots(carrier: Carrier) -> list[tuple[int, int]]:
    """Downlink and uplink symbols of each slot of one period.

    Raises ValueError that says what 38.213 11.1 forbids, or which direction would never carry data.
    """
    shapes, letters = [(SYMBOLS, SYMBOLS)], ""
    if carrier.duplex.upper() != "FDD":
        letters = _letters(carrier.duplex)
        special = (carrier.special_slot.downlink, carrier.special_slot.uplink)
        shapes = [{"D": (SYMBOLS, 0), "S": special, "U": (0, SYMBOLS)}[letter] for letter in letters]
    beside_uplink = carrier.pucch_symbols + carrier.srs_symbols
    if not any(_holds_data(carrier, uplink - beside_uplink) for _, uplink in shapes):
        raise ValueError(f"{carrier.duplex!r} has no uplink slot with room for data: no request would ever leave a UE")
    if not any(_holds_data(carrier, downlink - carrier.pdcch_symbols) for downlink, _ in shapes):
        raise ValueError(f"{carrier.duplex!r} has no downlink slot with room for data: no answer would reach a UE")
    if letters:
        _check_periods(carrier.duplex, letters, carrier.numerology)
    return shapes


def _holds_data(carrier: Carrier, symbols: int) -> bool:
    """Whether an RB of so many symbols has REs for data (38.214 5.1.3.2)."""
    return symbols * (SUBCARRIERS - carrier.dmrs_per_rb_symbol) > carrier.dmrs_per_rb + carrier.overhead_per_rb


def _letters(pattern: str) -> str:
    text = pattern.upper()
    if not re.fullmatch(r"([0-9]{0,2}[DSU])+", text):
        raise ValueError(f"{pattern!r} is no duplex pattern")
    letters = "".join(int(count or 1) * letter for count, letter in re.findall(r"([0-9]*)([DSU])", text))
    if not letters or len(letters) > LONGEST_PATTERNS_MS * 4:
        raise ValueError(f"{pattern!r} has {len(letters)} slots")
    return letters


def _check_periods(pattern: str, letters: str, numerology: int) -> None:
    """One pattern or two in a row, each downlink, then at most one special slot, then uplink."""
    per_ms = 1 << numerology
    one_pattern = re.compile("D*S?U*")
    splits = [(letters,), *((letters[:cut], letters[cut:]) for cut in range(1, len(letters)))]
    in_order = [parts for parts in splits if all(one_pattern.fullmatch(part) for part in parts)]
    if not in_order:
        raise ValueError(
            f"{pattern!r} changes direction more often than two patterns in a row, each D, then S, then U (38.213 11.1)"
        )
    for parts in in_order:
        periods = [Fraction(len(part), per_ms) for part in parts]
        if all(period in PATTERN_PERIODS_MS for period in periods) and LONGEST_PATTERNS_MS % sum(periods) == 0:
            return
    allowed = ", ".join(f"{float(period):g}" for period in PATTERN_PERIODS_MS)
    raise ValueError(
        f"{pattern!r} lasts {len(letters) / per_ms:g} ms; a pattern lasts {allowed} ms, two may follow each other, and "
        "the whole divides 20 ms (38.213 11.1)"
    )
