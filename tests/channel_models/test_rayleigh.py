"""Rayleigh fading and the static channel: distribution, combining, independence."""

import numpy as np
import pytest
from scipy import stats

from channel_models._propagation.path_loss import LargeScale
from channel_models.rayleigh import Rayleigh
from channel_models.static import Static
from wirelessfl.errors import InputError
from wirelessfl.radio.snr_and_rate import snr
from wirelessfl.rng import Streams
from wirelessfl.units import linear_to_db
from wirelessfl.values import Scenario

DRAWS = 4000


def fading(antennas, *, seed=11):
    """DRAWS values of the gain over its large-scale part: one client, one draw a round."""
    model, scenario = Rayleigh(antennas=antennas), Scenario(clients=1, distance_m=300.0)
    gains = [model.sample(scenario, Streams(seed, round)).gain[0] for round in range(DRAWS)]
    return np.array(gains) / model.large_scale.gain(scenario)[0]


@pytest.mark.parametrize("antennas", [1, 4])
def test_fading_is_gamma(antennas):
    draws = fading(antennas)
    assert stats.kstest(draws, stats.gamma(antennas).cdf).pvalue > 0.01
    assert draws.mean() == pytest.approx(antennas, abs=4 * np.sqrt(antennas / DRAWS))
    # the variance of a sample variance of Gamma(M): (mu_4 - sigma^4) / n with mu_4 = 3 M^2 + 6 M
    assert draws.var() == pytest.approx(
        antennas, abs=4 * np.sqrt((2 * antennas**2 + 6 * antennas) / DRAWS)
    )


def test_clients_and_rounds_fade_independently():
    model, scenario = Rayleigh(), Scenario(clients=2, distance_m=300.0)
    gains = np.array([model.sample(scenario, Streams(3, round)).gain for round in range(1000)])
    assert abs(np.corrcoef(gains.T)[0, 1]) < 4 / np.sqrt(1000)
    assert abs(np.corrcoef(gains[:-1, 0], gains[1:, 0])[0, 1]) < 4 / np.sqrt(1000)


def test_more_antennas_only_change_the_fading():
    scenario = Scenario(clients=3)
    np.testing.assert_allclose(
        Rayleigh(antennas=8).mean_gain(scenario, Streams(0)),
        8 * LargeScale().gain(scenario),
        rtol=1e-15,
    )


def test_static_is_the_mean_in_every_round():
    scenario = Scenario()
    for round in range(3):
        state = Static().sample(scenario, Streams(round, round))
        np.testing.assert_array_equal(state.gain, Rayleigh().mean_gain(scenario, Streams(0)))
        np.testing.assert_array_equal(state.believed_gain, state.gain)


def test_scenario_s_has_its_signal_to_noise_ratio():
    """32.5 ... 13.4 dB with the mean channel, NOTES 1.6 of [WFL]'s calibrated scenario."""
    scenario = Scenario()
    ratio = snr(
        Static().mean_gain(scenario, Streams(0)),
        scenario.per_client("transmit_power_w"),
        scenario.noise_power_w,
    )
    np.testing.assert_allclose(linear_to_db(ratio)[[0, -1]], [32.5, 13.4], atol=0.05)


@pytest.mark.parametrize("model", [Rayleigh, Static])
def test_antennas_must_be_at_least_one(model):
    with pytest.raises(
        InputError, match=r"channel.antennas must be a whole number of at least 1, got 0"
    ):
        model(antennas=0)
