"""TR 38.901's tables: path loss against ns-3's own models, probabilities and constants against the text."""

from __future__ import annotations

import itertools
import math

import pytest

from tests.nr.rig import Cpp

UMI, UMA, INH = 0, 1, 2
GNB_HEIGHT_M = {UMI: 10.0, UMA: 25.0, INH: 3.0}
# At 3.5 GHz and 1.5 m the LOS slope breaks at 210 m (UMi) and 560 m (UMa).
DISTANCES_M = {UMI: (10, 50, 200, 220, 800, 3000), UMA: (10, 100, 550, 570, 1500, 4000), INH: (1, 5, 20, 60, 100, 150)}
UE_HEIGHTS_M = {UMI: (1.5, 10.5), UMA: (1.5, 12.0), INH: (1.0, 2.0)}
FREQUENCIES_GHZ = (0.7, 3.5, 28.0)

LOAD_MODELS = """
import ctypes
from ns3_scenarios.library import find_ns3

wheel = find_ns3().directory
for module in ("antenna", "mobility", "propagation"):
    ctypes.CDLL(str(next(wheel.glob(f"lib*/libns3*-{module}.so"))), ctypes.RTLD_GLOBAL)
cppyy.add_include_path(str(wheel / "include"))
cppyy.cppdef('''
#include "ns3/boolean.h"
#include "ns3/channel-condition-model.h"
#include "ns3/constant-position-mobility-model.h"
#include "ns3/three-gpp-propagation-loss-model.h"

namespace wheel
{
ns3::Ptr<ns3::MobilityModel> At(double x, double z)
{
    auto at = ns3::CreateObject<ns3::ConstantPositionMobilityModel>();
    at->SetPosition(ns3::Vector(x, 0, z));
    return at;
}

template <typename Model>
double Loss(bool los, double d2d_m, double gnb_height_m, double ue_height_m, double frequency_ghz)
{
    auto model = ns3::CreateObject<Model>();
    model->SetAttribute("ShadowingEnabled", ns3::BooleanValue(false));
    model->SetFrequency(frequency_ghz * 1e9);
    ns3::Ptr<ns3::ChannelConditionModel> condition = ns3::CreateObject<ns3::NeverLosChannelConditionModel>();
    if (los)
    {
        condition = ns3::CreateObject<ns3::AlwaysLosChannelConditionModel>();
    }
    model->SetChannelConditionModel(condition);
    return -model->CalcRxPower(0, At(0, gnb_height_m), At(d2d_m, ue_height_m));
}

double Loss(int scenario, bool los, double d2d_m, double gnb_height_m, double ue_height_m, double frequency_ghz)
{
    const auto loss = scenario == 0   ? Loss<ns3::ThreeGppUmiStreetCanyonPropagationLossModel>
                      : scenario == 1 ? Loss<ns3::ThreeGppUmaPropagationLossModel>
                                      : Loss<ns3::ThreeGppIndoorOfficePropagationLossModel>;
    return loss(los, d2d_m, gnb_height_m, ue_height_m, frequency_ghz);
}
}
''')
result = True
"""


@pytest.fixture(scope="module")
def wheel(cpp: Cpp) -> Cpp:
    """The child, with `wheel.Loss` of ns-3's models."""
    cpp.run(LOAD_MODELS)
    return cpp


@pytest.mark.parametrize("line_of_sight", [True, False], ids=["los", "nlos"])
@pytest.mark.parametrize("scenario", [UMI, UMA, INH], ids=["umi", "uma", "inh"])
def test_path_loss_is_that_of_the_wheel(wheel: Cpp, scenario: int, line_of_sight: bool) -> None:
    points = [
        (line_of_sight, distance, GNB_HEIGHT_M[scenario], height, frequency)
        for distance, height, frequency in itertools.product(
            DISTANCES_M[scenario], UE_HEIGHTS_M[scenario], FREQUENCIES_GHZ
        )
    ]
    assert len(points) >= 28
    theirs = wheel.of(
        "[cppyy.gbl.wheel.Loss(values['scenario'], *p) for p in values['points']]", scenario=scenario, points=points
    )
    ours = wheel.of(
        "[nr.PathLossDb(nr.Scenario(values['scenario']), *p) for p in values['points']]",
        scenario=scenario,
        points=points,
    )
    assert ours == pytest.approx(theirs, abs=0.01)


def test_a_ue_under_the_antenna_has_a_finite_loss(cpp: Cpp) -> None:
    assert cpp.of("nr.PathLossDb(nr.Scenario.kInH, True, 0, 1.5, 1.5, 3.5)") == pytest.approx(
        32.4 + 20 * math.log10(3.5)
    )


@pytest.mark.parametrize(
    ("scenario", "distance_m", "height_m", "probability"),
    [
        (UMI, 18, 1.5, 1),
        (UMI, 36, 1.5, 0.5 + 0.5 * math.exp(-1)),
        (UMA, 18, 1.5, 1),
        (UMA, 63, 1.5, 18 / 63 + (1 - 18 / 63) * math.exp(-1)),
        (UMA, 150, 23, (0.12 + 0.88 * math.exp(-150 / 63)) * (1 + 1.25 * 1.5**3 * math.exp(-1))),
        (INH, 1.2, 1, 1),
        (INH, 5.9, 1, math.exp(-1)),
        (INH, 39.1, 1, 0.32 * math.exp(-1)),
    ],
)
def test_probability_of_a_line_of_sight(
    cpp: Cpp, scenario: int, distance_m: float, height_m: float, probability: float
) -> None:
    got = cpp.of(
        "nr.LineOfSightProbability(nr.Scenario(values['s']), values['d'], values['h'])",
        s=scenario,
        d=distance_m,
        h=height_m,
    )
    assert got == pytest.approx(probability, rel=1e-9)


def test_constants_of_the_tables(cpp: Cpp) -> None:
    rows = cpp.of(
        "[[f(nr.Scenario(s), los) for los in (True, False) for f in (nr.ShadowingDb, nr.ShadowingCorrelationM)]"
        " + [nr.LineOfSightCorrelationM(nr.Scenario(s)), nr.RicianKDb(nr.Scenario(s))] for s in range(3)]"
    )
    assert rows == [[4, 10, 7.82, 13, 50, 9], [4, 37, 6, 50, 50, 9], [3, 10, 8.03, 6, 10, 7]]


def test_median_delay_spread_at_6_ghz(cpp: Cpp) -> None:
    spreads = cpp.of("[nr.DelaySpreadS(nr.Scenario(s), los, 6) * 1e9 for s in range(3) for los in (True, False)]")
    assert spreads == pytest.approx([45.4, 92.7, 93.3, 364.1, 19.9, 38.9], abs=0.1)
