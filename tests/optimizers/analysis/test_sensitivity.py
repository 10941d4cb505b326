"""Sensitivities against finite differences of the optimum, parameter by parameter."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.problems import CLASSES, changed, problem, scenario_rates, scenario_s

from optimizers import sensitivities, solve
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.radio.snr_and_rate import shannon_rate_bps

SMOOTH = (
    "regular",
    "identical",
    "late_some",
    "compute_bound",
    "weight_zero",
    "slack_zero",
    "caps_fit",
)
FIELDS = ("deadline_s", "prunable_s", "upload_bits", "fixed_upload_bits", "rate_bps")
STEP = 3e-5


def optimum(p):
    return float((p.weight * (1.0 - solve(p).pruning_ratio)).sum())


def shifted(p, field, client, size):
    value = np.array(getattr(p, field))
    value[..., client] += size
    return changed(p, **{field: value})


def slope(change, step):
    """Fourth-order difference quotient, and whether left and right agree (no kink in the step)."""
    at = {shift: optimum(change(shift * step)) for shift in (-2, -1, 0, 1, 2)}
    left, right = (at[0] - at[-1]) / step, (at[1] - at[0]) / step
    smooth = abs(left - right) <= 2e-3 * max(abs(left), abs(right)) + 1e-9
    return (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step), smooth


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", SMOOTH)
def test_they_equal_finite_differences(name, field):
    rng = np.random.default_rng(4)
    checked = 0
    for _ in range(8):
        p = CLASSES[name](rng, 4)
        if field == "fixed_upload_bits":
            p = changed(
                p,
                fixed_upload_bits=rng.uniform(0.05, 0.15, 4)
                * np.maximum(p.slack_s, 1.0)
                * p.rate_bps,
            )
        found = sensitivities(p, solve(p))
        for client in range(4):
            unit = max(float(getattr(p, field)[client]), 1e-3)
            expected, smooth = slope(
                lambda size, f=field, k=client, p=p: shifted(p, f, k, size), STEP * unit
            )
            if smooth:
                assert getattr(found, field)[client] == pytest.approx(
                    expected, rel=1e-6, abs=1e-9 / unit
                ), (p, client)
                checked += 1
    assert checked >= 12


def scenario(gain=4.0, power=1.0, speed=1.0, bandwidth_hz=20e6):
    p = scenario_s(bandwidth_hz=bandwidth_hz, max_pruning_ratio=0.95)
    snr = (2 ** (scenario_rates(gain) / 20e6) - 1) * power
    return replace(
        p,
        rate_bps=shannon_rate_bps(bandwidth_hz, snr),
        fixed_s=p.fixed_s / speed,
        prunable_s=p.prunable_s / speed,
    )


@pytest.mark.parametrize("client", [0, 4, 9])
@pytest.mark.parametrize("parameter", ["gain", "power", "speed"])
def test_gain_power_and_cpu_follow_by_the_chain_rule(parameter, client):
    def relative(size):
        factor = np.where(np.arange(10) == client, np.exp(size), 1.0)
        return scenario(**{parameter: 4.0 * factor if parameter == "gain" else factor})

    p = scenario()
    found = sensitivities(p, solve(p))
    expected, smooth = slope(relative, 1e-4)
    measured = {
        "gain": found.log_gain,
        "power": found.log_transmit_power_w,
        "speed": found.log_cpu_hz,
    }[parameter]
    assert smooth
    assert measured[client] == pytest.approx(expected, rel=1e-6)


def test_the_price_of_a_hertz():
    p = scenario()
    found = sensitivities(p, solve(p))
    expected, _ = slope(lambda hertz: scenario(bandwidth_hz=20e6 + hertz), 2e4)
    assert found.bandwidth_hz == pytest.approx(expected, rel=1e-6)
    assert found.gain_db == pytest.approx(found.log_gain * 0.2302585, rel=1e-6)


def test_the_parts_add_up_to_the_prices_of_the_whole():
    p = scenario_s(deadline_s=np.array([0.015, 0.02, 0.03])[:, None], max_pruning_ratio=0.95)
    a = solve(p)
    found = sensitivities(p, a)
    np.testing.assert_allclose(found.deadline_s.sum(axis=-1), a.deadline_price, rtol=1e-13)
    np.testing.assert_allclose(
        (p.rate_bps * found.rate_bps).sum(axis=-1), a.bandwidth_price, rtol=1e-12
    )
    np.testing.assert_allclose(
        (p.upload_bits * found.upload_bits).sum(axis=-1), -a.bandwidth_price, rtol=1e-12
    )


def test_an_idle_resource_is_worth_nothing():
    p = scenario_s(deadline_s=1.0)
    found = sensitivities(p, solve(p))
    for field in (*FIELDS, "bandwidth", "bandwidth_hz", "log_gain", "log_cpu_hz"):
        assert np.all(getattr(found, field) == 0), field


def test_who_takes_no_part_has_no_sensitivity_and_who_starves_no_use_for_fewer_bits():
    p = problem([-1.0, 1.0, 1.0], 0.5, [1.0, 1.0, 1e3])
    a = solve(p)
    found = sensitivities(p, a)
    assert list(a.status) == ["infeasible", "active", "starved"]
    assert np.all([getattr(found, field)[0] == 0 for field in FIELDS])
    assert found.upload_bits[2] == 0
    assert found.fixed_upload_bits[2] == pytest.approx(
        -a.bandwidth_price / 1e6
    )  # a client that must upload needs band
    assert found.log_gain is None
    assert found.gain_db is None


def test_who_uploads_nothing_would_need_band_that_is_not_there():
    p = problem([1.0, 1.0], [2.0, 0.5], [0.0, 9.0])
    found = sensitivities(p, solve(p))
    assert found.upload_bits[0] == -np.inf
    assert found.deadline_s[0] == pytest.approx(0.5)
    spare = problem([1.0, 1.0], [2.0, 0.5], [0.0, 0.2])
    found = sensitivities(spare, solve(spare))
    expected = (optimum(problem([1.0, 1.0], [2.0, 0.5], [1e-7, 0.2])) - optimum(spare)) / 0.1
    assert found.upload_bits[0] == pytest.approx(expected, rel=1e-4)


def noise_psd(gain=1.0, power=1.0, speed=1.0, bandwidth_hz=20e6):
    s = scenario_s(max_pruning_ratio=0.95)
    snr = (2 ** (scenario_rates() / 20e6) - 1) * gain * power * 20e6 / bandwidth_hz
    return NoisePsdProblem(
        deadline_s=0.02,
        fixed_s=s.fixed_s / speed,
        prunable_s=s.prunable_s / speed,
        upload_bits=s.upload_bits,
        snr=0.05 * snr,
        bandwidth_hz=bandwidth_hz,
        max_pruning_ratio=0.95,
    )


@pytest.mark.parametrize("client", [0, 4, 9])
@pytest.mark.parametrize("parameter", ["gain", "power", "speed"])
def test_the_same_with_noise_of_a_given_density(parameter, client):
    def relative(size):
        return noise_psd(**{parameter: np.where(np.arange(10) == client, np.exp(size), 1.0)})

    p = noise_psd()
    found = sensitivities(p, solve(p))
    expected, smooth = slope(relative, 1e-4)
    measured = {
        "gain": found.log_gain,
        "power": found.log_transmit_power_w,
        "speed": found.log_cpu_hz,
    }[parameter]
    assert smooth
    assert measured[client] == pytest.approx(expected, rel=1e-6)


def test_hertz_and_bits_with_noise_of_a_given_density():
    p = noise_psd()
    found = sensitivities(p, solve(p))
    expected, _ = slope(lambda hertz: noise_psd(bandwidth_hz=20e6 + hertz), 2e3)
    assert found.bandwidth_hz == pytest.approx(expected, rel=1e-6)
    expected, _ = slope(lambda bits: shifted(p, "upload_bits", 3, bits), 20.0)
    assert found.upload_bits[3] == pytest.approx(expected, rel=1e-6)
