"""Noise that grows with the band: the rate, its inverse, the problem and the cell's round."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.psd_problems import NOISE_W, scenario_psd

from optimizers import solve
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import AllocationProblem
from wirelessfl.cell import cell
from wirelessfl.errors import InputError
from wirelessfl.planning import allocation_problem
from wirelessfl.radio.snr_and_rate import noise_psd_band, noise_psd_nats, noise_psd_slope
from wirelessfl.values import ChannelState, Demand, Scenario

# SNR over the whole band, fraction of the band, b ln(1 + SNR / b) and its derivative, by 50-digit
# arithmetic
TRUTH = [
    (1e-6, 1.0, 9.999995000003334e-07, 4.999993333340833e-13),
    (0.01, 0.5, 0.009901313648089856, 0.00019478415892481107),
    (0.05, 1.0, 0.04879016416943201, 0.0011711165503843842),
    (1.0, 1.0, 0.6931471805599453, 0.19314718055994531),
    (30.0, 0.1, 0.5707110264748876, 4.710432523885088),
    (1e3, 1e-6, 2.072326583794641e-05, 19.72326583894641),
    (1e8, 1e-30, 8.749823353377374e-29, 86.49823353377374),
]


@pytest.mark.parametrize(("snr", "band", "nats", "slope"), TRUTH)
def test_rate_slope_and_inverse_are_exact(snr, band, nats, slope):
    assert float(noise_psd_nats(band, snr)) == pytest.approx(nats, rel=4e-15, abs=0)
    assert float(noise_psd_slope(band, snr)) == pytest.approx(slope, rel=1e-14, abs=0)
    # Where the rate hardly depends on the band any more, the band hardly follows from the rate.
    lost = nats / (band * slope)
    assert float(noise_psd_band(nats, snr)) == pytest.approx(band, rel=1e-15 * (4 + lost), abs=0)


def test_the_inverse_gives_the_rate_asked_for():
    snr = 10.0 ** np.arange(-8, 13)[:, None]
    share = np.array([1e-200, 1e-20, 1e-6, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1 - 1e-4, 1 - 1e-8])
    np.testing.assert_allclose(
        noise_psd_nats(noise_psd_band(share * snr, snr), snr), share * snr, rtol=4e-15
    )


def test_the_ends_of_the_rate():
    assert float(noise_psd_nats(0.0, 5.0)) == 0.0
    assert float(noise_psd_nats(1e-320, 5.0)) == pytest.approx(0.0, abs=1e-300)
    assert float(noise_psd_nats(0.3, 0.0)) == 0.0
    assert float(noise_psd_band(0.0, 5.0)) == 0.0
    assert (
        float(noise_psd_band(5.0, 5.0)) == np.inf
    )  # the limit of b ln(1 + SNR / b), never reached
    assert float(noise_psd_band(1.0, 0.0)) == np.inf


def test_the_kept_fraction_is_convex_in_pruning():
    """Second differences of rho(b) = 1 - S / (T_c + Q / r(b)) are positive (NOTES 5.2, item 11)."""
    p = scenario_psd()
    band = np.linspace(1e-3, 0.3, 400)[:, None]
    ratio = 1 - p.slack_s / (p.prunable_s + p.upload_s / p.speed(band))
    assert np.all(np.diff(ratio, n=2, axis=0) > 0)


def test_at_an_equal_share_it_is_the_model_with_fixed_noise():
    """N0 = sigma^2 K / B: noise sigma^2 in the share B / K."""
    p = scenario_psd()
    fixed = AllocationProblem(
        deadline_s=p.deadline_s,
        fixed_s=p.fixed_s,
        prunable_s=p.prunable_s,
        upload_bits=p.upload_bits,
        rate_bps=20e6 * np.log2(1 + 10 * np.asarray(p.snr)),
    )
    even, ratio = np.full(10, 0.1), np.full(10, 0.3)
    np.testing.assert_allclose(p.latency_s(even, ratio), fixed.latency_s(even, ratio), rtol=1e-14)
    np.testing.assert_allclose(
        p.latency_s(2 * even, ratio) > fixed.latency_s(2 * even, ratio), True
    )
    np.testing.assert_allclose(
        p.latency_s(even / 2, ratio) < fixed.latency_s(even / 2, ratio), True
    )


def test_least_bands_meet_the_deadline_exactly():
    p = scenario_psd(max_pruning_ratio=0.9, fixed_upload_bits=2e3)
    np.testing.assert_allclose(p.latency_s(p.min_bandwidth, 0.9), 0.025, rtol=1e-13)
    np.testing.assert_allclose(p.fixed_upload_s / p.speed(p.entry_bandwidth), p.slack_s, rtol=1e-13)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"snr": -1.0}, "snr must be at least 0, got -1"),
        ({"snr": float("nan")}, "snr must be finite, got nan"),
        ({"bandwidth_hz": 0.0}, "bandwidth_hz must be above 0, got 0"),
        ({"bandwidth_hz": None}, "bandwidth_hz must be a number, got None"),
        (
            {"bandwidth_hz": [10e6, 20e6]},
            r"bandwidth_hz must be one number, got \[10000000.0, 20000000.0\]",
        ),
        ({"deadline_s": 0.0}, "deadline_s must be above 0, got 0"),
        ({"max_pruning_ratio": 1.5}, "max_pruning_ratio must be at most 1, got 1.5"),
        ({"snr": [1.0, 2.0]}, r"shapes must broadcast to \(..., K\)"),
    ],
)
def test_bad_fields_are_named(change, message):
    with pytest.raises(InputError, match=message):
        scenario_psd(fixed_s=np.full(10, 0.005), **change)


# In a scenario

PSD_W_PER_HZ = 10 * NOISE_W / 20e6
DEMAND = Demand.same_for_all(
    10,
    fixed_updates=43_000,
    prunable_updates=80_000,
    fixed_upload_bits=1e3,
    prunable_upload_bits=5e5,
)


def test_the_scenario_chooses_the_problem():
    channel = ChannelState.perfect_csi(np.geomspace(1e-11, 1e-13, 10))
    scenario = Scenario(noise_psd_w_per_hz=PSD_W_PER_HZ)
    p = allocation_problem(scenario, channel, DEMAND)
    assert isinstance(p, NoisePsdProblem)
    np.testing.assert_allclose(
        p.snr, channel.gain * scenario.transmit_power_w / (10 * NOISE_W), rtol=1e-14
    )
    assert isinstance(allocation_problem(Scenario(), channel, DEMAND), AllocationProblem)
    with pytest.raises(InputError, match=r"scenario\.noise_psd_w_per_hz must be above 0, got 0"):
        Scenario(noise_psd_w_per_hz=0.0)


def test_a_round_of_the_cell_is_the_formula():

    channel = ChannelState.perfect_csi(np.geomspace(1e-11, 1e-13, 10))
    scenario = Scenario(noise_psd_w_per_hz=PSD_W_PER_HZ)
    a = solve(allocation_problem(scenario, channel, DEMAND))
    timing = cell.simulate(scenario, channel, DEMAND, a)
    signal_w, share = channel.gain * scenario.transmit_power_w, a.bandwidth_fraction
    rate_bps = share * 20e6 * np.log2(1 + signal_w / (share * 20e6 * PSD_W_PER_HZ))
    kept = 1 - a.pruning_ratio
    expected_s = 360 / 3e9 * (43_000 + kept * 80_000) + (1e3 + kept * 5e5) / rate_bps
    np.testing.assert_allclose(timing.finish_s, expected_s, rtol=1e-12)
    np.testing.assert_allclose(timing.finish_s, a.latency_s, rtol=1e-12)
    np.testing.assert_allclose(timing.finish_s, 0.025, rtol=1e-12)
    assert timing.delivered.all()


def test_a_wrong_belief_is_late_by_the_true_rate():
    true = np.geomspace(1e-11, 1e-13, 10)
    channel = replace(ChannelState.perfect_csi(true), believed_gain=2 * true)
    scenario = Scenario(noise_psd_w_per_hz=PSD_W_PER_HZ)
    p = allocation_problem(scenario, channel, DEMAND)

    timing = cell.simulate(scenario, channel, DEMAND, solve(p))
    assert np.all(timing.finish_s > 0.025)
