"""Proportional fairness against a conic solver, certificates and finite differences."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from helpers.cones import best, with_fixed_bits
from helpers.problems import CLASSES, changed, problem, random_problems, scenario_s
from helpers.psd_problems import random_psd_problems

from optimizers import certify, solve
from optimizers._waterfilling.log_utility import log_sum
from optimizers._waterfilling.rate_models import curve_of
from optimizers.proportional_fairness import ProportionalFairness, _with_arrays
from wirelessfl.allocation.noise_psd import NoisePsdProblem

METHOD = "proportional-fairness"


def objective(p, a):
    return float((p.weight * np.log(1 - a.pruning_ratio)).sum())


def test_scenario_s_starves_nobody():
    a = solve(scenario_s(), METHOD)
    assert np.all(a.status == "active")
    assert a.bandwidth_fraction.sum() == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(a.latency_s, 0.025, rtol=1e-12)


def test_without_computation_band_goes_by_weight():
    a = solve(problem(1.0, 0.0, [2.0, 5.0, 9.0], [1.0, 2.0, 1.0]), METHOD)
    np.testing.assert_allclose(a.bandwidth_fraction, [0.25, 0.5, 0.25], rtol=1e-14)
    assert a.bandwidth_price == pytest.approx(4.0, rel=1e-14)


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize(
    "name", ["regular", "ties", "no_compute", "compute_bound", "caps_fit", "spare_band"]
)
def test_a_conic_solver_finds_nothing_better(name, share):
    rng = np.random.default_rng(3)
    for _ in range(4):
        p = CLASSES[name](rng, 5)
        if name != "caps_fit":
            p = changed(p, fixed_upload_bits=with_fixed_bits(rng, p, share))
        a = ProportionalFairness().solve(p)
        reference = best(p, lambda kept, p=p: p.weight @ cp.log(kept))[0]
        assert objective(p, a) == pytest.approx(
            reference, abs=1e-6 * max(1.0, float(p.weight.sum()))
        )
        assert np.all(a.latency_s <= p.deadline_s * (1 + 1e-12))
        assert np.all(a.pruning_ratio <= p.max_pruning_ratio + 1e-12)


def test_it_is_the_weighted_optimum_with_weights_w_over_x():
    rng = np.random.default_rng(4)
    for name, p in random_problems(300, seed=4):
        if name != "caps_fit":
            p = changed(p, fixed_upload_bits=with_fixed_bits(rng, p, rng.choice([0.0, 0.4])))
        a = ProportionalFairness().solve(p)
        kept = 1 - a.pruning_ratio
        counts = (p.weight > 0) & (kept > 0)
        certificate = certify(
            changed(p, weight=np.where(counts, p.weight / np.where(counts, kept, 1.0), 0.0)), a
        )
        assert certificate.duality_gap <= 1e-12, name
        assert certificate.stationarity <= 1e-9, name
        assert certificate.primal_residual <= 1e-12, name


def test_prices_are_derivatives():
    p, step = scenario_s(max_pruning_ratio=[0.3] + [1.0] * 9), 1e-6
    a = solve(p, METHOD)
    assert a.pruning_ratio[0] == pytest.approx(0.3)

    def value(deadline=1.0, band=1.0):
        other = changed(p, deadline_s=p.deadline_s * deadline, rate_bps=p.rate_bps * band)
        return objective(other, solve(other, METHOD))

    by_band = (value(band=1 + step) - value(band=1 - step)) / (2 * step)
    by_deadline = (value(deadline=1 + step) - value(deadline=1 - step)) / (2 * step * 0.025)
    assert a.bandwidth_price == pytest.approx(by_band, rel=1e-6)
    assert a.deadline_price == pytest.approx(by_deadline, rel=1e-6)


def test_who_cannot_be_helped_takes_nothing():
    p = problem([1.0, 1.0, -0.5, 0.0, 1.0], 1.0, 0.5, [1.0, 1.0, 1.0, 1.0, 0.0])
    a = solve(changed(p, rate_bps=[1e6, 0.0, 1e6, 1e6, 1e6]), METHOD)
    assert a.status.tolist() == ["active", "starved", "infeasible", "starved", "starved"]
    np.testing.assert_allclose(a.bandwidth_fraction, [1, 0, 0, 0, 0], atol=1e-16)


def test_a_batch_is_its_rows():
    rows = [
        CLASSES[name](np.random.default_rng(9), 4)
        for name in ("regular", "late_some", "spare_band", "scarce_band")
    ]
    fields = ("fixed_s", "prunable_s", "upload_bits", "deadline_s", "weight")
    batch = changed(
        rows[0], **{name: np.stack([getattr(row, name) for row in rows]) for name in fields}
    )
    a = solve(batch, METHOD)
    for index, row in enumerate(rows):
        one = solve(row, METHOD)
        np.testing.assert_allclose(
            a.bandwidth_fraction[index], one.bandwidth_fraction, rtol=1e-12, atol=1e-16
        )
        assert a.bandwidth_price[index] == pytest.approx(float(one.bandwidth_price), rel=1e-11)


@pytest.mark.slow
def test_bracketing_the_price_gives_the_closed_form():
    rng = np.random.default_rng(6)
    for name, p in random_problems(100, seed=6):
        if name != "caps_fit":
            p = changed(p, fixed_upload_bits=with_fixed_bits(rng, p, rng.choice([0.0, 0.4])))
        a, (band, price) = solve(p, METHOD), log_sum(curve_of(p))
        np.testing.assert_allclose(a.bandwidth_fraction, band, rtol=1e-9, atol=1e-12, err_msg=name)
        assert a.bandwidth_price == pytest.approx(float(price), rel=1e-9), name


def test_noise_that_grows_with_the_band():
    rng = np.random.default_rng(8)
    for clients, share in [(1, 0.0), (3, 0.0), (10, 0.0), (4, 0.1)]:
        p = NoisePsdProblem(
            deadline_s=1.0,
            fixed_s=rng.uniform(0.1, 0.4, clients),
            prunable_s=rng.uniform(0.2, 1.5, clients),
            upload_bits=rng.uniform(2e6, 2e7, clients) / clients,
            fixed_upload_bits=share * 1e6 / clients,
            snr=rng.uniform(0.1, 20.0, clients),
            max_pruning_ratio=np.where(np.arange(clients) == 2, 0.9, 1.0),
            bandwidth_hz=1e6,
        )
        a = solve(p, METHOD)
        assert a.reason == ""
        assert np.all(a.status != "starved")
        certificate = certify(replace(p, weight=1 / (1 - a.pruning_ratio)), a)
        assert max(float(value) for value in vars(certificate).values()) <= 1e-11


def test_compiled_code_is_the_array_code_where_noise_grows_with_the_band():
    rng = np.random.default_rng(3)
    for name, p in random_psd_problems(60, seed=3):
        share = rng.choice([0.0, 0.003, 0.3]) * rng.random(p.shape)
        p = replace(p, fixed_upload_bits=np.asarray(p.upload_bits) * share)
        fast, slow = ProportionalFairness().solve(p), _with_arrays(p)
        assert np.all(fast.status == slow.status), name
        for field in ("bandwidth_fraction", "pruning_ratio", "kept_fraction"):
            np.testing.assert_allclose(
                getattr(fast, field), getattr(slow, field), atol=1e-12, rtol=0, err_msg=name
            )
        for field in ("bandwidth_price", "deadline_price"):
            np.testing.assert_allclose(
                getattr(fast, field), getattr(slow, field), rtol=1e-12, err_msg=name
            )
        kept = fast.kept_fraction
        counts = (np.asarray(p.weight) > 0) & (kept > 1e-12)
        weight = np.where(counts, p.weight / np.where(counts, kept, 1.0), 0.0)
        found = certify(replace(p, weight=weight), fast)
        assert max(float(value) for value in vars(found).values()) <= 1e-10, name


def test_a_batch_with_a_noise_density_is_its_rows():
    rng = np.random.default_rng(4)
    shape = (2, 3, 4)
    p = NoisePsdProblem(
        deadline_s=1.0,
        fixed_s=rng.uniform(0.1, 0.4, shape),
        prunable_s=rng.uniform(0.2, 1.5, shape),
        upload_bits=rng.uniform(2e6, 2e7, 4),
        snr=rng.uniform(0.1, 20.0, shape),
        bandwidth_hz=1e6,
    )
    a = solve(p, METHOD)
    one = solve(
        replace(
            p,
            fixed_s=p.fixed_s[1, 2],
            prunable_s=p.prunable_s[1, 2],
            snr=p.snr[1, 2],
            deadline_s=1.0,
            upload_bits=p.upload_bits[1, 2],
            weight=1.0,
            fixed_upload_bits=0.0,
            max_pruning_ratio=1.0,
        ),
        METHOD,
    )
    assert a.bandwidth_price.shape == a.deadline_price.shape == (2, 3)
    np.testing.assert_array_equal(a.bandwidth_fraction[1, 2], one.bandwidth_fraction)
    assert a.deadline_price[1, 2] == one.deadline_price


@pytest.mark.parametrize("compiled", [True, False])
def test_a_client_that_is_given_more_than_its_fixed_bits_need_is_not_starved(compiled):
    # The whole band is worth most to the client, whose search starts next to its floor.
    p = NoisePsdProblem(
        deadline_s=1.0,
        fixed_s=0.0,
        prunable_s=0.5,
        upload_bits=1e6,
        fixed_upload_bits=[3e5, 2e5],
        snr=[3.0, 0.5],
        weight=[0.0, 1.0],
        bandwidth_hz=1e6,
    )
    a = ProportionalFairness().solve(p) if compiled else _with_arrays(p)
    assert a.bandwidth_fraction.sum() == pytest.approx(1.0, abs=1e-12)
    assert a.pruning_ratio[1] < 0.9
