# SPDX-License-Identifier: GPL-2.0-only
"""Transport block sizes: those that 3GPP publishes, those worked out by hand, and the clause in exact fractions."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from tests.nr.rig import Cpp

# Resource elements, bits per symbol, code rate x 1024, layers, TBS.
Case = tuple[int, int, float, int, int]

# Reference channels whose TBS, and code blocks (the last number), 3GPP prints.
PUBLISHED: dict[str, tuple[Case, int]] = {
    # 38.108 Table A.1-1 (and 38.104 Table A.1-1), G-FR1-A1-*: RBs x 144 resource elements, QPSK 308/1024.
    "G-FR1-A1-1": ((25 * 144, 2, 308, 1, 2152), 1),
    "G-FR1-A1-2": ((11 * 144, 2, 308, 1, 984), 1),
    "G-FR1-A1-4": ((106 * 144, 2, 308, 1, 9224), 2),
    "G-FR1-A1-5": ((51 * 144, 2, 308, 1, 4352), 1),
    "G-FR1-A1-6": ((24 * 144, 2, 308, 1, 2088), 1),
    "G-FR1-A1-7": ((15 * 144, 2, 308, 1, 1320), 1),
    "G-FR1-A1-8": ((6 * 144, 2, 308, 1, 528), 1),
    # 38.521-4 Table A.2.2.1.1-1: CP-OFDM 64QAM, MCS 19 of 38.214 Table 5.1.3.1-1, 11 symbols of data.
    "64QAM 5 MHz": ((25 * 132, 6, 517, 1, 9992), 2),
    "64QAM 10 MHz": ((52 * 132, 6, 517, 1, 21000), 3),
    "64QAM 15 MHz": ((79 * 132, 6, 517, 1, 31752), 4),
    "64QAM 20 MHz": ((106 * 132, 6, 517, 1, 42016), 5),
    "64QAM 25 MHz": ((133 * 132, 6, 517, 1, 53288), 7),
    "64QAM 30 MHz": ((160 * 132, 6, 517, 1, 63528), 8),
    "64QAM 40 MHz": ((216 * 132, 6, 517, 1, 86040), 11),
    "64QAM 50 MHz": ((270 * 132, 6, 517, 1, 108552), 13),
    # 38.521-4 Table A.3.2.1.1-1: 12, 12, 7 and 12 symbols with 18, 12, 12 and 12 resource elements of DMRS.
    "R.PDSCH.1-1.1 FDD": ((52 * 126, 2, 308, 1, 3904), 1),
    "R.PDSCH.1-1.2 FDD": ((6 * 132, 2, 308, 1, 480), 1),
    "R.PDSCH.1-1.3 FDD": ((52 * 72, 2, 308, 1, 2280), 1),
    "R.PDSCH.1-1.4 FDD": ((52 * 132, 2, 602, 1, 8064), 1),
}
# Ninfo; n, N'info (and code blocks) are those of the clause's steps.
BY_HAND: list[Case] = [
    (12, 2, 120, 1, 24),  # 2.8: less than the table's least
    (132, 2, 120, 1, 24),  # 30.9; n 3, 24
    (18, 2, 40, 1, 24),  # 1.4
    (1272, 2, 120, 1, 304),  # 298.1; n 3, 296 -> 304
    (132, 6, 873, 1, 672),  # 675.2; n 3, 672 is in the table
    (12000, 2, 30, 1, 704),  # 703.1; n 3, 696 -> 704
    (132, 8, 948, 1, 984),  # 977.6; n 3, 976 -> 984
    (264, 8, 948, 1, 2024),  # 1955.3; n 4, 1952 -> 2024
    (13992, 2, 120, 1, 3368),  # 3279.4; n 5, 3264 -> 3368
    (3824, 2, 512, 1, 3824),  # 3824, the last of step 3; n 5, 3808 -> 3824
    (3825, 2, 512, 1, 3840),  # 3825, the first of step 4; n 6, 3776 -> at least 3840
    (3864, 2, 512, 1, 3840),  # 3864; n 6, 3840
    (4184, 2, 512, 1, 4224),  # 4184; n 7, 4160 = 32.5 * 128: the tie goes up to 33 * 128
    (39312, 2, 120, 1, 9216),  # 9213.8, R <= 1/4; n 8, 9216; 3 code blocks
    (42588, 2, 157, 1, 13064),  # 13059.2, R <= 1/4; n 8, 13056; 4
    (42588, 2, 251, 1, 21000),  # 20878.1, R <= 1/4; n 9, 20992; 6
    (42588, 2, 257, 1, 21504),  # 21377.2, R > 1/4; n 9, 21504; 3
    (13992, 2, 449, 1, 12296),  # 12270.3; n 8, 12288; 2
    (13992, 4, 378, 1, 20496),  # 20660.1; n 9, 20480; 3
    (6240, 4, 616, 2, 30216),  # 30030; n 9, 30208; 4
    (6732, 8, 682.5, 1, 35856),  # 35895.2; n 10, 35840; 5
    (15264, 8, 948, 1, 112648),  # 113049; n 11, 112640; 14
    (13992, 6, 822, 2, 135296),  # 134782.3; n 12, 135168; 17
    (39312, 8, 948, 1, 295176),  # 291154.5; n 13, 294912; 36
    (42588, 8, 916.5, 2, 606504),  # 609873.5; n 14, 606208; 72
    (42588, 8, 948, 4, 1277992),  # 1261669.5; n 15, 1277952 = 39 * 2^15; 152: the greatest of FR1
]
SIZES: list[int] = [
    *range(24, 193, 8),
    *range(208, 385, 16),
    *range(408, 577, 24),
    *range(608, 769, 32),
    *range(808, 929, 40),
    *(984, 1032, 1064, 1128, 1160, 1192, 1224, 1256, 1288, 1320, 1352),
    *range(1416, 1929, 64),
    *(2024, 2088, 2152, 2216, 2280, 2408, 2472, 2536, 2600, 2664, 2728, 2792, 2856, 2976),
    *(3104, 3240, 3368, 3496, 3624, 3752, 3824),
]


def by_the_clause(resource_elements: int, bits: int, rate_1024: Fraction, layers: int) -> int:
    """38.214 5.1.3.2 in exact arithmetic."""
    information = resource_elements * rate_1024 / 1024 * bits * layers
    if information <= 3824:
        step = 1 << max(3, int(information).bit_length() - 7)
        return min(size for size in SIZES if size >= max(24, step * (information // step)))
    step = 1 << (int(information - 24).bit_length() - 6)
    rounded = max(3840, step * int((information - 24) / step + Fraction(1, 2)))
    largest = 3816 if rate_1024 <= 256 else 8424
    blocks = -(-(rounded + 24) // largest) if rate_1024 <= 256 or rounded > largest else 1
    return 8 * blocks * -(-(rounded + 24) // (8 * blocks)) - 24


def sizes_of(cpp: Cpp, cases: list[tuple[int, int, float, int]]) -> list[int]:
    code = (
        "result = [nr.TransportBlockBits(re, nr.Modulation(bits, rate / 1024), layers) "
        "for re, bits, rate, layers in values['cases']]"
    )
    found: list[int] = cpp.run(code, cases=cases)
    return found


def test_published_sizes(cpp: Cpp) -> None:
    cases = {name: case for name, (case, _) in PUBLISHED.items()}
    found = dict(zip(cases, sizes_of(cpp, [case[:4] for case in cases.values()]), strict=True))
    assert found == {name: case[4] for name, case in cases.items()}


def test_published_code_blocks(cpp: Cpp) -> None:
    found = cpp.of(
        "[nr.CodeBlocks(bits, rate / 1024) for bits, rate in values['cases']]",
        cases=[(case[4], case[2]) for case, _ in PUBLISHED.values()],
    )
    assert dict(zip(PUBLISHED, found, strict=True)) == {name: blocks for name, (_, blocks) in PUBLISHED.items()}


@pytest.mark.parametrize(
    ("bits", "rate", "blocks"),
    [
        (3824, 0.2, 1),
        (3817, 0.2, 1),
        (9216, 120 / 1024, 3),
        (3824, 0.9, 1),
        (8424, 0.9, 1),
        (8425, 0.9, 2),
        (16_824, 0.9, 2),  # 24 of a code block's 8448 bits are its CRC
        (16_825, 0.9, 3),
        (7608, 0.2, 2),
        (7609, 0.2, 3),
        (112648, 948 / 1024, 14),
    ],
)
def test_code_blocks_at_the_limits_of_the_base_graphs(cpp: Cpp, bits: int, rate: float, blocks: int) -> None:
    assert cpp.of("nr.CodeBlocks(values['bits'], values['rate'])", bits=bits, rate=rate) == blocks


def test_sizes_worked_out_by_hand(cpp: Cpp) -> None:
    assert sizes_of(cpp, [case[:4] for case in BY_HAND]) == [case[4] for case in BY_HAND]


def test_any_allocation_has_the_size_of_the_clause(cpp: Cpp) -> None:
    draw = random.Random(38214)
    entries = [
        (bits, rate)
        for table in (1, 2, 3)
        for bits, rate in cpp.of(
            "[(m.bits_per_symbol, m.code_rate * 1024) for m in "
            "(nr.Mcs(values['table'], i) for i in range(nr.MaxMcs(values['table']) + 1))]",
            table=table,
        )
    ]
    cases = [
        (draw.randint(1, 273) * draw.randint(6, 156), *draw.choice(entries), draw.randint(1, 4)) for _ in range(5000)
    ]
    expected = [by_the_clause(re, bits, Fraction(rate), layers) for re, bits, rate, layers in cases]
    assert sizes_of(cpp, cases) == expected


def resource_elements(cpp: Cpp, rbs: int, symbols: int, **carrier: int) -> int:
    code = (
        "carrier = nr.CarrierConfig()\n"
        "for name, value in values['carrier'].items(): setattr(carrier, name, value)\n"
        "result = nr.ResourceElements(carrier, values['rbs'], values['symbols'])"
    )
    found: int = cpp.run(code, rbs=rbs, symbols=symbols, carrier=carrier)
    return found


@pytest.mark.parametrize(
    ("symbols", "carrier", "per_rb"),
    [
        (13, {}, 144),
        (14, {"dmrs_re_per_rb": 0}, 156),
        (14, {"dmrs_re_per_rb": 6}, 156),
        (12, {"dmrs_re_per_rb": 18, "overhead_re_per_rb": 6}, 120),
        (12, {"dmrs_re_per_rb": 0, "dmrs_re_per_rb_symbol": 1}, 132),
        (1, {}, 0),
        (1, {"dmrs_re_per_rb": 18}, 0),
    ],
)
def test_resource_elements_of_an_rb(cpp: Cpp, symbols: int, carrier: dict[str, int], per_rb: int) -> None:
    assert resource_elements(cpp, 7, symbols, **carrier) == 7 * per_rb


def test_an_allocation_without_resource_elements_holds_nothing(cpp: Cpp) -> None:
    assert cpp.of("nr.TransportBlockBits(0, nr.Mcs(2, 27), 1)") == 0


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("rbs", [51, 106, 273])
@pytest.mark.parametrize(("overhead", "up"), [(0.14, False), (0.08, True)])
def test_peak_rate_against_38_306(cpp: Cpp, rbs: int, layers: int, overhead: float, up: bool) -> None:
    """FDD, 30 kHz, 256QAM: 1 symbol of control, 1 of DMRS, xOverhead 6; 38.306 4.1.2 counts neither by itself."""
    elements = resource_elements(cpp, rbs, 13, dmrs_re_per_rb=12, overhead_re_per_rb=6)
    (bits,) = sizes_of(cpp, [(elements, 8, 948, layers)])
    ours_bps = bits * 2000
    formula_bps = layers * 8 * 948 / 1024 * rbs * 12 * 14 * 2000 * (1 - overhead)
    assert -0.15 < ours_bps / formula_bps - 1 < -0.03
