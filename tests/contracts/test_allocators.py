"""Contract of every allocator, built-in or external."""

import dataclasses

import numpy as np
import pytest
from helpers.problems import CLASSES, client_subset, scenario_rates, scenario_s

from optimizers import Allocation, certify, solve
from wirelessfl import plugins

NAMES = plugins.names("allocators")


@pytest.fixture(params=NAMES)
def allocator(request):
    return plugins.load("allocators", request.param)()


def test_the_folder_is_what_is_found():
    assert {"exact", "cvxpy", "equal", "equal-common", "fixed-ratio", "min-latency"} <= set(NAMES)
    assert {"max-min", "proportional-fairness", "select", "resource-blocks"} <= set(NAMES)


def test_it_is_a_frozen_dataclass_that_knows_its_name(allocator):
    assert dataclasses.is_dataclass(allocator)
    assert type(allocator).__dataclass_params__.frozen
    assert plugins.name_of(type(allocator)) in NAMES
    assert allocator == dataclasses.replace(allocator)
    assert type(allocator).__doc__


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)])
def test_shapes_and_ranges(allocator, batch):
    rate = np.broadcast_to(scenario_rates(), (*batch, 10))
    p = scenario_s(rate_bps=rate)
    a = allocator.solve(p)
    assert isinstance(a, Allocation)
    assert a.problem is p
    assert a.bandwidth_fraction.shape == a.pruning_ratio.shape == a.latency_s.shape == (*batch, 10)
    assert np.shape(a.bandwidth_price) == np.shape(a.deadline_price) == batch
    assert a.status.shape == (*batch, 10)
    assert isinstance(a.reason, str) if not batch else a.reason.shape == batch


@pytest.mark.parametrize("name", CLASSES)
def test_degenerate_problems_have_an_answer(allocator, name):
    p = CLASSES[name](np.random.default_rng(5), 4)
    a = allocator.solve(p)
    for value in (a.bandwidth_fraction, a.pruning_ratio, a.bandwidth_price, a.deadline_price):
        assert np.all(np.isfinite(value))
        assert np.all(np.asarray(value) >= 0)
    assert not np.any(np.isnan(a.latency_s))
    assert a.bandwidth_fraction.sum() <= 1 + 1e-12
    assert np.all(a.pruning_ratio <= 1)


@pytest.mark.parametrize("name", CLASSES)
def test_an_optimum_that_is_claimed_is_certified(allocator, name):
    if not getattr(allocator, "optimal", False):
        return
    p = CLASSES[name](np.random.default_rng(6), 4)
    a = allocator.solve(p)
    certificate = certify(p, a)
    assert certificate.primal_residual <= 1e-8
    assert certificate.complementarity <= 1e-6
    assert certificate.duality_gap <= 1e-6
    late = p.slack_s < 0
    assert np.all((a.bandwidth_fraction == 0)[late] & (a.pruning_ratio == 1)[late])


@pytest.mark.parametrize("name", ["regular", "late_some", "scarce_band"])
def test_permuting_clients_permutes_the_answer(allocator, name):
    rng = np.random.default_rng(7)
    p = CLASSES[name](rng, 6)
    order = rng.permutation(6)
    a = allocator.solve(p)
    permuted = allocator.solve(client_subset(p, order))
    np.testing.assert_allclose(permuted.bandwidth_fraction, a.bandwidth_fraction[order], atol=1e-4)
    np.testing.assert_allclose(permuted.pruning_ratio, a.pruning_ratio[order], atol=1e-4)
    np.testing.assert_array_equal(permuted.status, a.status[order])


def test_the_same_problem_has_the_same_answer(allocator):
    first = allocator.solve(scenario_s())
    second = solve(scenario_s(), allocator)
    np.testing.assert_array_equal(first.bandwidth_fraction, second.bandwidth_fraction)
    np.testing.assert_array_equal(first.pruning_ratio, second.pruning_ratio)


def test_the_problem_is_left_as_it_was(allocator):
    p = scenario_s()
    before = scenario_s()
    allocator.solve(p)
    for field in dataclasses.fields(p):
        np.testing.assert_array_equal(getattr(p, field.name), getattr(before, field.name))
