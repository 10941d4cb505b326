"""Infeasible problems: the smallest conflict by brute force, repairs that are enough, and a hair
less that is not.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from helpers.problems import changed, client_subset, problem, scenario_rates, scenario_s

from optimizers import repair, solve
from wirelessfl.allocation.noise_psd import NoisePsdProblem

HAIR = 1e-9


def capped(**changes):
    return scenario_s(max_pruning_ratio=0.5, **changes)


def noise_psd():
    snr = 0.1 * (2 ** (scenario_rates() / 20e6) - 1)
    s = scenario_s()
    return NoisePsdProblem(
        deadline_s=0.02,
        fixed_s=s.fixed_s,
        prunable_s=s.prunable_s,
        upload_bits=s.upload_bits,
        snr=snr,
        bandwidth_hz=20e6,
        max_pruning_ratio=0.5,
    )


INFEASIBLE = {
    "caps": capped(),
    "a late client": capped(fixed_s=[0.03, *[0.005] * 9]),
    "late clients without caps": scenario_s(fixed_s=[0.03, 0.031, *[0.005] * 8]),
    "two late clients": capped(fixed_s=[0.03, 0.031, *[0.005] * 8]),
    "compute beyond the cap": capped(prunable_s=np.linspace(0.01, 0.06, 10)),
    "fixed bits": scenario_s(fixed_upload_bits=np.linspace(1e5, 9e5, 10)),
    "fixed bits and caps": capped(
        fixed_upload_bits=np.linspace(1e4, 4e5, 10), deadline_s=np.linspace(0.02, 0.03, 10)
    ),
    "rate 0": capped(rate_bps=np.append(scenario_rates()[:9], 0.0)),
    "noise density": noise_psd(),
}


@pytest.mark.parametrize("p", INFEASIBLE.values(), ids=INFEASIBLE)
def test_each_repair_is_enough_and_a_hair_less_is_not(p):
    found = repair(p)
    assert not found.feasible
    assert solve(p).reason != ""
    if np.isfinite(found.shortfall_s):
        assert solve(found.with_deadline).reason == ""
        short = replace(p, deadline_s=p.deadline_s + found.shortfall_s * (1 - HAIR))
        assert solve(short).reason != ""
    if np.isfinite(found.shortfall_fraction):
        assert solve(found.with_bandwidth).reason == ""
        assert found.with_bandwidth.bandwidth_hz == pytest.approx(20e6 + found.shortfall_hz)
        narrow = replace(
            found, shortfall_fraction=found.shortfall_fraction * (1 - HAIR)
        ).with_bandwidth
        assert solve(narrow).reason != ""
    if np.isfinite(found.max_pruning_ratio):
        assert solve(found.with_cap).reason == ""
        tight = replace(
            p, max_pruning_ratio=np.maximum(p.max_pruning_ratio, found.max_pruning_ratio - HAIR)
        )
        assert solve(tight).reason != ""


def test_what_no_repair_mends_is_said():
    hopeless = {
        name: [
            field
            for field in ("shortfall_s", "shortfall_fraction", "max_pruning_ratio")
            if np.isinf(getattr(repair(p), field))
        ]
        for name, p in INFEASIBLE.items()
    }
    assert hopeless == {
        "caps": [],
        "a late client": ["shortfall_fraction", "max_pruning_ratio"],
        "late clients without caps": ["shortfall_fraction", "max_pruning_ratio"],
        "two late clients": ["shortfall_fraction", "max_pruning_ratio"],
        "compute beyond the cap": ["shortfall_fraction"],
        "fixed bits": ["max_pruning_ratio"],
        "fixed bits and caps": [],
        "rate 0": ["shortfall_s", "shortfall_fraction"],
        "noise density": [],
    }


def serves(p, clients):
    return solve(client_subset(p, np.array(clients))).reason == ""


@pytest.mark.parametrize(
    "name", ["caps", "a late client", "two late clients", "fixed bits", "fixed bits and caps"]
)
def test_the_conflict_is_the_smallest_set_that_cannot_be_served(name):
    p = INFEASIBLE[name]
    conflict = np.flatnonzero(repair(p).conflict)
    assert not serves(p, conflict)
    for client in conflict:
        others = conflict[conflict != client]
        assert others.size == 0 or serves(p, others)
    for smaller in combinations(range(10), conflict.size - 1):
        assert smaller == () or serves(p, smaller)


def test_figures_by_hand():
    p = changed(problem([1.0, 1.0, 1.0], 0.0, [0.8, 1.2, 1.6], cap=0.5), bandwidth_hz=1e6)
    found = repair(p)
    np.testing.assert_allclose(found.needed_bandwidth, [0.4, 0.6, 0.8])
    np.testing.assert_array_equal(found.conflict, [False, True, True])
    assert found.shortfall_hz == pytest.approx(0.8e6)
    assert found.shortfall_s == pytest.approx(0.8)
    assert found.max_pruning_ratio == pytest.approx(1 - 1 / 3.6)


def test_two_late_clients_name_the_later_one():
    np.testing.assert_array_equal(
        np.flatnonzero(repair(INFEASIBLE["two late clients"]).conflict), [1]
    )
    late = repair(INFEASIBLE["late clients without caps"])
    assert late.shortfall_s == pytest.approx(0.006)


def test_a_feasible_problem_needs_no_repair():
    p = scenario_s()
    found = repair(p)
    assert found.feasible
    assert not found.conflict.any()
    assert (found.shortfall_s, found.shortfall_fraction, found.max_pruning_ratio) == (0, 0, 0)
    for repaired in (found.with_deadline, found.with_bandwidth, found.with_cap):
        np.testing.assert_array_equal(solve(repaired).pruning_ratio, solve(p).pruning_ratio)


def test_a_batch_is_repaired_problem_by_problem():
    deadlines = np.array([0.015, 0.025, 0.1])[:, None]
    batch = repair(capped(deadline_s=deadlines))
    assert batch.conflict.shape == (3, 10)
    for row, deadline_s in enumerate(deadlines[:, 0]):
        alone = repair(capped(deadline_s=deadline_s))
        for field in (
            "feasible",
            "conflict",
            "shortfall_s",
            "shortfall_fraction",
            "max_pruning_ratio",
        ):
            np.testing.assert_allclose(
                getattr(batch, field)[row], getattr(alone, field), rtol=1e-12
            )
    assert list(solve(batch.with_deadline).reason) == list(solve(batch.with_cap).reason) == [""] * 3
    assert list(solve(batch.with_bandwidth).reason) == [""] * 3
