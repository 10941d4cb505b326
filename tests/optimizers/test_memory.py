"""Allocators with memory: queues computed manually, budgets, all rounds at once by CVXPY, windows."""

import itertools

import cvxpy as cp
import numpy as np
import pytest

from optimizers import AllocationProblem, Exact
from optimizers.at_least_once import AtLeastOnce
from optimizers.drift_plus_penalty import DriftPlusPenalty
from optimizers.proportional_schedule import ProportionalSchedule
from wirelessfl.allocation.history import History
from wirelessfl.errors import InputError

POWER_W, FIXED_J, PRUNABLE_J = 0.6, 0.004, 0.02
TRADE_OFFS = (1e-5, 1e-4, 1e-3)
METHODS = (AtLeastOnce(), DriftPlusPenalty(energy_budget_j=0.01), ProportionalSchedule())


def rounds(seed, count, clients, scarce=1.0, least_bps=1e6):
    """Problems of a run whose rates vary independently from round to round."""
    rng = np.random.default_rng(seed)
    rate_bps = rng.uniform(5e7, 2.5e8, clients) * rng.exponential(size=(count, clients))
    return [
        AllocationProblem(
            deadline_s=0.025,
            fixed_s=0.005,
            prunable_s=0.01,
            upload_bits=5e5 * scarce,
            rate_bps=np.maximum(rate, least_bps),
            weight=np.linspace(1.0, 2.0, clients),
        )
        for rate in rate_bps
    ]


def started(clients):
    none = History.none(clients)
    return History(
        kept=none.kept,
        energy_j=none.energy_j,
        power_w=np.full(clients, POWER_W),
        fixed_j=np.full(clients, FIXED_J),
        prunable_j=np.full(clients, PRUNABLE_J),
    )


def spent_j(p, a):
    upload_s = np.where(
        a.kept_fraction > 0,
        a.kept_fraction * p.upload_s / np.maximum(a.bandwidth_fraction, 1e-300),
        0.0,
    )
    return FIXED_J + a.kept_fraction * PRUNABLE_J + POWER_W * upload_s


def played(method, problems):
    history = started(problems[0].shape[-1])
    for p in problems:
        a = method.solve(p, history)
        history = history.after(a.kept_fraction, spent_j(p, a))
    return history


def test_queue_and_age_of_three_rounds():
    history = History.none(2)
    assert history.age.tolist() == [0, 0]
    assert history.queue_j(1.0).tolist() == [0.0, 0.0]
    for kept, spent in (([0.5, 0.0], [3.0, 0.5]), ([0.0, 0.0], [0.5, 2.0]), ([1.0, 0.0], [0, 4])):
        history = history.after(np.array(kept), np.array(spent, dtype=float))
    # 0 -> 2 -> 1.5 -> 0.5 and 0 -> 0 -> 1 -> 4
    assert history.queue_j(1.0).tolist() == [0.5, 4.0]
    assert history.queue_j(np.array([np.inf, 2.0])).tolist() == [0.0, 2.0]
    assert history.age.tolist() == [0, 3]
    assert history.after(np.array([0.0, 0.2]), np.zeros(2)).age.tolist() == [1, 0]
    assert history.of(np.array([False, True])).age.tolist() == [3]


def test_sums_that_grow_with_the_rounds_are_those_of_the_arrays():
    rng = np.random.default_rng(6)
    history = History.none(5)
    budget_j = rng.uniform(0.5, 1.5, 5)
    for number in range(60):
        kept = np.where(rng.random(5) < 0.4, 0.0, rng.random(5))
        grown = history.after(kept, rng.random(5))
        if number % 7 == 3:  # another course from the same rounds
            history.after(np.ones(5), np.ones(5)).queue_j(budget_j)
        history = grown
        anew = History(kept=history.kept.copy(), energy_j=history.energy_j.copy())
        some = rng.random(5) < 0.6
        if number % 2:
            np.testing.assert_array_equal(
                history.of(some).queue_j(budget_j[some]), anew.queue_j(budget_j)[some]
            )
        np.testing.assert_array_equal(history.of(some).age, anew.age[some])
        np.testing.assert_array_equal(history.kept_sum, anew.kept.sum(axis=0))
        if number % 3 == 0:
            np.testing.assert_array_equal(history.queue_j(budget_j), anew.queue_j(budget_j))
        if number == 40:
            budget_j = budget_j * 0.9
    resumed = History.none(5).resumed(history.pack())
    np.testing.assert_array_equal(resumed.queue_j(budget_j), history.queue_j(budget_j))
    queue_j = np.zeros(5)
    for spent_j in history.energy_j:
        queue_j = np.maximum(queue_j + spent_j - budget_j, 0.0)
    np.testing.assert_array_equal(history.queue_j(budget_j), queue_j)


def test_a_round_reads_no_earlier_one():
    history = History.none(3)
    read = []

    class Counted(np.ndarray):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    for _ in range(50):
        history = history.after(np.ones(3), np.ones(3))
        history.queue_j(0.5)
    grown = history.after(np.ones(3), np.ones(3))
    course = grown._course[0]
    course.energy_j = course.energy_j.view(Counted)
    assert grown.queue_j(0.5).tolist() == [25.5] * 3
    assert [index[0] for index in read] == [50]


@pytest.mark.parametrize("method", METHODS, ids=lambda one: type(one).__name__)
def test_without_rounds_so_far_it_is_exact(method):
    (p,) = rounds(0, 1, 4)
    exact = Exact().solve(p).pruning_ratio
    np.testing.assert_array_equal(method.solve(p).pruning_ratio, exact)
    np.testing.assert_allclose(method.solve(p, started(4)).pruning_ratio, exact, atol=1e-12)


@pytest.mark.parametrize("trade_off", TRADE_OFFS)
def test_the_mean_energy_stays_within_its_budget_for_every_trade_off(trade_off):
    problems = rounds(1, 100, 4)
    budget_j = np.array([0.012, 0.015, 0.02, 1.0])
    method = DriftPlusPenalty(energy_budget_j=tuple(budget_j), trade_off=trade_off)
    history = played(method, problems)
    queue_j = history.queue_j(budget_j)
    mean_j = history.energy_j.mean(axis=0)
    assert np.all(mean_j <= budget_j + queue_j / len(problems) + 1e-12)
    # Beyond V w / (least energy per kept model) nothing is kept; one round adds at most its energy.
    longest_j = trade_off * 2.0 / (PRUNABLE_J - POWER_W * 0.01) + history.energy_j.max()
    assert np.all(queue_j[:3] <= longest_j)
    free = played(DriftPlusPenalty(), problems)
    assert np.all(free.energy_j.mean(axis=0)[:3] > 1.05 * budget_j[:3])


def offline_bound(problems, budget_j):
    """Most mean kept weight of all rounds together where taking part may be a fraction."""
    clients = problems[0].shape[-1]
    kept, takes, value, limits = [], [], 0.0, []
    spent = np.full(clients, FIXED_J)
    for p in problems:
        x, z = cp.Variable(clients), cp.Variable(clients)
        c, a, s = (np.asarray(v) for v in (p.slack_s, p.prunable_s, p.upload_s))
        band = sum(
            (s[k] / c[k]) * (x[k] + a[k] * cp.quad_over_lin(x[k], c[k] * z[k] - a[k] * x[k]))
            for k in range(clients)
        )
        limits += [band <= 1, x >= 0, x <= z, z <= 1]
        kept.append(x)
        takes.append(z)
        value = value + p.weight @ x / len(problems)
        spent = spent + (PRUNABLE_J * x + POWER_W * (cp.multiply(c, z) - cp.multiply(a, x))) / len(
            problems
        )
    limits.append(spent <= budget_j)
    problem = cp.Problem(cp.Maximize(value), limits)
    problem.solve(solver=cp.CLARABEL)
    return problem.value


@pytest.mark.slow
def test_the_kept_weight_comes_within_one_over_v_of_all_rounds_at_once():
    problems = rounds(2, 20, 3)
    budget_j = np.array([0.012, 0.015, 0.02])
    most = offline_bound(problems, budget_j)
    # The same rounds again and again, so that the optimum over all of them stays the same.
    long_run = problems * 10
    short = []
    for trade_off in TRADE_OFFS:
        method = DriftPlusPenalty(energy_budget_j=tuple(budget_j), trade_off=trade_off)
        history = played(method, long_run)
        weight = np.asarray(problems[0].weight)
        short.append(most - float((history.kept * weight).sum(axis=1).mean()))
    assert short[0] > short[1] > short[2]
    assert short[2] < 0.03 * most
    # Half the sum of the largest squared steps of the queues, over V (Neely, 2010).
    steps = 0.5 * float(np.square(history.energy_j - budget_j).max(axis=0).sum())
    assert all(gap <= steps / v for gap, v in zip(short, TRADE_OFFS, strict=True))


def test_the_choice_of_clients_is_near_the_best_of_all_sets():
    method = DriftPlusPenalty(energy_budget_j=0.012, trade_off=1e-4)
    worst = 0.0
    for p in rounds(3, 12, 5):
        history = started(5).after(np.ones(5), np.linspace(0.013, 0.022, 5))
        a = method.solve(p, history)
        found = method.objective(p, history, a)
        queue_j = history.queue_j(0.012) / 1e-4
        worth = np.asarray(p.weight) - queue_j * (PRUNABLE_J - POWER_W * 0.01)
        best = 0.0
        for takes in itertools.product([False, True], repeat=5):
            alone = np.flatnonzero(takes & (worth > 0))
            if alone.size:
                part = AllocationProblem(
                    deadline_s=0.025,
                    fixed_s=0.005,
                    prunable_s=0.01,
                    upload_bits=5e5,
                    rate_bps=np.asarray(p.rate_bps)[alone],
                    weight=worth[alone],
                )
                kept = Exact().solve(part).kept_fraction
                toll = queue_j[alone] * POWER_W * 0.02
                best = max(best, float((worth[alone] * kept - toll)[kept > 0].sum()))
        assert found <= best + 1e-12
        assert best <= method.bound(p, history, float(a.bandwidth_price)) + 1e-12
        worst = max(worst, best - found)
    assert worst <= 0.02


def test_a_budget_below_the_fixed_work_and_wrong_numbers_are_refused_in_one_line():
    (p,) = rounds(0, 1, 3)
    with pytest.raises(InputError, match=r"^energy_budget_j must be at least 0.004, .*client 0"):
        DriftPlusPenalty(energy_budget_j=0.001).solve(p, started(3))
    with pytest.raises(InputError, match=r"^energy_budget_j must be 1 number or 3"):
        DriftPlusPenalty(energy_budget_j=(1.0, 1.0)).solve(p, started(3))
    with pytest.raises(InputError, match="trade_off"):
        DriftPlusPenalty(trade_off=0.0)
    with pytest.raises(InputError, match="window"):
        AtLeastOnce(window=0)


def test_scheduled_fairness_comes_near_the_optimum_over_all_rounds():
    problems = rounds(4, 20, 3, scarce=8.0)
    x = [cp.Variable(3) for _ in problems]
    limits = []
    for p, kept in zip(problems, x, strict=True):
        c, a, s = (np.asarray(v) for v in (p.slack_s, p.prunable_s, p.upload_s))
        band = sum(
            (s[k] / c[k]) * (kept[k] + a[k] * cp.quad_over_lin(kept[k], c[k] - a[k] * kept[k]))
            for k in range(3)
        )
        limits += [band <= 1, kept >= 0, kept <= 1]
    weight = np.asarray(problems[0].weight)
    best = cp.Problem(cp.Maximize(weight @ cp.log(sum(x) / len(x))), limits)
    best.solve(solver=cp.CLARABEL)
    history = played(ProportionalSchedule(), problems * 20)
    found = float(weight @ np.log(history.kept.mean(axis=0)))
    assert found == pytest.approx(best.value, abs=0.02 * weight.sum())


def test_every_client_takes_part_once_in_every_window():
    problems = rounds(5, 60, 6, scarce=25.0, least_bps=3e7)
    kept = played(AtLeastOnce(window=4, least_kept=0.02), problems).kept
    windows = [kept[first : first + 4].max(axis=0) for first in range(len(kept) - 3)]
    starved = played(AtLeastOnce(window=60, least_kept=0.02), problems).kept
    assert min(window.min() for window in windows) > 0
    assert (starved == 0).sum(axis=0).max() > 15
