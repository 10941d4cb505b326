"""Bands, ratios and frequencies together: against raw variables, against `exact`, prices,
degenerate cells.
"""

import numpy as np
import pytest
from helpers.joint import (
    best_kept,
    changed,
    client_subset,
    joint_problem,
    kept_weight,
    limits,
    most_kept_by_slsqp,
)

from optimizers import AllocationProblem, JointProblem, solve, solve_joint
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.interface import client_fields
from wirelessfl.cell import cell
from wirelessfl.errors import InputError
from wirelessfl.values import ChannelState, Demand, Scenario


def check_feasible(a, tolerance=1e-9):
    served, p = a.status != "infeasible", a.problem
    assert np.all(a.latency_s[served] <= p.deadline_s[served] * (1 + tolerance))
    assert np.all(a.energy_j[served] <= p.energy_budget_j[served] * (1 + tolerance))
    assert np.all(a.bandwidth_fraction.sum(axis=-1) <= 1 + 1e-15 * p.shape[-1])
    assert np.all((a.cpu_hz >= p.cpu_min_hz) & (a.cpu_hz <= p.cpu_max_hz))
    assert np.all((a.pruning_ratio >= 0) & (a.pruning_ratio <= 1))
    assert np.all(a.duality_gap <= 1e-12 * np.maximum(p.weight.sum(axis=-1), 1e-300))


@pytest.mark.parametrize("seed", range(8))
def test_slsqp_on_the_raw_variables_finds_the_same_optimum(seed):
    rng = np.random.default_rng(seed)
    p = joint_problem(rng, int(rng.integers(1, 5)))
    a = solve_joint(p)
    check_feasible(a)
    assert most_kept_by_slsqp(p, rng) == pytest.approx(
        kept_weight(p, a.pruning_ratio), abs=1e-6 * p.weight.sum()
    )


def test_the_raw_limits_hold_and_all_three_kinds_bind():
    p = joint_problem(np.random.default_rng(1), 8)
    a = solve_joint(p)
    left = limits(p, 1 - a.pruning_ratio, np.maximum(a.bandwidth_fraction, 1e-300), a.cpu_hz)
    assert left.min() >= -1e-12
    assert (np.abs(left[:8]) < 1e-12).any()
    assert (np.abs(left[8:16]) < 1e-12).any()
    assert abs(left[16]) < 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_no_random_feasible_point_is_better(seed):
    rng = np.random.default_rng(100 + seed)
    p = joint_problem(rng, 4)
    best = kept_weight(p, solve_joint(p).pruning_ratio)
    band = rng.dirichlet(np.full(4, 0.7), 20_000)
    cpu_hz = rng.uniform(p.cpu_min_hz, p.cpu_max_hz, (20_000, 4))
    kept = best_kept(p, band, cpu_hz)
    values = kept_weight(p, 1 - kept)
    assert np.nanmax(values) <= best * (1 + 1e-12)
    assert np.nanmax(values) >= 0.7 * best


def test_a_fine_grid_of_two_clients_comes_close_from_below():
    p = joint_problem(np.random.default_rng(7), 2)
    share = np.linspace(0.001, 0.999, 999)[:, None]
    cpu_hz = np.linspace(p.cpu_min_hz, p.cpu_max_hz, 801)[:, None, :]
    kept = best_kept(p, np.concatenate([share, 1 - share], axis=1), cpu_hz)
    grid = kept_weight(p, 1 - np.nanmax(kept, axis=0)).max()
    best = kept_weight(p, solve_joint(p).pruning_ratio)
    assert best * (1 - 1e-3) <= grid <= best * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_with_energy_to_spare_and_one_frequency_it_is_the_exact_solver(seed):
    rng = np.random.default_rng(seed)
    p = joint_problem(
        rng,
        8,
        energy_budget_j=np.inf,
        cpu_min_hz=3e9,
        cpu_max_hz=3e9,
        fixed_s=0.001,
        prunable_s=0.002,
    )
    plain = AllocationProblem(
        deadline_s=p.deadline_s,
        fixed_s=p.fixed_s + p.fixed_cycles / 3e9,
        prunable_s=p.prunable_s + p.prunable_cycles / 3e9,
        upload_bits=p.upload_bits,
        rate_bps=p.rate_bps,
        weight=p.weight,
    )
    a, b = solve_joint(p), solve(plain)
    np.testing.assert_allclose(a.pruning_ratio, b.pruning_ratio, atol=1e-12)
    np.testing.assert_allclose(a.bandwidth_fraction, b.bandwidth_fraction, atol=1e-12)
    assert a.bandwidth_price == pytest.approx(b.bandwidth_price, rel=1e-9)
    assert a.deadline_price == pytest.approx(b.deadline_price, rel=1e-7)


def test_caps_are_kept_like_the_exact_solver_keeps_them():
    p = joint_problem(
        np.random.default_rng(3),
        6,
        energy_budget_j=np.inf,
        cpu_min_hz=3e9,
        cpu_max_hz=3e9,
        max_pruning_ratio=0.9,
    )
    plain = AllocationProblem(
        deadline_s=p.deadline_s,
        fixed_s=p.fixed_cycles / 3e9,
        prunable_s=p.prunable_cycles / 3e9,
        upload_bits=p.upload_bits,
        rate_bps=p.rate_bps,
        weight=p.weight,
        max_pruning_ratio=0.9,
    )
    a, b = solve_joint(p), solve(plain)
    assert "capped" in a.status
    np.testing.assert_array_equal(a.status, b.status)
    np.testing.assert_allclose(a.pruning_ratio, b.pruning_ratio, atol=1e-12)


def derivative(p, field, relative=1e-5, client=None):
    """d(sum w x)/d(field) by central differences."""
    value = getattr(p, field)
    step = np.zeros(p.shape)
    step[... if client is None else client] = relative * np.max(
        value if client is None else value[client]
    )
    up, down = (
        solve_joint(changed(p, **{field: value + sign * step})).pruning_ratio for sign in (1, -1)
    )
    return (kept_weight(p, up) - kept_weight(p, down)) / (2 * step.max())


@pytest.mark.parametrize("seed", range(6))
def test_prices_are_derivatives(seed):
    p = joint_problem(np.random.default_rng(200 + seed), 5)
    a = solve_joint(p)
    assert a.bandwidth_price > 0
    assert derivative(p, "deadline_s") == pytest.approx(a.deadline_price, rel=1e-6)
    more, less = (
        kept_weight(p, solve_joint(changed(p, rate_bps=p.rate_bps * f)).pruning_ratio)
        for f in (1.00001, 0.99999)
    )
    assert (more - less) / 2e-5 == pytest.approx(a.bandwidth_price, rel=1e-6)
    for client in range(5):
        found = derivative(p, "energy_budget_j", client=client)
        assert found == pytest.approx(a.energy_price[client], rel=1e-6, abs=1e-6)


def test_who_uploads_nothing_has_a_price_of_time_too():
    p = joint_problem(np.random.default_rng(0), 2, upload_bits=0.0, prunable_cycles=2e8)
    a = solve_joint(p)
    assert np.all((a.pruning_ratio > 0) & (a.bandwidth_fraction == 0))
    assert a.bandwidth_price == 0
    assert derivative(p, "deadline_s") == pytest.approx(a.deadline_price, rel=1e-6)


CELLS = {
    "no energy": {"energy_budget_j": np.array([0.0, 0.02, 0.0, 0.02, 0.0])},
    "computing is free": {"capacitance": 0.0},
    "weight 0": {"weight": np.array([0.0, 1.0, 0.0, 1.0, 0.0])},
    "all weights 0": {"weight": 0.0},
    "rate 0": {"rate_bps": np.array([0.0, 1e8, 0.0, 1e8, 1e8])},
    "bits 0": {"upload_bits": np.array([0.0, 4e5, 0.0, 4e5, 4e5])},
    "no cycles": {"fixed_cycles": 0.0, "prunable_cycles": 0.0},
    "linear and tied": {
        "prunable_cycles": 0.0,
        "fixed_cycles": 1e7,
        "upload_bits": 8e5,
        "rate_bps": 1e8,
        "energy_budget_j": np.inf,
        "weight": 1.0,
    },
    "late": {"fixed_cycles": np.array([1e9, 1e7, 1e9, 1e7, 1e7])},
    "scarce band": {"upload_bits": 1e10},
    "spare band": {"upload_bits": 100.0},
    "caps clash": {"max_pruning_ratio": 0.1},
    "waiting beyond the deadline": {"prunable_s": 1.0},
    "any frequency": {"cpu_min_hz": 1e3, "cpu_max_hz": 1e12},
    "one frequency": {"cpu_min_hz": 2e9, "cpu_max_hz": 2e9},
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("clients", [1, 5])
def test_degenerate_cells_have_an_optimum(name, clients):
    changes = {
        field: value if np.ndim(value) == 0 else value[:clients]
        for field, value in CELLS[name].items()
    }
    a = solve_joint(joint_problem(np.random.default_rng(11), clients, **changes))
    check_feasible(a)
    for price in (a.bandwidth_price, a.deadline_price, a.energy_price):
        assert np.all(np.isfinite(price))
        assert np.all(price >= 0)


def test_who_fails_and_why_is_said():
    p = joint_problem(np.random.default_rng(11), 5, **CELLS["late"])
    a = solve_joint(p)
    np.testing.assert_array_equal((a.status == "infeasible")[[0, 2]], True)
    assert "misses the deadline by" in a.reason[0]
    assert (a.pruning_ratio[0], a.bandwidth_fraction[0]) == (1.0, 0.0)
    poor = solve_joint(joint_problem(np.random.default_rng(11), 5, **CELLS["no energy"]))
    assert "exceeds its energy budget by" in poor.reason[2]
    assert poor.reason[1] == ""
    clash = solve_joint(joint_problem(np.random.default_rng(11), 5, **CELLS["caps clash"]))
    assert "max_pruning_ratio cannot be kept" in set(clash.reason)


def test_a_batch_is_its_problems_and_permuting_clients_permutes_the_answer():
    rng = np.random.default_rng(5)
    p = joint_problem(rng, 4, rate_bps=rng.uniform(5e7, 2.5e8, (2, 3, 4)))
    a = solve_joint(p)
    assert a.bandwidth_price.shape == a.deadline_price.shape == a.duality_gap.shape == (2, 3)
    order = np.array([2, 0, 3, 1])
    permuted = solve_joint(client_subset(p, order))
    np.testing.assert_allclose(permuted.pruning_ratio, a.pruning_ratio[..., order], atol=1e-12)
    one = solve_joint(JointProblem(**{name: getattr(p, name)[1, 2] for name in client_fields(p)}))
    np.testing.assert_allclose(one.pruning_ratio, a.pruning_ratio[1, 2], atol=1e-12)
    assert one.bandwidth_price == pytest.approx(a.bandwidth_price[1, 2], rel=1e-9)


@pytest.mark.parametrize(
    ("field", "factor"),
    [
        ("deadline_s", 1.1),
        ("rate_bps", 1.1),
        ("energy_budget_j", 1.1),
        ("cpu_max_hz", 1.1),
        ("cpu_min_hz", 0.5),
    ],
)
def test_more_of_anything_never_raises_the_optimum(field, factor):
    for seed in range(5):
        p = joint_problem(np.random.default_rng(seed), 4)
        less, more = (
            kept_weight(q, solve_joint(q).pruning_ratio)
            for q in (p, changed(p, **{field: getattr(p, field) * factor}))
        )
        assert more >= less - 1e-12


def test_the_simulated_cell_agrees_with_a_joint_allocation():
    scenario = Scenario(clients=4, cpu_hz=3e9, downlink_rate_bps=1e9)
    channel = ChannelState.perfect_csi(np.array([5e-11, 2e-11, 1e-11, 5e-12]))
    demand = Demand.same_for_all(
        4,
        fixed_updates=43_000,
        prunable_updates=82_800,
        fixed_upload_bits=0,
        prunable_upload_bits=530_000,
        fixed_download_bits=100_000,
        prunable_download_bits=530_000,
    )
    a = solve_joint(
        JointProblem.of(scenario, channel, demand, cpu_min_hz=5e8, energy_budget_j=0.02)
    )
    assert set(a.status) == {"active"}
    told = AllocationProblem(
        deadline_s=scenario.deadline_s, fixed_s=0, prunable_s=np.zeros(4), upload_bits=0, rate_bps=1
    )
    timing = cell.simulate(
        Scenario(clients=4, cpu_hz=tuple(a.cpu_hz), downlink_rate_bps=1e9),
        channel,
        demand,
        Allocation(
            problem=told,
            bandwidth_fraction=a.bandwidth_fraction,
            pruning_ratio=a.pruning_ratio,
            bandwidth_price=a.bandwidth_price,
            deadline_price=a.deadline_price,
        ),
    )
    np.testing.assert_allclose(timing.finish_s, a.latency_s, rtol=1e-12)
    np.testing.assert_allclose(timing.energy_j, a.energy_j, rtol=1e-12)
    assert timing.delivered.all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"power_w": 0.0}, "power_w must be above 0, got 0"),
        ({"cpu_min_hz": 5e9}, "cpu_min_hz must be at most cpu_max_hz, got 5e"),
        ({"energy_budget_j": np.nan}, "energy_budget_j must be finite, got nan"),
        ({"energy_budget_j": -1.0}, "energy_budget_j must be at least 0, got -1"),
        ({"rate_bps": np.inf}, "rate_bps must be finite, got inf"),
        ({"max_pruning_ratio": 1.5}, "max_pruning_ratio must be at most 1, got 1.5"),
        ({"weight": "much"}, "weight must be a number or an array of numbers, got 'much'"),
        ({"weight": np.ones(3)}, "shapes must broadcast"),
        ({"weight": np.ones((2, 0))}, "shapes must broadcast"),
    ],
)
def test_bad_input_is_one_line(changes, message):
    with pytest.raises(InputError, match=message):
        joint_problem(np.random.default_rng(0), 2, **changes)


def test_fixed_upload_bits_are_refused():
    demand = Demand.same_for_all(
        1, fixed_updates=1, prunable_updates=1, fixed_upload_bits=8, prunable_upload_bits=8
    )
    with pytest.raises(InputError, match="fixed_upload_bits must be 0 for a joint problem, got 8"):
        JointProblem.of(
            Scenario(clients=1), ChannelState.perfect_csi(np.ones(1)), demand, cpu_min_hz=1e9
        )


def test_a_noise_density_is_refused():
    demand = Demand.same_for_all(
        1, fixed_updates=1, prunable_updates=1, fixed_upload_bits=0, prunable_upload_bits=8
    )
    scenario = Scenario(clients=1, noise_psd_w_per_hz=1e-20)
    with pytest.raises(
        InputError, match="noise_psd_w_per_hz must not be given for a joint problem, got 1e-20"
    ):
        JointProblem.of(scenario, ChannelState.perfect_csi(np.ones(1)), demand, cpu_min_hz=1e9)


@pytest.mark.slow
def test_newtons_method_finds_what_nested_bracketing_finds(monkeypatch):
    rng = np.random.default_rng(9)
    kinds = [
        {},
        {"max_pruning_ratio": 0.7},
        {"prunable_cycles": 0.0, "fixed_s": 0.001, "prunable_s": 0.002},
    ]
    for number in range(30):
        p = joint_problem(rng, int(rng.integers(1, 12)), **kinds[number % 3])
        fast = solve_joint(p)
        with monkeypatch.context() as patch:
            for module in ("solve", "curve"):
                patch.setattr(f"optimizers._joint.{module}.numba_is_there", lambda: False)
            slow = solve_joint(p)
        scale = p.weight.sum()
        assert abs(kept_weight(p, fast.pruning_ratio) - kept_weight(p, slow.pruning_ratio)) <= (
            1e-12 * scale
        )
        assert fast.bandwidth_price == pytest.approx(slow.bandwidth_price, rel=1e-9)
        assert fast.duality_gap <= 1e-12 * scale
