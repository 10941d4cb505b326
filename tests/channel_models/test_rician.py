"""Rician fading, and clients that walk through it."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.contracts import check_channel
from scipy import special, stats

from channel_models._csi import Csi
from channel_models._geometry.motion import Motion
from channel_models._propagation.fading import WAVES
from channel_models._propagation.path_loss import SPEED_OF_LIGHT_M_S, LargeScale
from channel_models.rayleigh import Rayleigh
from channel_models.rician import Rician
from channel_models.static import Static
from wirelessfl.config.scenario_file import experiment_hash, from_tables, to_tables
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.scenario.medium import Medium
from wirelessfl.values import Scenario

SCENARIO = Scenario(clients=3, distance_m=(100.0, 200.0, 300.0))
ROUNDS = 3000
WAVELENGTH_M = SPEED_OF_LIGHT_M_S / LargeScale().carrier_hz
SLOW = Motion(
    motion="velocity", speed_m_s=0.2 * WAVELENGTH_M / 0.01, round_interval_s=0.01
)  # 0.2 wavelengths a round


def gains(model, scenario=SCENARIO, *, rounds=ROUNDS):
    return np.array([model.sample(scenario, Streams(2, round)).gain for round in range(rounds)])


def test_every_client_has_its_own_k_factor():
    model = Rician(k_factor_db=(-20.0, 3.0, 20.0), antennas=2)
    power = gains(model) / LargeScale().gain(SCENARIO)
    for client, k in enumerate((0.01, 10**0.3, 100.0)):
        chi = 2 * (k + 1) * power[:, client]
        assert stats.kstest(chi, stats.ncx2(4, 4 * k).cdf).pvalue > 6e-5
    np.testing.assert_array_equal(
        model.mean_gain(SCENARIO, Streams(0)), 2 * LargeScale().gain(SCENARIO)
    )


def test_a_strong_line_of_sight_is_no_fading():
    constant = Static().mean_gain(SCENARIO, Streams(0))
    for outage in (0.01, 0.5, 0.99):
        strong = Rician(k_factor_db=60.0, csi=Csi(csi="quantile", outage=outage)).sample(
            SCENARIO, Streams(1, 1)
        )
        np.testing.assert_allclose(strong.gain, constant, rtol=5e-3)
        np.testing.assert_allclose(strong.believed_gain, constant, rtol=5e-3)


@pytest.mark.parametrize("motion", [Motion(), SLOW])
@pytest.mark.parametrize("model", [Rayleigh, Rician])
@pytest.mark.slow
def test_believing_in_a_quantile_is_wrong_as_often_as_asked(model, motion):
    model = model(
        antennas=3, combining="selection", motion=motion, csi=Csi(csi="quantile", outage=0.1)
    )
    states = [model.sample(SCENARIO, Streams(seed, 4)) for seed in range(1500)]
    short = np.mean([state.gain < state.believed_gain for state in states], axis=0)
    assert np.abs(short - 0.1).max() <= 4 * np.sqrt(0.1 * 0.9 / 1500)


@pytest.mark.parametrize("model", [Rayleigh, Rician, Static])
def test_path_gain_is_what_is_left_without_fading_and_array(model):
    np.testing.assert_array_equal(
        model().sample(SCENARIO, Streams(1, 1)).path_gain, LargeScale().gain(SCENARIO)
    )


@pytest.mark.parametrize("lag", [1, 3])
@pytest.mark.slow
def test_fading_of_moving_clients_is_correlated_over_rounds(lag):
    model, seeds = Rayleigh(antennas=1, motion=SLOW, large_scale=LargeScale(slope_db=1e-9)), 4000
    one = Scenario(clients=1, distance_m=100.0)
    pairs = np.array(
        [
            [model.sample(one, Streams(seed, r)).gain[0] for r in (5, 5 + lag)]
            for seed in range(seeds)
        ]
    )
    products = np.prod(pairs / LargeScale(slope_db=1e-9).gain(one), axis=1)
    clarke = special.j0(2 * np.pi * 0.2 * lag) ** 2
    assert abs(
        products.mean() - (1 + clarke + (1 - clarke) / WAVES)
    ) <= 4 * products.std() / np.sqrt(seeds)


def test_coherence_blocks_of_moving_clients_lead_on_to_the_next_round():
    scenario = replace(SCENARIO, medium=Medium(coherence_s=SLOW.round_interval_s / 4))
    model = Rician(motion=SLOW)
    block_gain = model.sample(scenario, Streams(3, 7)).block_gain
    np.testing.assert_allclose(block_gain(4), model.sample(scenario, Streams(3, 8)).gain, rtol=1e-6)
    assert np.all(block_gain(1) != block_gain(0))


def test_path_loss_follows_a_moving_client():
    away = Motion(motion="velocity", speed_m_s=10.0, heading_deg=0.0, round_interval_s=1.0)
    model, moved = Rayleigh(motion=away), replace(SCENARIO, distance_m=(150.0, 250.0, 350.0))
    expected = 4 * LargeScale().gain(moved)
    np.testing.assert_allclose(model.mean_gain(SCENARIO, Streams(0, 5)), expected, rtol=1e-12)
    np.testing.assert_allclose(
        model.sample(SCENARIO, Streams(0, 5)).path_gain, expected / 4, rtol=1e-12
    )
    np.testing.assert_array_equal(
        model.mean_gain(SCENARIO, Streams(0)), Rayleigh().mean_gain(SCENARIO, Streams(0))
    )


@pytest.mark.parametrize("model", [Rayleigh, Rician])
def test_variants_keep_the_contract(model):
    check_channel(model(antennas=3, combining="selection"))
    check_channel(model(motion=Motion(motion="random-waypoint", speed_m_s=20.0)))


def test_scenario_files_name_the_fields_and_defaults_name_no_experiment():
    channel = {
        "model": "rician",
        "k_factor_db": [1.0, 2.0],
        "combining": "selection",
        "motion": "velocity",
    }
    experiment = from_tables({"scenario": {"clients": 2}, "channel": channel})
    assert experiment.channel.k_factor_db == (1.0, 2.0)
    assert experiment.channel.motion.motion == "velocity"
    assert from_tables(to_tables(experiment)) == experiment
    assert experiment_hash(
        from_tables({"channel": {"combining": "mrc", "motion": "still"}})
    ) == experiment_hash(from_tables({}))


def test_bad_fields_are_one_line():
    with pytest.raises(InputError, match=r"^channel.k_factor_db must be at most 60, got 61$"):
        Rician(k_factor_db=61.0)
    with pytest.raises(InputError, match=r"^channel.k_factor_db must be finite, got nan$"):
        Rician(k_factor_db=[1.0, np.nan])
    with pytest.raises(
        InputError, match=r"^channel.k_factor_db must hold 3 values \(scenario.clients\), got 2$"
    ):
        Rician(k_factor_db=(1.0, 2.0)).sample(SCENARIO, Streams(0))
    for model in (Rayleigh, Rician):
        with pytest.raises(
            InputError, match=r"^channel.combining must be one of mrc, selection; got 'sum'$"
        ):
            model(combining="sum")
