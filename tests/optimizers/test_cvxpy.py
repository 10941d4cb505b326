"""The reference solver's own answers; agreement with `exact` on random problems is in
test_exact.py.
"""

import subprocess
import sys

import numpy as np
import pytest
from helpers.problems import CLASSES, changed, problem, random_problems, scenario_s

from optimizers import AllocationProblem, NoisePsdProblem, certify, solve
from optimizers.cvxpy import Cvxpy
from wirelessfl.errors import InputError


def test_scenario_s_with_prices_from_the_multipliers():
    exact, reference = solve(scenario_s()), solve(scenario_s(), "cvxpy")
    np.testing.assert_allclose(reference.bandwidth_fraction, exact.bandwidth_fraction, atol=1e-4)
    assert reference.bandwidth_price == pytest.approx(exact.bandwidth_price, rel=1e-4)
    assert reference.deadline_price == pytest.approx(exact.deadline_price, rel=1e-4)


@pytest.mark.parametrize(
    "name", ["regular", "late_some", "compute_bound", "bits_zero", "caps_fit", "caps_clash"]
)
def test_prices_of_both_roads_agree(name):
    rng = np.random.default_rng(1)
    for _ in range(5):
        p = CLASSES[name](rng, 4)
        exact, reference = solve(p), solve(p, "cvxpy")
        assert reference.bandwidth_price == pytest.approx(exact.bandwidth_price, rel=1e-3, abs=1e-6)
        assert reference.deadline_price == pytest.approx(exact.deadline_price, rel=1e-3, abs=1e-6)


def test_batches_are_solved_problem_by_problem():
    p = scenario_s(deadline_s=np.array([0.02, 0.03])[:, None])
    a = solve(p, "cvxpy")
    assert a.bandwidth_fraction.shape == (2, 10)
    assert np.all(certify(p, a).duality_gap <= 1e-6)


def test_nothing_to_share_is_no_problem():
    late = AllocationProblem(
        deadline_s=1.0, fixed_s=2.0, prunable_s=1.0, upload_bits=1.0, rate_bps=1.0
    )
    a = solve(late, "cvxpy")
    assert (a.bandwidth_fraction[0], a.pruning_ratio[0], float(a.bandwidth_price)) == (
        0.0,
        1.0,
        0.0,
    )


@pytest.mark.parametrize("tolerance", [0.0, -1e-8, float("nan"), 2.0])
def test_the_tolerance_is_checked(tolerance):
    with pytest.raises(InputError, match="tolerance must be"):
        Cvxpy(tolerance=tolerance)


@pytest.mark.parametrize("share", [0.3, 0.95])
def test_fixed_bits_on_both_roads(share):
    rng = np.random.default_rng(2)
    for name, p in random_problems(38, seed=2, most_clients=6):
        room_bits = np.maximum(p.slack_s, 0.0) * p.rate_bps * (rng.random(p.shape) > 0.3)
        p = changed(p, fixed_upload_bits=share * rng.dirichlet(np.ones(p.shape[-1])) * room_bits)
        exact, reference = solve(p), solve(p, "cvxpy")
        both = [
            (p.weight * answer.pruning_ratio).sum() / max(p.weight.sum(), 1e-9)
            for answer in (exact, reference)
        ]
        assert both[1] == pytest.approx(both[0], abs=1e-6), name
        assert certify(p, reference).duality_gap <= 1e-6, name


def test_prices_with_a_mask_beside_the_weights():
    p = scenario_s(fixed_upload_bits=16_560.0)
    exact, reference = solve(p), solve(p, "cvxpy")
    assert reference.bandwidth_price == pytest.approx(exact.bandwidth_price, rel=1e-4)
    assert reference.deadline_price == pytest.approx(exact.deadline_price, rel=1e-4)


def test_fixed_bits_that_do_not_fit_have_the_same_reason_on_both_roads():
    p = changed(problem(1.0, 0.5, [1.0, 1.0, 0.5]), fixed_upload_bits=[0.8e6, 0.7e6, 0.0])
    assert solve(p, "cvxpy").reason == solve(p).reason != ""


def test_importing_the_wing_imports_neither_cvxpy_nor_torch():
    code = "import sys, optimizers, optimizers.cvxpy; sys.exit('cvxpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def two_clients(**values):
    return NoisePsdProblem(deadline_s=1.0, bandwidth_hz=1.0, **values)


def test_a_solver_that_gives_up_is_one_line():
    p = two_clients(
        fixed_s=[0.46, 0.86],
        prunable_s=[2e-5, 350.0],
        upload_bits=[0.074, 0.35],
        weight=[93.0, 0.29],
        snr=[3.9, 2.1e-6],
    )
    with pytest.raises(InputError, match=r"method cvxpy cannot .* Clarabel reports \w+:") as error:
        solve(p, "cvxpy")
    assert "\n" not in str(error.value)
    assert certify(p, solve(p)).duality_gap <= 1e-12


def test_an_inaccurate_answer_says_so():
    p = two_clients(
        fixed_s=[0.35, 0.88],
        prunable_s=[0.42, 1.7],
        upload_bits=[1.3, 0.071],
        weight=[0.24, 440.0],
        snr=[2.6e-4, 7.2e5],
    )
    with pytest.warns(RuntimeWarning, match=r"answer may be \d\.\de-0\d from the optimum"):
        solve(p, "cvxpy")
