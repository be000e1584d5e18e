"""What a gNB configures itself and its UEs with: scheduling, uplink access, timing, HARQ, RLC, link adaptation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from cosim.scenario.section import Finding, Section, out_of_range, problems
from cosim.scenario.units import Decibel, Duration, PositiveDuration, Ratio, Size

# 3GPP TS 38.331 SchedulingRequestResourceConfig: symbols below a slot, then slots, by numerology.
SR_PERIODS = {
    0: ("sym2", "sym6or7", *(f"sl{n}" for n in (1, 2, 4, 5, 8, 10, 16, 20, 40, 80))),
    1: ("sym2", "sym6or7", *(f"sl{n}" for n in (1, 2, 4, 8, 10, 16, 20, 40, 80, 160))),
    2: ("sym2", "sym6or7", *(f"sl{n}" for n in (1, 2, 4, 8, 16, 20, 40, 80, 160, 320))),
}


LARGEST_GRANT = (1, 10**6, "1B to 1MB")  # No transport block is larger (38.214 5.1.3.2).
LARGEST_HEADER = (1, 64, "1B to 64B")


class Timing(Section):
    """How long the two ends take. Counts are slots."""

    schedule_ahead: int = Field(4, ge=0, le=32, description="From the gNB's decision to the slot of its DCI (K0 is 0).")
    k1: int = Field(4, ge=0, le=15, description="Least PDSCH to HARQ-ACK (38.213 9.2.3).")
    k2: int = Field(4, ge=0, le=32, description="Least DCI to PUSCH (38.214 6.1.2.1), N2 included.")
    sr_ready: int = Field(1, ge=0, le=64, description="From data at the UE to the first slot whose SR it can use.")
    pdu_ahead: int = Field(1, ge=0, le=32, description="MAC PDU to PUSCH; it is built no sooner than the DCI.")
    gnb_decode: Duration = Field(500_000, description="From a PUSCH's end to the gNB's RLC and scheduler.")
    ue_decode: Duration = Field(500_000, description="From a PDSCH's end to the UE's RLC (38.214 5.3, N1).")
    ue_stack: Duration = Field(1_000_000, description="Between the UE's IP and its RLC, each way.")
    gnb_stack: Duration = Field(1_000_000, description="Between the gNB's RLC and the core, each way.")


class RegularGrant(Section):
    """Uplink resources without a scheduling request."""

    period: int = Field(ge=1, le=5120, description="Slots.")
    size: Size

    @model_validator(mode="after")
    def _is_possible(self) -> RegularGrant:
        if found := out_of_range(self, {"size": LARGEST_GRANT}):
            raise problems(found)
        return self


class UplinkAccess(Section):
    """How a UE comes by uplink resources (38.321 5.4.4, 5.4.5, 5.8.2)."""

    sr_period: str = Field("sl10", description="38.331 SchedulingRequestResourceConfig: sym2, sym6or7, sl1, sl2, ...")
    sr_prohibit: Duration = Field(0, description="sr-ProhibitTimer.")
    first_grant: Size = Field(576, description="What the gNB grants for a scheduling request.")
    bsr_limit: Size | None = Field(None, description="A buffer status report tells no more than this.")
    proactive_grant: RegularGrant | None = Field(None, description="Grants to every UE, whether it has data or not.")
    configured_grant: RegularGrant | None = Field(None, description="Resources that each UE may use without a DCI.")
    power_limited: bool = Field(
        True, description="A UE at full power: a PUSCH of fewer RBs has a higher SINR than the carrier's whole width."
    )
    power_cap: Decibel = Field(30.0, description="No PUSCH has a higher SINR by that.")

    @model_validator(mode="after")
    def _is_possible(self) -> UplinkAccess:
        ranges = {"first_grant": LARGEST_GRANT, "power_cap": (0, 100, "0dB to 100dB")}
        if found := out_of_range(self, ranges):
            raise problems(found)
        return self


class LinkAdaptation(Section):
    """Which MCS the gNB chooses (38.214 5.2.2)."""

    margin: Decibel = Field(0.0, description="SINR that the receiver needs beyond the error model's curve.")
    low_sinr_loss: float = Field(
        0.0,
        ge=0,
        le=100,
        description="And that times 1 + this / SINR (linear), by channel estimates as noisy as the data.",
    )
    by_last_rbs: bool = Field(
        False, description="MCS for one symbol of the RBs of the UE's last TB, where they were not the whole carrier."
    )
    short_block_margin: Decibel = Field(
        0.0, description="Of that choice beside the margin: code blocks of up to 292 bits use base graph 2 at any rate."
    )
    cqi_quantised: bool = Field(True, description="Downlink MCS by way of a 4-bit CQI.")
    cqi_delay: Duration = Field(10_000_000, description="Age of the SINR that the gNB knows.")
    bler_target: Ratio = Field(0.1, description="Of first transmissions.")
    olla: bool = Field(True, description="Outer loop: acknowledgements move an offset until the target is met.")
    control_sinr: Decibel = Field(
        -8.0, description="Below this downlink SINR a UE decodes no DCI, and nothing passes (about Qout of 38.133 8.1)."
    )
    olla_step: Decibel = Field(0.5, description="An error lowers the offset by this.")

    @model_validator(mode="after")
    def _is_possible(self) -> LinkAdaptation:
        ranges = {"bler_target": (1e-6, 0.9, "0.0001% to 90%"), "olla_step": (0, 10, "0dB to 10dB")}
        if found := out_of_range(self, ranges):
            raise problems(found)
        return self


class Harq(Section):
    """Hybrid ARQ with soft combining (38.321 5.3.2, 5.4.2)."""

    processes: int = Field(16, ge=1, le=32)
    max_transmissions: int = Field(4, ge=1, le=28)
    combining_loss: Decibel = Field(0.0, description="Of each retransmission, against the ideal sum of SINRs.")


class Rlc(Section):
    """RLC (38.322) and PDCP (38.323) of every bearer."""

    mode: Literal["am", "um"] = "am"
    buffer: Size = Field(4_000_000, description="SDUs of a bearer and direction that wait; more are dropped.")
    t_poll_retransmit: PositiveDuration = 45_000_000
    t_status_prohibit: Duration = 15_000_000
    t_reassembly: PositiveDuration = 35_000_000
    max_retransmissions: int = Field(32, ge=1, le=32, description="maxRetxThreshold; then the packet is given up.")
    t_reordering: PositiveDuration = Field(100_000_000, description="PDCP (38.323 5.2.2).")
    pdcp_header: Size = Field(3, description="Of a packet, with SDAP's (38.323 6.2.2.2, 37.324 6.2.2).")
    rlc_header: Size = Field(3, description="Of a PDU; a segment that is not the first has 2 more (38.322 6.2.2).")
    mac_subheader: Size = Field(3, description="Of a PDU (38.321 6.1.2).")
    bsr: Size | None = Field(None, description="With its subheader. None: short or long, as 38.321 6.1.3.1 has them.")

    @model_validator(mode="after")
    def _is_possible(self) -> Rlc:
        headers = ("pdcp_header", "rlc_header", "mac_subheader", "bsr")
        if found := out_of_range(self, dict.fromkeys(headers, LARGEST_HEADER)):
            raise problems(found)
        return self


class Drx(Section):
    """Connected-mode DRX (38.321 5.7)."""

    cycle: PositiveDuration
    on: PositiveDuration
    inactivity: Duration

    @model_validator(mode="after")
    def _on_fits_the_cycle(self) -> Drx:
        if self.on > self.cycle:
            raise problems([(("on",), "is longer than the cycle", "at most network.access.gnb.drx.cycle")])
        return self


class Gnb(Section):
    """The gNB, and what it configures its UEs with."""

    scheduler: Literal["ofdma-pf", "ofdma-rr", "tdma-pf", "tdma-rr"] = "ofdma-pf"
    rbg: int = Field(8, ge=1, le=32, description="RBs that OFDMA gives away at once (38.214 Table 5.1.2.2.1-1).")
    pf_window: int = Field(200, ge=1, le=100_000, description="Slots over which proportional fair averages rates.")
    timing: Timing = Timing()
    uplink: UplinkAccess = UplinkAccess()
    link_adaptation: LinkAdaptation = LinkAdaptation()
    harq: Harq = Harq()
    rlc: Rlc = Rlc()
    drx: Drx | None = None

    def check(self, numerology: int) -> list[Finding]:
        """Faults that depend on the carrier, with keys below this section."""
        found: list[Finding] = []
        allowed = SR_PERIODS[numerology]
        if self.uplink.sr_period not in allowed:
            what = f"{self.uplink.sr_period!r} is no period of a scheduling request at numerology {numerology}"
            found.append((("uplink", "sr_period"), f"{what} (38.331 SchedulingRequestResourceConfig)", allowed))
        return found

    @property
    def sr_period_slots(self) -> float:
        """Slots between two SR occasions; a part of a slot for sym2 and sym6or7."""
        text = self.uplink.sr_period
        return {"sym2": 2 / 14, "sym6or7": 7 / 14}.get(text) or float(text.removeprefix("sl"))
