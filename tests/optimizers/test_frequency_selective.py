"""Blocks that differ between clients against brute force; packet errors in the objective."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from optimizers import AllocationProblem, assign_blocks, least_expected_loss, share_blocks
from optimizers.packet_errors import PacketErrors
from studies.presets import scenario_tables
from studies.views.simulation.simulation import simulate
from wirelessfl.config.scenario_file import from_tables, merge
from wirelessfl.errors import InputError


def random_case(seed, most_blocks=7):
    rng = np.random.default_rng(seed)
    clients, blocks = int(rng.integers(2, 4)), int(rng.integers(2, most_blocks))
    problem = AllocationProblem(
        deadline_s=1.0,
        fixed_s=rng.uniform(0, 1.2, clients) * (rng.random(clients) < 0.7),
        prunable_s=rng.uniform(0, 1.0, clients) * (rng.random(clients) < 0.8),
        upload_bits=rng.uniform(0.2, 3.0, clients),
        rate_bps=1.0,
        weight=rng.uniform(0.2, 2.0, clients),
    )
    return problem, rng.exponential(0.4, (clients, blocks))


def kept_by_hand(problem, rate):
    """Kept fractions at the rates of the clients, plain floats."""
    kept = []
    for k, bps in enumerate(rate):
        slack_s = float(problem.slack_s[k])
        work = float(problem.prunable_s[k]) * bps + float(problem.upload_bits[k])
        kept.append(0.0 if slack_s < 0 else min(1.0, slack_s * bps / work))
    return np.array(kept)


def test_no_assignment_passes_the_bound_and_nearly_all_answers_are_optimal():
    """All assignments of 30 small problems; the gap that is stated is never too small."""
    optimal = 0
    for seed in range(30):
        problem, rate = random_case(seed)
        found = share_blocks(problem, rate)
        clients, blocks = rate.shape
        best = max(
            float(
                problem.weight
                @ kept_by_hand(
                    problem,
                    [rate[k, [owner == k for owner in owners]].sum() for k in range(clients)],
                )
            )
            for owners in itertools.product(range(clients), repeat=blocks)
        )
        assert found.value <= best + 1e-9
        assert best <= found.bound + 1e-9
        assert best - found.value <= found.gap * found.bound + 1e-9
        optimal += best - found.value < 1e-9
        rates = [rate[k, found.client == k].sum() for k in range(clients)]
        np.testing.assert_allclose(found.rate_bps, rates)
        np.testing.assert_allclose(found.kept_fraction, kept_by_hand(problem, rates))
    assert optimal >= 27


def test_a_carrier_of_106_blocks_is_shared_within_a_thousandth():
    rng = np.random.default_rng(3)
    power = np.exp(rng.normal(2.0, 0.7, (5, 1))) * rng.exponential(1.0, (5, 106))
    problem = AllocationProblem(
        deadline_s=0.025, fixed_s=0.005, prunable_s=0.010, upload_bits=5e5, rate_bps=1.0
    )
    problem = replace(problem, weight=np.ones(5))
    found = share_blocks(problem, 180e3 * np.log2(1.0 + power))
    assert found.gap < 1e-3
    assert set(found.client) <= set(range(5))


def test_equal_blocks_and_one_client_are_trivial():
    problem, _ = random_case(5)
    one = replace(problem, fixed_s=0.0, prunable_s=0.1, upload_bits=100.0)
    even = share_blocks(one, np.ones((one.shape[0], 4)))
    assert even.gap < 1e-5
    silent = share_blocks(one, np.zeros((one.shape[0], 3)))
    assert silent.value == 0.0
    assert silent.gap == 0.0


@pytest.mark.parametrize(
    ("change", "rate", "message"),
    [
        ({}, np.ones((2, 2)), "block_rate_bps must have shape"),
        ({}, -np.ones((3, 2)), "block_rate_bps must be finite and at least 0, got -1"),
        ({"fixed_upload_bits": 1.0}, np.ones((3, 2)), "fixed_upload_bits must be 0"),
        ({"max_pruning_ratio": 0.9}, np.ones((3, 2)), "max_pruning_ratio must be 1"),
    ],
)
def test_other_problems_are_refused_in_one_line(change, rate, message):
    given = {"deadline_s": 1.0, "fixed_s": 0.0, "prunable_s": 0.1, "upload_bits": 1.0}
    problem = AllocationProblem(**(given | change), rate_bps=np.ones(3))
    with pytest.raises(InputError, match=message):
        share_blocks(problem, rate)


def test_the_expected_loss_is_the_least_of_all_selections_and_blocks():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        clients, blocks = int(rng.integers(1, 5)), int(rng.integers(1, 5))
        samples = rng.integers(0, 100, clients).astype(float)
        loss = rng.uniform(0, 1, (clients, blocks)).round(1)
        possible = rng.random((clients, blocks)) < 0.7
        block, lost = least_expected_loss(samples, loss, possible)
        best = np.inf
        for chosen in itertools.product(range(-1, blocks), repeat=clients):
            used = [n for n in chosen if n >= 0]
            if len(set(used)) < len(used):
                continue
            if not all(possible[k, n] for k, n in enumerate(chosen) if n >= 0):
                continue
            total = sum(samples[k] * (1.0 if n < 0 else loss[k, n]) for k, n in enumerate(chosen))
            best = min(best, total)
        assert lost == pytest.approx(best, abs=1e-9)
        assert all(possible[k, n] for k, n in enumerate(block) if n >= 0)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (np.ones((2, 2)), "loss must have shape"),
        (2 * np.ones((3, 2)), "loss must be within 0 and 1, got 2"),
    ],
)
def test_wrong_losses_are_one_line(loss, message):
    with pytest.raises(InputError, match=message):
        least_expected_loss([1, 2, 3], loss)


@pytest.mark.parametrize("noise", [{}, {"noise_figure_db": 3.0}])
def test_simulated_losses_are_those_of_the_objective(noise):
    """One packet sent once under a static channel: lost weight of 200 rounds, and of no others."""
    rounds, weight = 200, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    changes = {
        "scenario": {
            "clients": 6,
            "deadline_s": 0.3,
            "distance_range_m": [300.0, 900.0],
            "weight": weight,
            "packet_error": "waterfall",
            "waterfall_threshold": 3.0,
            "packet_bits": 1e9,
            "max_transmissions": 1,
            "deadline_policy": "drop",
            **noise,
        },
        "channel": {"model": "static"},
        "allocation": {"method": "packet-errors", "blocks": 4, "pruning_ratio": 0.5},
        "run": {"train": False, "rounds": rounds},
    }
    tables = merge(scenario_tables("digits"), changes)
    tables["allocation"].pop("max_pruning_ratio")
    experiment = from_tables(tables)
    found = simulate(experiment).columns
    takes_part = found["pruning_ratio"][0] < 1
    assert takes_part.sum() == 4
    from wirelessfl.border import gate
    from wirelessfl.planning import plan

    demand = gate.first_demand(experiment.algorithm, 6)
    planned = plan(experiment, demand)
    q = PacketErrors(blocks=4).loss(planned.problem)
    assert np.any((q > 0.05) & takes_part)
    expected = weight @ np.where(takes_part, q, 1.0)
    others = itertools.combinations(range(6), 4)
    least = min(weight @ np.where(np.isin(np.arange(6), chosen), q, 1.0) for chosen in others)
    assert expected == pytest.approx(least)
    arrived = (found["delivered"] == 1) & takes_part
    spread = 4 * np.sqrt((np.square(weight) * q * (1 - q) * takes_part).sum() / rounds)
    assert (weight * ~arrived).sum(axis=1).mean() == pytest.approx(expected, abs=spread)


def test_one_block_each_is_the_assignment_problem():
    value = np.array([[3.0, 2.0], [2.5, 0.0]])
    block, lost = least_expected_loss([3.0, 2.5], 1 - value / np.array([[3.0], [2.5]]))
    assert block.tolist() == assign_blocks(value).tolist()
    assert lost == pytest.approx(5.5 - 4.5)
