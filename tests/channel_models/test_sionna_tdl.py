"""Tapped delay lines by Sionna; all but the fields and the missing extra needs the extra."""

import sys

import numpy as np
import pytest

from channel_models._csi import Csi
from channel_models._propagation.path_loss import LargeScale
from channel_models.sionna_tdl import SionnaTdl
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.scenario.medium import Medium
from wirelessfl.values import Scenario

ROUNDS = 2000


def power(model, **scenario):
    scenario = Scenario(clients=1, distance_m=100.0, **scenario)
    return np.array(
        [model.sample(scenario, Streams(1, r)).gain[0] for r in range(ROUNDS)]
    ) / LargeScale().gain(scenario)


def test_without_the_extra_it_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sionna.phy.channel.tr38901", None)
    with pytest.raises(InputError) as caught:
        SionnaTdl(delay_spread_s=123e-9).sample(Scenario(), Streams(0))
    assert (
        str(caught.value)
        == "channel.model sionna-tdl needs the extra: pip install wirelessfl[sionna]"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"profile": "F"}, "channel.profile must be one of A, B, C, D, E; got 'F'"),
        ({"delay_spread_s": 0.0}, "channel.delay_spread_s must be above 0, got 0"),
        ({"ue_speed_m_s": -1.0}, "channel.ue_speed_m_s must be at least 0, got -1"),
        ({"antennas": 0}, "channel.antennas must be a whole number of at least 1, got 0"),
        (
            {"csi": Csi(csi="quantile")},
            "channel.csi of sionna-tdl must be one of perfect, mean, bounded, estimate",
        ),
    ],
)
def test_bad_fields_are_one_line(fields, message):
    with pytest.raises(InputError, match=f"^{message}"):
        SionnaTdl(**fields)


def test_scenario_files_name_it():
    channel = from_tables(
        {"channel": {"model": "sionna-tdl", "profile": "E", "antennas": 2}}
    ).channel
    assert channel == SionnaTdl(profile="E", antennas=2)


@pytest.mark.parametrize("profile", ["A", "B", "C", "D", "E"])
def test_a_narrow_band_fades_like_its_taps_and_a_wide_one_less(profile):
    pytest.importorskip("sionna")
    model = SionnaTdl(profile=profile, antennas=2)
    narrow, wide = power(model, bandwidth_hz=1e3), power(model, bandwidth_hz=100e6)
    for draws in (narrow, wide):
        assert abs(draws.mean() - 2) <= 4 * draws.std() / np.sqrt(ROUNDS)
    assert wide.std() < narrow.std()
    if (
        profile in "ABC"
    ):  # no line of sight: the sum of many taps is complex normal, and Gamma(2, 1) has variance 2
        assert wide.std() < 0.6 * narrow.std()
        assert narrow.var() == pytest.approx(2, abs=4 * np.sqrt(20 / ROUNDS))


def test_blocks_follow_the_doppler_shift():
    pytest.importorskip("sionna")
    scenario = Scenario(clients=2, medium=Medium(coherence_s=0.001))
    still, slow, fast = (
        SionnaTdl(ue_speed_m_s=speed).sample(scenario, Streams(0, 3)) for speed in (0.0, 0.5, 100.0)
    )
    np.testing.assert_allclose(still.block_gain(7), still.gain, rtol=1e-9)
    changed = [np.abs(state.block_gain(1) / state.gain - 1).max() for state in (slow, fast)]
    assert 0 < changed[0] < 0.1 < changed[1]
    np.testing.assert_array_equal(fast.gain, still.gain)
