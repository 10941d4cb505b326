"""Limits of methods with control variates: gradient descent, closed forms, the lasso."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.quadratics import ALL, CLIENTS, DESCENT, NONE, RATE, SEED, SIZE, Quadratics, run, start
from sklearn.linear_model import Lasso

from training.algorithms.control_variates.fedht import Fedht
from training.algorithms.control_variates.proxskip import Proxskip
from training.algorithms.control_variates.randprox_l1 import RandproxL1
from training.algorithms.control_variates.scaffold import Scaffold
from training.control_variates.sparsity_settings import Sparse
from training.control_variates.state import ControlVariateState

METHODS = {"proxskip": Proxskip(), "scaffold": Scaffold()}
RANDPROX = RandproxL1(sparse=Sparse(sparsity=0.5), l1=1.5)


@pytest.mark.parametrize("name", ["proxskip", "scaffold"])
def test_with_p_one_it_is_gradient_descent(name):
    rounds, once = 40, replace(DESCENT, probability=1.0)
    problem, w = Quadratics(RATE), np.zeros(SIZE)
    for _ in range(rounds):
        w = w - RATE * np.mean([problem.gradient(i, w) for i in range(CLIENTS)], axis=0)
    state, _ = run(METHODS[name], rounds, once)
    np.testing.assert_allclose(state.shared, w, rtol=1e-10)


def test_without_control_variates_it_is_federated_averaging():
    fixed = replace(DESCENT, coin="fixed")
    problem, w = Quadratics(RATE), np.zeros(SIZE)
    for _ in range(4):
        ends = []
        for client in range(CLIENTS):
            local = w
            for _ in range(5):
                local = local - RATE * problem.gradient(client, local)
            ends.append(local)
        w = np.mean(ends, axis=0)
    state, metrics = run(Fedht(sparse=Sparse(sparsity=0)), 4, fixed)
    np.testing.assert_allclose(state.shared, w, rtol=1e-12)
    assert not state.control.any()
    assert metrics.extra["sum_control"] == metrics.extra["mean_control"] == 0


@pytest.mark.parametrize("name", ["proxskip", "scaffold"])
def test_converges_linearly_to_the_ridge_solution_and_its_control_variates_to_the_gradients(name):
    descent = replace(DESCENT, coin="fixed") if name == "scaffold" else DESCENT
    problem = Quadratics(RATE)
    optimum = problem.optimum()
    errors = [
        np.linalg.norm(run(METHODS[name], rounds, descent)[0].shared - optimum)
        for rounds in (40, 80, 120)
    ]
    assert errors[1] < 0.1 * errors[0]
    assert errors[2] < 0.1 * errors[1]
    state, metrics = run(METHODS[name], 500, descent)
    np.testing.assert_allclose(state.shared, optimum, rtol=1e-9)
    gradients = [problem.gradient(client, optimum) for client in range(CLIENTS)]
    np.testing.assert_allclose(state.control, gradients, rtol=1e-7, atol=1e-8)
    if name == "proxskip":
        assert metrics.extra["train_loss"] == pytest.approx(problem.objective(optimum))
        assert metrics.loss == pytest.approx(problem.objective(optimum) / CLIENTS)


def at_optimum(bias=0.0):
    problem = Quadratics(RATE)
    optimum = problem.optimum()
    control = (
        np.array([problem.gradient(client, optimum) for client in range(CLIENTS)]) + bias / CLIENTS
    )
    return ControlVariateState(SEED, 0, optimum, control, np.full(CLIENTS, SIZE))


def test_the_optimum_with_its_gradients_is_a_fixed_point():
    state = at_optimum()
    trainer, _ = start(Proxskip())
    after = state
    for _ in range(5):
        after, _ = trainer.step(after, NONE, ALL)
    np.testing.assert_allclose(after.shared, state.shared, rtol=1e-12)
    np.testing.assert_allclose(after.control, state.control, rtol=1e-10, atol=1e-10)


def test_with_another_sum_the_optimum_moves_by_rate_over_n_times_the_sum():
    bias = np.arange(1.0, SIZE + 1)
    state = at_optimum(bias)
    trainer, _ = start(Proxskip(), replace(DESCENT, probability=1.0))
    after, _ = trainer.step(state, NONE, ALL)
    np.testing.assert_allclose(after.shared - state.shared, RATE / CLIENTS * bias, rtol=1e-10)


def test_randprox_converges_to_the_lasso():
    state, _ = run(RANDPROX, 600, ridge=0.0)
    problem = Quadratics(RATE, ridge=0.0)
    rows, targets = problem.features.reshape(-1, SIZE), problem.targets.reshape(-1)
    l1 = RANDPROX.l1
    lasso = Lasso(
        alpha=l1 * CLIENTS / len(rows), fit_intercept=False, tol=1e-14, max_iter=100_000
    ).fit(rows, targets)
    np.testing.assert_allclose(state.shared, lasso.coef_, rtol=1e-7, atol=1e-9)
    gradient = np.mean(
        [problem.gradient(client, state.shared) for client in range(CLIENTS)], axis=0
    )
    support = lasso.coef_ != 0
    assert 0 < np.count_nonzero(support) < SIZE
    np.testing.assert_allclose(gradient[support], -l1 * np.sign(lasso.coef_[support]), rtol=1e-6)
    assert np.all(np.abs(gradient[~support]) < l1)


def test_a_great_weight_of_the_l1_norm_leaves_nothing():
    state, metrics = run(replace(RANDPROX, l1=1e3), 3)
    assert not state.shared.any()
    assert metrics.uplink_bits.tolist() == [0.0] * CLIENTS
