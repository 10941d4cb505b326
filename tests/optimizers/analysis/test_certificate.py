"""The certificate must refuse every answer that is wrong, and bound how wrong it is."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.problems import problem, random_problems, scenario_s

from optimizers import Equal, Exact, certify, solve
from wirelessfl.errors import InputError


@pytest.fixture
def answer():
    p = scenario_s()
    return p, solve(p)


def test_the_optimum_passes_for_a_whole_batch():
    p = scenario_s(deadline_s=np.array([0.015, 0.02, 0.03])[:, None], max_pruning_ratio=0.95)
    certificate = certify(p, solve(p))
    for name in ("primal_residual", "stationarity", "complementarity", "duality_gap"):
        value = getattr(certificate, name)
        assert value.shape == (3,)
        assert np.all(np.abs(value) <= 1e-14)


def test_too_much_band_is_seen(answer):
    p, a = answer
    more = certify(p, replace(a, bandwidth_fraction=a.bandwidth_fraction * 1.01))
    assert more.primal_residual == pytest.approx(0.01)


def test_negative_band_is_seen(answer):
    p, a = answer
    band = a.bandwidth_fraction - 0.05
    assert certify(p, replace(a, bandwidth_fraction=band)).primal_residual >= 0.02


def test_a_missed_deadline_is_seen(answer):
    p, a = answer
    late = certify(p, replace(a, pruning_ratio=a.pruning_ratio - 0.01))
    worst = p.latency_s(a.bandwidth_fraction, a.pruning_ratio - 0.01).max() / 0.025 - 1
    assert late.primal_residual == pytest.approx(worst)
    assert worst > 1e-3


def test_a_ratio_beyond_its_cap_is_seen():
    p = scenario_s(max_pruning_ratio=0.95)
    a = solve(p)
    over = np.where(np.arange(10) == 9, 0.96, a.pruning_ratio)
    assert certify(p, replace(a, pruning_ratio=over)).primal_residual == pytest.approx(0.01)


def test_pruning_more_than_needed_is_seen(answer):
    p, a = answer
    wasteful = certify(p, replace(a, pruning_ratio=a.pruning_ratio + 0.01))
    assert wasteful.primal_residual == 0
    assert wasteful.complementarity == pytest.approx(0.001)
    assert wasteful.duality_gap == pytest.approx(0.01)


def test_band_left_over_at_a_price_is_seen(answer):
    p, a = answer
    frugal = certify(p, replace(a, bandwidth_fraction=a.bandwidth_fraction * 0.9))
    assert frugal.complementarity >= 0.03


@pytest.mark.parametrize("factor", [0.0, 0.9, 1.1])
def test_a_wrong_price_is_seen(answer, factor):
    p, a = answer
    wrong = certify(p, replace(a, bandwidth_price=a.bandwidth_price * factor))
    assert wrong.stationarity >= 0.09
    assert wrong.duality_gap > 1e-4


def test_a_client_starved_although_it_gains_more_is_seen():
    p = problem([1.0, 1.0], 0.0, [2.0, 1.0])
    a = replace(
        solve(p), bandwidth_fraction=np.array([1.0, 0.0]), pruning_ratio=np.array([0.5, 1.0])
    )
    wrong = certify(p, replace(a, bandwidth_price=np.array(0.5)))
    assert wrong.stationarity == pytest.approx(0.5)
    assert wrong.duality_gap == pytest.approx(0.25)


def test_a_price_on_band_worth_less_is_seen():
    p = problem([1.0, 1.0], 0.0, [0.5, 0.5])
    full = solve(p)
    assert np.all(full.pruning_ratio == 0)
    assert (
        certify(p, replace(full, bandwidth_price=np.array(1.0))).stationarity == 0
    )  # any price up to 2 is right
    assert certify(p, replace(full, bandwidth_price=np.array(4.0))).stationarity == pytest.approx(
        0.5
    )


def test_an_unequal_marginal_gain_is_seen(answer):
    p, a = answer
    band = a.bandwidth_fraction + 0.01 * np.where(np.arange(10) % 2 == 0, 1, -1)
    ratio = 1 - p.slack_s / (p.prunable_s + p.upload_s / band)
    moved = certify(p, replace(a, bandwidth_fraction=band, pruning_ratio=ratio))
    assert moved.primal_residual <= 1e-14
    assert moved.stationarity > 1e-3
    assert moved.duality_gap == pytest.approx((ratio - a.pruning_ratio).mean(), rel=1e-9)


def test_the_gap_bounds_the_true_distance_from_the_optimum():
    for name, p in random_problems(300, seed=11):
        if name == "caps_fit":
            continue  # equal bands need not keep the caps
        equal, best = Equal().solve(p), Exact().solve(p)
        priced = replace(equal, bandwidth_price=best.bandwidth_price)
        distance = (p.weight * (equal.pruning_ratio - best.pruning_ratio)).sum() / max(
            p.weight.sum(), 1e-9
        )
        assert certify(p, priced).duality_gap >= distance - 1e-12, name
        assert certify(p, equal).duality_gap >= distance - 1e-12, name


def test_a_band_for_a_late_client_must_not_shrink_the_gap():
    p = problem([-0.1, 1.0], 1.0, 1.0)
    a = solve(p)
    greedy = replace(a, pruning_ratio=np.array([0.0, a.pruning_ratio[1]]))
    assert certify(p, greedy).primal_residual == 1


def test_shapes_must_match(answer):
    p, a = answer
    with pytest.raises(
        InputError, match=r"bandwidth_fraction must have the problem's shape \(10,\), got \(3,\)"
    ):
        certify(p, replace(a, bandwidth_fraction=np.ones(3)))
