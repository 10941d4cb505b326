"""The conic reference under both rate models, compiled anew and compiled once."""

import numpy as np
import pytest
from helpers.problems import CLASSES, random_problems, scenario_s
from helpers.psd_problems import random_psd_problems, scenario_psd, with_psd

from optimizers import certify, solve
from optimizers._cones import _compiled
from optimizers.cvxpy import Cvxpy

REUSED = Cvxpy(reuse=True)


def objective(p, a):
    weight = np.asarray(p.weight)
    return float((weight * a.pruning_ratio).sum() / max(weight.sum(), 1e-9))


@pytest.mark.slow
def test_exact_and_conic_optimum_agree_under_a_spectral_density():
    for name, p in random_psd_problems(57, seed=7, most_clients=8, decades=2):
        exact, conic = solve(p), solve(p, "cvxpy")
        assert objective(p, conic) == pytest.approx(objective(p, exact), abs=1e-6), name
        assert certify(p, conic).primal_residual <= 1e-8, name


@pytest.mark.parametrize(
    "name", ["regular", "late_some", "compute_bound", "caps_fit", "slack_zero"]
)
def test_prices_of_both_roads_agree(name):
    rng = np.random.default_rng(1)
    for _ in range(3):
        p = with_psd(CLASSES[name](rng, 4), rng, 1)
        exact, conic = solve(p), solve(p, "cvxpy")
        assert conic.bandwidth_price == pytest.approx(exact.bandwidth_price, rel=2e-3, abs=1e-6)
        assert conic.deadline_price == pytest.approx(exact.deadline_price, rel=2e-3, abs=1e-6)


def test_fixed_bits_under_a_spectral_density():
    p = scenario_psd(fixed_upload_bits=np.linspace(2e3, 5e4, 10), max_pruning_ratio=0.98)
    exact, conic = solve(p), solve(p, "cvxpy")
    np.testing.assert_allclose(conic.bandwidth_fraction, exact.bandwidth_fraction, atol=1e-3)
    assert objective(p, conic) == pytest.approx(objective(p, exact), abs=1e-7)
    assert conic.deadline_price == pytest.approx(exact.deadline_price, rel=1e-3)


@pytest.mark.parametrize("problems", [random_problems, random_psd_problems])
def test_a_programme_compiled_once_gives_the_same_answers(problems):
    for name, p in problems(38, seed=3, most_clients=4):
        anew, again = solve(p, "cvxpy"), solve(p, REUSED)
        assert objective(p, again) == pytest.approx(objective(p, anew), abs=1e-6), name


@pytest.mark.parametrize("scenario", [scenario_s, scenario_psd])
def test_it_is_compiled_once_per_size_and_rate_model(scenario):
    solve(scenario(), REUSED)
    before = _compiled.cache_info()
    solve(scenario(deadline_s=np.array([0.02, 0.03])[:, None]), REUSED)
    after = _compiled.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (0, 2)
