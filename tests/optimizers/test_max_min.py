"""Max-min fairness against a conic solver, certificates and finite differences."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from helpers.cones import best, with_fixed_bits
from helpers.problems import CLASSES, changed, problem, random_problems, scenario_s

from optimizers import certify, solve
from optimizers._waterfilling.rate_models import curve_of
from optimizers.max_min import MaxMin
from wirelessfl.allocation.noise_psd import NoisePsdProblem


def test_scenario_s_keeps_one_fraction():
    a = solve(scenario_s(), "max-min")
    np.testing.assert_allclose(a.pruning_ratio, a.pruning_ratio[0], rtol=1e-13)
    np.testing.assert_allclose(a.latency_s, 0.025, rtol=1e-12)
    assert a.bandwidth_fraction.sum() == pytest.approx(1.0, abs=1e-14)
    best_sum = solve(scenario_s())
    assert best_sum.pruning_ratio.min() < a.pruning_ratio[0] < best_sum.pruning_ratio.max()
    assert a.pruning_ratio.mean() > best_sum.pruning_ratio.mean()  # what fairness costs


def test_by_hand():
    # x = 1/2 needs the bands s x / (c - a x): 2/3 and 1/3.
    a = solve(problem([2.0, 2.0], 1.0, [2.0, 1.0]), "max-min")
    np.testing.assert_allclose(a.pruning_ratio, 0.5, atol=1e-15)
    np.testing.assert_allclose(a.bandwidth_fraction, [2 / 3, 1 / 3], rtol=1e-14)


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
        a = MaxMin().solve(p)
        assert a.pruning_ratio.max() == pytest.approx(1 - best(p, cp.min)[0], abs=1e-6)
        assert np.all(a.latency_s <= p.deadline_s * (1 + 1e-12))
        assert np.all(a.pruning_ratio <= p.max_pruning_ratio + 1e-12)


def test_it_is_the_weighted_optimum_of_its_own_multipliers():
    """With weights b_k'(x) / sum b'(x) on those at the common fraction, no exchange of band raises
    the weighted sum.
    """
    rng = np.random.default_rng(4)
    for name, p in random_problems(300, seed=4):
        if name != "caps_fit":
            p = changed(p, fixed_upload_bits=with_fixed_bits(rng, p, rng.choice([0.0, 0.4])))
        a = MaxMin().solve(p)
        if name == "caps_clash":
            continue
        kept, price = 1 - a.pruning_ratio, float(a.bandwidth_price)
        user = (p.slack_s > 0) & (p.upload_s + p.fixed_upload_s > 0) & (p.rate_bps > 0)
        user &= p.slack_s * p.upload_s + p.prunable_s * p.fixed_upload_s > 0
        if not user.any():
            continue
        lowest = kept[user].min()
        above = user & (kept > lowest * (1 + 1e-9))
        np.testing.assert_array_equal(
            above, user & (1 - p.max_pruning_ratio > lowest * (1 + 1e-9)), err_msg=name
        )
        if price == 0:
            assert lowest == 1, name
            continue
        assert a.bandwidth_fraction.sum() == pytest.approx(1.0, abs=1e-12), name
        leverage_s2 = p.slack_s * p.upload_s + p.prunable_s * p.fixed_upload_s
        work_s = np.where(user, p.prunable_s * a.bandwidth_fraction + p.upload_s, 1.0)
        gain = np.where(user, leverage_s2, 1.0) / work_s**2  # dx/db
        weight = np.where(user & ~above, price / gain, 0.0)
        assert weight.sum() == pytest.approx(1.0, rel=1e-9), name
        assert certify(changed(p, weight=weight), a).duality_gap <= 1e-12, name


def test_prices_are_derivatives():
    p, step = scenario_s(max_pruning_ratio=[0.5] + [1.0] * 9), 1e-6
    a = solve(p, "max-min")
    assert a.pruning_ratio[0] == pytest.approx(0.5)

    def lowest(deadline=1.0, band=1.0):
        rate = p.rate_bps * band
        return (
            1
            - solve(
                changed(p, deadline_s=p.deadline_s * deadline, rate_bps=rate), "max-min"
            ).pruning_ratio.max()
        )

    by_band = (lowest(band=1 + step) - lowest(band=1 - step)) / (2 * step)
    by_deadline = (lowest(deadline=1 + step) - lowest(deadline=1 - step)) / (2 * step * 0.025)
    assert a.bandwidth_price == pytest.approx(by_band, rel=1e-6)
    assert a.deadline_price == pytest.approx(by_deadline, rel=1e-6)


def test_who_cannot_be_helped_holds_nobody_down():
    p = problem([1.0, 1.0, -0.5, 0.0, 0.4], [1.0, 1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5, 0.0])
    a = solve(changed(p, rate_bps=[1e6, 0.0, 1e6, 1e6, 1e6]), "max-min")
    assert a.status.tolist() == ["active", "starved", "infeasible", "starved", "active"]
    np.testing.assert_allclose(a.pruning_ratio, [1 / 3, 1, 1, 1, 0.6], atol=1e-15)
    np.testing.assert_allclose(a.bandwidth_fraction, [1, 0, 0, 0, 0], rtol=1e-14)


def test_a_batch_is_its_rows():
    rows = [
        CLASSES[name](np.random.default_rng(9), 4)
        for name in ("regular", "late_some", "spare_band", "scarce_band")
    ]
    fields = ("fixed_s", "prunable_s", "upload_bits", "deadline_s", "weight")
    batch = changed(
        rows[0], **{name: np.stack([getattr(row, name) for row in rows]) for name in fields}
    )
    a = solve(batch, "max-min")
    for index, row in enumerate(rows):
        one = solve(row, "max-min")
        np.testing.assert_allclose(
            a.bandwidth_fraction[index], one.bandwidth_fraction, rtol=1e-13, atol=1e-16
        )
        assert a.bandwidth_price[index] == pytest.approx(float(one.bandwidth_price), rel=1e-12)


def test_noise_that_grows_with_the_band_leaves_one_fraction_too():
    rng = np.random.default_rng(8)
    for clients in (1, 3, 10):
        p = noise_psd(rng, clients)
        a = solve(p, "max-min")
        np.testing.assert_allclose(a.pruning_ratio, a.pruning_ratio[0], rtol=1e-11)
        assert a.bandwidth_fraction.sum() == pytest.approx(1.0, abs=1e-12)
        gain = curve_of(replace(p, weight=1.0)).marginal_gain(a.bandwidth_fraction)
        certificate = certify(replace(p, weight=a.bandwidth_price / gain), a)
        assert certificate.duality_gap <= 1e-12


def noise_psd(rng, clients):
    return NoisePsdProblem(
        deadline_s=1.0,
        fixed_s=rng.uniform(0.1, 0.4, clients),
        prunable_s=rng.uniform(0.2, 1.5, clients),
        upload_bits=rng.uniform(2e6, 2e7, clients) / clients,
        snr=rng.uniform(0.1, 20.0, clients),
        bandwidth_hz=1e6,
    )
