"""`joint` and `min-energy` in a run: the cell obeys their frequencies, no client exceeds a budget."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.cells import fading, make_case
from helpers.cli import call
from helpers.joint import least_energy_by_slsqp, most_kept_by_slsqp

from optimizers import JointProblem, solve
from optimizers.joint import Joint
from optimizers.min_energy import MinEnergy
from studies.presets import scenario_tables
from studies.views.simulation.simulation import simulate
from studies.views.whatif.vary import Vary
from studies.views.whatif.whatif import Sweep
from wirelessfl.border import gate
from wirelessfl.cell import cell
from wirelessfl.config.scenario_file import from_tables, merge
from wirelessfl.errors import InputError
from wirelessfl.planning import allocation_problem

ROUNDING = 1 + 1e-9
BUDGET_J = 0.02


def tables(method="joint", **allocation):
    """The digits preset with five rounds of its cell."""
    changes = {
        "allocation": {"method": method, "max_pruning_ratio": 1.0, **allocation},
        "run": {"train": False, "rounds": 5},
    }
    return merge(scenario_tables("digits"), changes)


def case(seed, clients=4):
    scenario, channel, demand = make_case(seed, clients)
    scenario = replace(scenario, cycles_per_weight=200.0, transmit_power_w=0.4)
    demand = replace(demand, fixed_upload_bits=np.zeros(clients))
    return scenario, channel, demand, allocation_problem(scenario, channel, demand)


@pytest.mark.parametrize("method", ["joint", "min-energy"])
@pytest.mark.parametrize("cell_options", [{}, {"coherence_s": 1.0}, {"cpu": "dvfs"}])
def test_the_cell_obeys_the_frequencies(method, cell_options):
    """By timeouts, by events, and under frequency scaling: planned latencies, planned energies."""
    scenario, channel, demand, _ = case(3)
    parts = {"medium" if "coherence_s" in cell_options else "processor": cell_options}
    for part, options in parts.items():
        scenario = replace(scenario, **{part: replace(getattr(scenario, part), **options)})
    channel = replace(channel, block_gain=lambda block: channel.gain)
    problem = allocation_problem(scenario, channel, demand)
    allocator = (
        Joint(energy_budget_j=BUDGET_J) if method == "joint" else MinEnergy(pruning_ratio=0.8)
    )
    planned = gate.solve(allocator, problem)
    timing = cell.simulate(scenario, channel, demand, planned)
    cycles = problem.costs.cycles(planned.kept_fraction)
    np.testing.assert_allclose(timing.compute_s, cycles / planned.cpu_hz, rtol=1e-9)
    np.testing.assert_allclose(timing.finish_s, planned.latency_s, rtol=1e-9)
    assert np.all(timing.finish_s <= scenario.deadline_s * ROUNDING)
    upload_s = timing.upload_s
    energy_j = 1e-28 * cycles * planned.cpu_hz**2 + 0.4 * upload_s
    np.testing.assert_allclose(timing.energy_j, energy_j, rtol=1e-9)
    assert np.any(planned.cpu_hz < 0.99 * scenario.per_client("cpu_hz"))
    if method == "joint":
        assert np.all(timing.energy_j <= BUDGET_J * ROUNDING)


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_no_search_over_bands_ratios_and_frequencies_keeps_more(seed):
    """SLSQP on the raw variables finds no better kept weight, and no cheaper round."""
    _, _, _, problem = case(seed, clients=3)
    joint = JointProblem.of_problem(problem, energy_budget_j=BUDGET_J)
    found = Joint(energy_budget_j=BUDGET_J).solve(problem)
    rng = np.random.default_rng(seed)
    assert found.kept_fraction.sum() == pytest.approx(most_kept_by_slsqp(joint, rng), abs=1e-6)
    cheap = MinEnergy(pruning_ratio=0.9).solve(problem)
    unlimited = JointProblem.of_problem(problem)
    upload_s = 0.1 * unlimited.upload_s / cheap.bandwidth_fraction
    found_j = unlimited.energy_j(cheap.kept_fraction, upload_s).sum()
    reference_j = least_energy_by_slsqp(unlimited, np.full(3, 0.1), rng)
    assert found_j == pytest.approx(reference_j, rel=1e-5)


def test_every_round_is_within_the_budget_and_without_one_the_ratios_are_those_of_exact():
    limited = simulate(from_tables(tables(energy_budget_j=BUDGET_J)))
    assert np.all(limited.columns["energy_j"] <= BUDGET_J * ROUNDING)
    assert not limited.missed.any()
    free, exact = (simulate(from_tables(tables(method))) for method in ("joint", "exact"))
    np.testing.assert_allclose(
        free.columns["pruning_ratio"], exact.columns["pruning_ratio"], atol=1e-6
    )
    assert limited.columns["pruning_ratio"].mean() > free.columns["pruning_ratio"].mean()
    assert np.any(free.columns["energy_j"] > BUDGET_J)


def test_the_optimum_is_certified_against_all_answers_within_the_budgets(capsys, monkeypatch):
    options = ("--method", "joint", "--set", "allocation.energy_budget_j=0.02")
    found = call(capsys, monkeypatch, "allocate", *options, "--json").json()
    assert found["certificate"]["duality_gap"] < 1e-12
    assert found["certificate"]["primal_residual"] < 1e-9
    assert 3e8 <= min(found["cpu_hz"]) <= max(found["cpu_hz"]) < 3e9
    printed = call(capsys, monkeypatch, "allocate", *options).out
    assert "certificate: primal residual" in printed
    assert "CPU GHz" in printed
    plain = Joint().certificate(replace(case(1)[3], costs=None))
    assert plain.duality_gap < 1e-12


def test_spare_band_and_time_save_energy_at_the_same_ratios():
    roomy = {"scenario": {"deadline_s": 0.2}}
    free, exact = (
        simulate(from_tables(merge(tables(method), roomy))).columns for method in ("joint", "exact")
    )
    assert np.all(free["pruning_ratio"] == 0)
    assert free["energy_j"].sum() < 0.7 * exact["energy_j"].sum()


def test_what_if_and_the_cell_give_one_energy():
    """The energy-latency front by `whatif` is that of simulated rounds, and falls with latency."""
    vary = Vary.parse("scenario.deadline_s=20ms,30ms,40ms")
    given = tables("min-energy", pruning_ratio=0.85)
    front = Sweep(given, [vary], draws=5).run().mean("energy_j")
    for energy_j, deadline_s in zip(front, vary.values, strict=True):
        given["scenario"]["deadline_s"] = float(deadline_s)
        rounds = simulate(from_tables(given)).columns["energy_j"]
        assert energy_j == pytest.approx(rounds.sum(axis=1).mean(), rel=1e-9)
    assert np.all(np.diff(front) < 0)
    given = tables(energy_budget_j=0.01)
    budgets = Sweep(given, [Vary.parse("allocation.energy_budget_j=0.01,0.02,0.04")], draws=5).run()
    assert np.all(np.diff(budgets.mean("mean_ratio")) < 0)
    assert np.all(budgets.mean("energy_j") <= 10 * np.array([0.01, 0.02, 0.04]) * ROUNDING)


def test_some_clients_take_part_and_one_cannot_pay_for_its_fixed_work():
    given = tables(energy_budget_j=BUDGET_J)
    given["run"]["participants"] = 3
    chosen = simulate(from_tables(given))
    assert np.all(chosen.columns["energy_j"] <= BUDGET_J * ROUNDING)
    _, _, _, problem = case(1)
    budget_j = np.full(4, 1.0)
    least_j = 1e-28 * problem.costs.fixed_cycles * problem.costs.cpu_min_hz**2
    budget_j[2] = 0.5 * least_j[2]
    found = solve(problem, Joint(energy_budget_j=tuple(budget_j)))
    assert found.status[2] == "left out"
    assert "client 2: left out" in found.reason
    assert found.bandwidth_fraction[2] == 0


@pytest.mark.parametrize(
    ("allocator", "message"),
    [
        (lambda: Joint(energy_budget_j=0.0), "energy_budget_j must be above 0, got 0"),
        (lambda: Joint(energy_budget_j=(1.0, 2.0)), "energy_budget_j must be 1 number or 4"),
        (lambda: MinEnergy(pruning_ratio=1.5), "pruning_ratio must be"),
    ],
)
def test_wrong_settings_are_one_line(allocator, message):
    with pytest.raises(InputError, match=message):
        allocator().solve(case(1)[3])


def test_problems_that_are_not_joint_are_refused_in_one_line():
    scenario, channel, demand, problem = case(1)
    limited = Joint(energy_budget_j=1.0)
    dense = allocation_problem(replace(scenario, noise_figure_db=7.0), channel, demand)
    with pytest.raises(InputError, match="noise_power_w must be the noise of a joint problem"):
        limited.solve(dense)
    with pytest.raises(InputError, match="costs must be given for a joint problem, got None"):
        limited.solve(replace(problem, costs=None))
    bits = replace(demand, fixed_upload_bits=np.full(4, 1e3))
    with pytest.raises(InputError, match="fixed_upload_bits must be 0 for a joint problem"):
        limited.solve(allocation_problem(scenario, fading(1, 4), bits))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hz: 2 * hz, "cpu_hz must be within"),
        (lambda hz: hz[:2], "cpu_hz must be a float64 array"),
    ],
)
def test_frequencies_of_a_plug_in_are_checked(change, message):
    problem = case(1)[3]

    class WrongFrequencies:
        def solve(self, problem):
            found = Joint().solve(problem)
            return replace(found, cpu_hz=change(found.cpu_hz))

    with pytest.raises(InputError, match=message):
        gate.solve(WrongFrequencies(), problem)
