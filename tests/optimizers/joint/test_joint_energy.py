"""The cheapest round at given ratios: against raw variables, prices, and rounds that cannot be."""

import numpy as np
import pytest
from helpers.joint import changed, joint_problem, least_energy_by_slsqp, limits

from optimizers import minimise_energy, solve_joint
from wirelessfl.allocation.interface import client_fields
from wirelessfl.errors import InputError


def cell_and_ratio(seed, clients=4, **changes):
    """A cell and ratios that it can keep, with room to save energy."""
    rng = np.random.default_rng(seed)
    p = joint_problem(rng, clients, **changes)
    kept = 1 - solve_joint(p).pruning_ratio
    return p, 1 - kept * rng.uniform(0.5, 0.95, clients)


@pytest.mark.parametrize("seed", range(6))
def test_slsqp_on_the_raw_variables_finds_the_same_energy(seed):
    p, ratio = cell_and_ratio(seed, 3)
    a = minimise_energy(p, ratio)
    assert limits(p, 1 - ratio, np.maximum(a.bandwidth_fraction, 1e-300), a.cpu_hz).min() >= -1e-12
    assert a.duality_gap <= 1e-12
    reference = least_energy_by_slsqp(p, 1 - ratio, np.random.default_rng(seed))
    assert a.energy_j.sum() == pytest.approx(reference, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_no_random_feasible_point_is_cheaper(seed):
    p, ratio = cell_and_ratio(50 + seed)
    best_j = minimise_energy(p, ratio).energy_j.sum()
    rng = np.random.default_rng(seed)
    band, cpu_hz = (
        rng.dirichlet(np.full(4, 3.0), 20_000),
        rng.uniform(p.cpu_min_hz, p.cpu_max_hz, (20_000, 4)),
    )
    kept, cycles = 1 - ratio, p.cycles(1 - ratio)
    upload_s = kept * p.upload_s / band
    energy_j = p.capacitance * cycles * cpu_hz**2 + p.power_w * upload_s
    allowed = np.all(
        (cycles / cpu_hz + upload_s <= p.deadline_s) & (energy_j <= p.energy_budget_j), axis=-1
    )
    assert allowed.any()
    assert energy_j.sum(axis=-1)[allowed].min() >= best_j * (1 - 1e-12)


def test_the_joint_optimum_leaves_nothing_to_save_where_its_budgets_bind():
    p = joint_problem(np.random.default_rng(1), 6)
    a = solve_joint(p)
    cheapest = minimise_energy(p, a.pruning_ratio)
    assert cheapest.energy_j.sum() == pytest.approx(a.energy_j.sum(), rel=1e-9)
    lavish = solve_joint(
        changed(p, upload_bits=p.upload_bits / 10, prunable_cycles=p.prunable_cycles / 10)
    )
    assert np.all(lavish.status == "unpruned")
    assert (
        minimise_energy(lavish.problem, lavish.pruning_ratio).energy_j.sum()
        < 0.99 * lavish.energy_j.sum()
    )


@pytest.mark.parametrize("seed", range(6))
def test_prices_are_derivatives(seed):
    p, ratio = cell_and_ratio(300 + seed, 5)
    a = minimise_energy(p, ratio)

    def saved(field, client=...):
        value = getattr(p, field)
        step = np.zeros(p.shape)
        step[client] = 1e-5 * np.max(value[client])
        up, down = (
            minimise_energy(changed(p, **{field: value + sign * step}), ratio) for sign in (1, -1)
        )
        return (down.energy_j.sum() - up.energy_j.sum()) / (2 * step.max())

    assert saved("deadline_s") == pytest.approx(a.deadline_price, rel=1e-6)
    more, less = (
        minimise_energy(changed(p, rate_bps=p.rate_bps * f), ratio) for f in (1.00001, 0.99999)
    )
    assert (less.energy_j.sum() - more.energy_j.sum()) / 2e-5 == pytest.approx(
        a.bandwidth_price, rel=1e-6
    )
    for client in range(5):
        assert saved("energy_budget_j", client) == pytest.approx(
            a.energy_price[client], rel=1e-5, abs=1e-7
        )


def test_a_budget_that_binds_has_a_price():
    p, ratio = cell_and_ratio(2, 4)
    free = minimise_energy(changed(p, energy_budget_j=np.inf), ratio)
    assert np.all(free.energy_price == 0)
    budget_j = np.where(np.arange(4) == np.argmax(free.energy_j), 0.9 * free.energy_j, np.inf)
    bound = minimise_energy(changed(p, energy_budget_j=budget_j), ratio)
    k = np.argmax(bound.energy_price)
    assert bound.energy_price[k] > 0
    assert bound.energy_j[k] == pytest.approx(budget_j[k], rel=1e-9)
    more, less = (
        minimise_energy(changed(p, energy_budget_j=budget_j * f), ratio).energy_j.sum()
        for f in (1.00001, 0.99999)
    )
    assert (less - more) / (2e-5 * budget_j[k]) == pytest.approx(bound.energy_price[k], rel=1e-5)


def test_more_time_or_band_never_costs_energy():
    for seed in range(4):
        p, ratio = cell_and_ratio(seed)
        base_j = minimise_energy(p, ratio).energy_j.sum()
        for field in ("deadline_s", "rate_bps", "cpu_max_hz"):
            assert minimise_energy(
                changed(p, **{field: getattr(p, field) * 1.1}), ratio
            ).energy_j.sum() <= base_j * (1 + 1e-12)


def test_a_round_that_cannot_be_says_who_fails():
    p = joint_problem(np.random.default_rng(4), 4)
    a = minimise_energy(p, 0.0)
    assert a.duality_gap == np.inf
    assert a.bandwidth_fraction.sum() <= 1 + 1e-12
    assert "infeasible" in a.status
    assert "by" in a.reason[a.status == "infeasible"][0]
    silent = minimise_energy(changed(p, rate_bps=np.array([0.0, 2e8, 2e8, 2e8])), 0.9)
    assert (silent.status[0], silent.upload_s[0], silent.bandwidth_fraction[0]) == (
        "infeasible",
        np.inf,
        0.0,
    )


def test_batches_and_rounds_without_uploads():
    rng = np.random.default_rng(0)
    p = joint_problem(rng, 3, rate_bps=rng.uniform(1e8, 2e8, (2, 3)), energy_budget_j=np.inf)
    a = minimise_energy(p, 0.8)
    second = {name: getattr(p, name)[1] for name in client_fields(p)}
    one = minimise_energy(changed(p, **second), 0.8)
    np.testing.assert_allclose(a.bandwidth_fraction[1], one.bandwidth_fraction, atol=1e-12)
    idle = minimise_energy(p, 1.0)
    assert np.all(idle.bandwidth_fraction == 0)
    assert np.all(idle.bandwidth_price == 0)
    assert np.all(idle.status == "starved")


@pytest.mark.parametrize(
    ("ratio", "message"),
    [
        (1.5, r"pruning_ratio must be within \[0, 1\], got 1.5"),
        ([0.1, np.nan, 0.1], r"pruning_ratio must be within \[0, 1\], got nan"),
        ([0.1, 0.2], "pruning_ratio must be a number or an array"),
        ("much", "pruning_ratio must be a number or an array"),
    ],
)
def test_bad_ratios_are_one_line(ratio, message):
    with pytest.raises(InputError, match=message):
        minimise_energy(joint_problem(np.random.default_rng(0), 3), ratio)
