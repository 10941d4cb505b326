"""Bands of least latency at given ratios: equal finish times, and no better exchange of band."""

import cvxpy as cp
import numpy as np
import pytest
from helpers.cones import with_fixed_bits
from helpers.problems import (
    CLASSES,
    PERSONAL_S,
    changed,
    problem,
    random_problems,
    scenario_rates,
    scenario_s,
)

from optimizers import MinLatency
from wirelessfl.errors import InputError


def test_only_personalisation_anchor():
    """NOTES 1.6: equal compute, so T = T_v + T_c + sum_k A_k = 53.3 ms."""
    p = scenario_s(fixed_s=PERSONAL_S)
    a = MinLatency().solve(p)
    np.testing.assert_allclose(
        a.latency_s, PERSONAL_S + p.prunable_s + p.upload_s.sum(), rtol=1e-12
    )
    assert 1e3 * a.latency_s.max() == pytest.approx(53.3, abs=0.05)
    np.testing.assert_array_equal(a.pruning_ratio, 0)


def test_only_personalisation_in_fading():
    gain = np.random.default_rng(0).gamma(4.0, 1.0, (500, 10))
    a = MinLatency().solve(scenario_s(fixed_s=PERSONAL_S, rate_bps=scenario_rates(gain)))
    assert 1e3 * a.latency_s.max(axis=-1).mean() == pytest.approx(55.2, abs=0.5)


@pytest.mark.parametrize("ratio", [0.0, 0.4])
def test_all_that_upload_finish_together_and_no_exchange_of_band_helps(ratio):
    rng = np.random.default_rng(2)
    for name, p in random_problems(200, seed=2):
        a = MinLatency(pruning_ratio=ratio).solve(p)
        uploads = (p.upload_s > 0) & (p.upload_s < np.inf)
        if not uploads.any():
            continue
        finish = a.latency_s[uploads]
        np.testing.assert_allclose(finish, finish.max(), rtol=1e-11, err_msg=name)
        assert a.bandwidth_fraction.sum() == pytest.approx(1.0, abs=1e-13), name
        other = np.where(uploads, a.bandwidth_fraction * rng.uniform(0.5, 1.5, p.shape), 0.0)
        slowest = p.latency_s(other / other.sum(), ratio)[uploads].max()
        assert slowest >= finish.max() * (1 - 1e-12), name


def test_by_hand():
    # d = (1, 2), e = (2, 1): 2 / (T - 1) + 1 / (T - 2) = 1 has the root T = 3 + sqrt(2).
    p = problem([1.0, 1.0], [1.0, 2.0], [2.0, 1.0])
    a = MinLatency().solve(p)
    np.testing.assert_allclose(a.latency_s - p.fixed_s, 3 + np.sqrt(2))


def test_uploads_far_shorter_than_the_computation():
    a = MinLatency().solve(problem([1.0, 1.0], 1e3, [1e-18, 3e-18]))
    np.testing.assert_allclose(a.bandwidth_fraction, [0.25, 0.75])


def test_who_cannot_upload_holds_nobody_up():
    p = scenario_s(rate_bps=[0.0, 1e8, 1e8] + [1e9] * 7)
    a = MinLatency().solve(p)
    assert a.bandwidth_fraction[0] == 0
    assert a.latency_s[0] == np.inf
    np.testing.assert_allclose(a.latency_s[1:], a.latency_s[1])


def test_everything_pruned_uploads_nothing():
    a = MinLatency(pruning_ratio=1.0).solve(scenario_s(fixed_upload_bits=9.0))
    np.testing.assert_array_equal(a.bandwidth_fraction, 0)
    np.testing.assert_array_equal(a.latency_s, a.problem.fixed_s)


def test_fixed_bits_count():
    a = MinLatency(pruning_ratio=0.5).solve(scenario_s(fixed_upload_bits=16_560.0))
    np.testing.assert_allclose(a.latency_s, a.latency_s[0], rtol=1e-12)


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("inf")])
def test_bad_ratio(ratio):
    with pytest.raises(InputError, match="pruning_ratio must be"):
        MinLatency(pruning_ratio=ratio)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_conic_solver_finds_nothing_faster(share):
    """min T over sum e inv_pos(T - d) <= 1, fixed bits included."""
    rng = np.random.default_rng(7)
    for _ in range(8):
        p = CLASSES["regular"](rng, 5)
        p = changed(p, fixed_upload_bits=with_fixed_bits(rng, p, share))
        ratio = float(rng.choice([0.0, 0.4]))
        start = float(p.fixed_s.min())  # seconds near 1 for the solver
        ready = p.fixed_s - start + (1 - ratio) * p.prunable_s
        upload = (1 - ratio) * p.upload_s + p.fixed_upload_s
        finish = cp.Variable()
        limits = [cp.sum(cp.multiply(upload, cp.inv_pos(finish - ready))) <= 1]
        cp.Problem(cp.Minimize(finish), limits).solve(solver=cp.CLARABEL)
        slowest = MinLatency(pruning_ratio=ratio).solve(p).latency_s.max()
        assert slowest == pytest.approx(start + float(finish.value), abs=1e-6)


@pytest.mark.parametrize("ratios", [(0.0, 0.3, 1.0), (0.5, 0.5, 0.5)])
def test_ratios_may_differ_between_clients(ratios):
    p = changed(problem([1.0] * 3, [1.0, 2.0, 3.0], [2.0, 1.0, 1.0]), fixed_upload_bits=1e5)
    a = MinLatency(pruning_ratio=ratios).solve(p)
    uploads = np.array(ratios) < 1
    np.testing.assert_array_equal(a.pruning_ratio, ratios)
    np.testing.assert_allclose(a.latency_s[uploads], a.latency_s.max(), rtol=1e-12)
    np.testing.assert_array_equal(a.bandwidth_fraction > 0, uploads)
    assert a.bandwidth_fraction.sum() == pytest.approx(1.0)
    if len(set(ratios)) == 1:
        same = MinLatency(pruning_ratio=ratios[0]).solve(p)
        np.testing.assert_array_equal(a.bandwidth_fraction, same.bandwidth_fraction)


def test_a_wrong_number_of_ratios_is_one_line():
    with pytest.raises(
        InputError, match=r"^pruning_ratio must be 1 number or 2, one per client, got 3$"
    ):
        MinLatency(pruning_ratio=(0.0, 0.1, 0.2)).solve(problem([1.0, 1.0], [1.0, 2.0], [2.0, 1.0]))
