# SPDX-License-Identifier: GPL-2.0-only
"""BLER against the same formulas over the constellations of 38.211 5.1, evaluated in another way."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from tests.nr.rig import Cpp, CppError

# What error_model.cc takes off the SINR for a real decoder, dB per bit of a symbol.
DECODER_LOSS_DB = 0.16
POINTS = [
    (bits, rate)
    for bits, rates in {2: (0.12, 0.5), 4: (0.37, 0.64), 6: (0.46, 0.87), 8: (0.67, 0.93)}.items()
    for rate in rates
]


def amplitude(bits: tuple[int, ...]) -> int:
    """In-phase part of a symbol by 38.211 5.1.3 to 5.1.6, without its scale."""
    sign = 1 - 2 * bits[0]
    return sign if len(bits) == 1 else sign * (2 ** (len(bits) - 1) - amplitude(bits[1:]))


@functools.cache
def information(bits_per_symbol: int, sinr_db: float) -> tuple[float, float]:
    """Mean and variance of what a symbol tells its bits, by Gauss-Hermite quadrature of 96 points a dimension."""
    levels = bits_per_symbol // 2
    labels = [tuple(word >> level & 1 for level in range(levels)) for word in range(1 << levels)]
    points = np.array([amplitude(label) for label in labels], dtype=float)
    points /= np.sqrt(2 * np.mean(points**2))
    nodes, weights = np.polynomial.hermite_e.hermegauss(96)
    deviation = math.sqrt(0.5 / 10 ** (sinr_db / 10))
    received = points[:, None] + deviation * nodes[None, :]
    exponents = -((received[:, :, None] - points) ** 2) / (2 * deviation**2)
    likelihood = np.exp(exponents - exponents.max(axis=2, keepdims=True))
    bits = np.array(labels)
    told = np.zeros_like(received)
    for level in range(levels):
        same = bits[:, None, level] == bits[None, :, level]
        told += 1 + np.log2((likelihood * same[:, None, :]).sum(axis=2) / likelihood.sum(axis=2))
    weights = weights / weights.sum()
    mean = float((told @ weights).mean())
    return 2 * mean, 2 * (float((told**2 @ weights).mean()) - mean**2)


def expected_bler(sinr_db: float, bits_per_symbol: int, rate: float, code_block_bits: int) -> float:
    """The normal approximation."""
    mean, variance = information(bits_per_symbol, sinr_db - DECODER_LOSS_DB * bits_per_symbol)
    symbols = code_block_bits / (bits_per_symbol * rate)
    argument = (symbols * mean - code_block_bits + math.log2(symbols) / 2) / math.sqrt(symbols * variance)
    return math.erfc(argument / math.sqrt(2)) / 2


def of(cpp: Cpp, expression: str) -> float:
    return float(cpp.of(expression))


def threshold(cpp: Cpp, bits_per_symbol: int, rate: float, code_block_bits: int, bler: float) -> float:
    return of(cpp, f"nr.SinrForBler(nr.Modulation({bits_per_symbol}, {rate}), {code_block_bits}, {bler})")


@pytest.mark.parametrize("rate", [1 / 3, 1 / 2])
def test_long_qpsk_blocks_reach_the_shannon_limit_of_bpsk(cpp: Cpp, rate: float) -> None:
    """Eb/N0 of -0.497 and 0.187 dB at rates 1/3 and 1/2 (binary-input white noise), less the decoder's loss."""
    ebn0_db = {1 / 3: -0.497, 1 / 2: 0.187}[rate]
    found = threshold(cpp, 2, rate, 10**12, 0.5)
    assert found == pytest.approx(ebn0_db + 10 * math.log10(2 * rate) + 2 * DECODER_LOSS_DB, abs=0.01)


@pytest.mark.parametrize(("bits", "rate"), POINTS)
@pytest.mark.parametrize("code_block_bits", [100, 1000, 8448])
def test_bler_is_the_normal_approximation(cpp: Cpp, bits: int, rate: float, code_block_bits: int) -> None:
    for bler in (0.01, 0.1, 0.5, 0.9):
        sinr_db = threshold(cpp, bits, rate, code_block_bits, bler)
        assert of(cpp, f"nr.CodeBlockBler({sinr_db}, nr.Modulation({bits}, {rate}), {code_block_bits})") == (
            pytest.approx(bler, rel=1e-3)
        )
        # The curve is linear between points 0.25 dB apart: 0.01 dB.
        assert expected_bler(sinr_db + 0.01, bits, rate, code_block_bits) < bler
        assert expected_bler(sinr_db - 0.01, bits, rate, code_block_bits) > bler


@pytest.mark.parametrize(("bits", "rate"), POINTS)
def test_longer_code_blocks_need_less_and_fall_steeper(cpp: Cpp, bits: int, rate: float) -> None:
    tenth = [threshold(cpp, bits, rate, length, 0.1) for length in (1000, 3000, 8448)]
    half = [threshold(cpp, bits, rate, length, 0.5) for length in (1000, 3000, 8448)]
    falls = [high - low for high, low in zip(tenth, half, strict=True)]
    assert tenth == sorted(tenth, reverse=True)
    assert falls == sorted(falls, reverse=True)
    assert tenth[0] - tenth[2] < 0.6
    # The LDPC tables of 5G-LENA: 0.3 to 0.4 dB at 1000 bits, 0.2 to 0.3 beyond 2000.
    assert 0.25 < falls[0] < 0.55
    assert 0.1 < falls[2] < 0.3


@pytest.mark.parametrize("bits", [3000, 20_000, 100_000])
def test_a_tb_fails_if_any_code_block_does(cpp: Cpp, bits: int) -> None:
    sinr_db, blocks, each, tb = cpp.run(
        "mcs, bits = nr.Mcs(2, 14), values['bits']\n"
        "sinr = nr.SinrForTransportBlockBler(mcs, bits, 0.1)\n"
        "blocks = nr.CodeBlocks(bits, mcs.code_rate)\n"
        "each = nr.CodeBlockBler(sinr, mcs, -(-bits // blocks))\n"
        "result = [sinr, blocks, each, nr.TransportBlockBler(sinr, mcs, bits)]",
        bits=bits,
    )
    assert 12 < sinr_db < 13.5
    assert tb == pytest.approx(0.1, rel=1e-3)
    assert 1 - (1 - each) ** blocks == pytest.approx(tb, rel=1e-9)


def test_bler_from_certain_to_none(cpp: Cpp) -> None:
    found = cpp.of("[nr.TransportBlockBler(s, nr.Mcs(2, 10), 50_000) for s in range(-40, 60)]")
    assert found == sorted(found, reverse=True)
    assert found[0] == 1
    assert found[-1] == 0


def combined(cpp: Cpp, earlier_db: float, latest_db: float, bits: int, rate: float, loss_db: float = 0) -> float:
    return of(cpp, f"nr.CombinedSinrDb({earlier_db}, {latest_db}, nr.Modulation({bits}, {rate}), {loss_db})")


@pytest.mark.parametrize("rate", [0.12, 0.19, 0.3, 1 / 3])
def test_rates_of_the_mother_code_combine_by_the_sum_of_sinrs(cpp: Cpp, rate: float) -> None:
    assert combined(cpp, -3, -3, 2, rate) == pytest.approx(-3 + 10 * math.log10(2))
    assert combined(cpp, 0, -10, 2, rate) == pytest.approx(10 * math.log10(1.1))
    assert combined(cpp, 0, 0, 2, rate, loss_db=10) == pytest.approx(10 * math.log10(1.1))


@pytest.mark.parametrize(("bits", "rate"), [(2, 2 / 3), (4, 0.7), (6, 0.87), (8, 0.93)])
def test_new_parity_adds_its_information(cpp: Cpp, bits: int, rate: float) -> None:
    earlier_db, latest_db = 10.0 * bits / 4 - 8, 10.0 * bits / 4 - 6
    found = combined(cpp, earlier_db, latest_db, bits, rate)
    both = information(bits, earlier_db)[0] + information(bits, latest_db)[0]
    assert both < bits
    assert information(bits, found)[0] == pytest.approx(both, rel=2e-3)


@pytest.mark.parametrize("rate", [0.4, 0.5, 0.6])
def test_less_new_parity_gains_less(cpp: Cpp, rate: float) -> None:
    gain_db = combined(cpp, 5, 5, 6, rate) - 5
    assert 10 * math.log10(2) < gain_db < combined(cpp, 5, 5, 6, 0.7) - 5


def test_a_retransmission_never_harms(cpp: Cpp) -> None:
    for latest_db in range(-40, 50, 5):
        for earlier_db in (-20, 0, 20, 40):
            assert combined(cpp, earlier_db, latest_db, 8, 0.9) >= earlier_db


RECEIVER = "link = nr.LinkAdaptationConfig(); link.margin_db, link.low_sinr_loss = values['margin'], values['loss']\n"


@pytest.mark.parametrize(
    ("margin", "loss", "sinr_db", "expected_db"),
    [
        (0, 0, 7, 7),
        (2, 0, 7, 5),
        (0, 1, 0, -10 * math.log10(2)),
        (2, 1.5, 30, 28 - 10 * math.log10(1.0015)),
        (2, 1.5, -20, -22 - 10 * math.log10(151)),
    ],
)
def test_sinr_of_a_receiver_with_a_margin(
    cpp: Cpp, margin: float, loss: float, sinr_db: float, expected_db: float
) -> None:
    code = RECEIVER + f"there = nr.ReceiverSinrDb({sinr_db}, link)\nresult = [there, nr.SinrWithMarginDb(there, link)]"
    assert cpp.run(code, margin=margin, loss=loss) == pytest.approx([expected_db, sinr_db])


def test_a_modulation_that_no_table_has_is_refused(cpp: Cpp) -> None:
    with pytest.raises(CppError, match="3 bits per symbol are not 2, 4, 6 or 8"):
        cpp.of("nr.CodeBlockBler(0, nr.Modulation(3, 0.5), 100)")
