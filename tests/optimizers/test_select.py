"""Client selection against brute force, for both objectives."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from helpers.problems import changed, client_subset, problem, random_problems, scenario_s

from optimizers import certify, solve
from optimizers.select import Select
from wirelessfl.errors import InputError

OBJECTIVES = ("clients", "weight")


def crowded(rng, clients):
    """Fixed bits and caps of which about half fit; some clients late or without rate, some weights
    alike.
    """
    c, a, s, e = (rng.uniform(low, 1.0, clients) for low in (0.5, 0.1, 0.05, 0.02))
    c = np.where(rng.random(clients) < 0.1, -1.0, c)
    weight = rng.choice([0.0, 0.5, 1.0, 3.0], clients)
    p = problem(c, a * 0.5, s * 2.0 / clients, weight, rng.choice([0.7, 0.9, 1.0], clients))
    rate = np.where(rng.random(clients) < 0.1, 0.0, 1e6)
    return changed(p, fixed_upload_bits=e * 2e6 / clients, rate_bps=rate)


def needed(p):
    band = np.maximum(p.min_bandwidth, p.entry_bandwidth)
    return np.where(p.slack_s < 0, np.inf, band)


def brute_force(p, value):
    """The largest value of a set of clients with needs that sum to 1 or less."""
    need = needed(p)
    sets = (
        np.array(one, dtype=bool) for one in itertools.product([False, True], repeat=p.shape[-1])
    )
    return max(value[one].sum() for one in sets if need[one].sum() <= 1)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_brute_force_finds_no_larger_set(objective):
    rng = np.random.default_rng(0)
    sizes = []
    for _ in range(40):
        p = crowded(rng, int(rng.integers(1, 10)))
        a = Select(objective=objective).solve(p)
        chosen = ~a.left_out & (p.slack_s >= 0)
        value = np.ones(p.shape) if objective == "clients" else p.weight
        assert value[chosen].sum() == brute_force(p, value)
        assert needed(p)[chosen].sum() <= 1 + 1e-15
        assert np.all(
            needed(p)[a.left_out] + needed(p)[chosen].sum() > 1
        )  # no client is excluded that would still fit
        sizes.append(chosen.mean())
        if chosen.any():
            among = client_subset(p, np.flatnonzero(chosen))
            names = ("bandwidth_fraction", "pruning_ratio", "exact_kept", "left_out")
            alone = {name: getattr(a, name)[chosen] for name in names}
            for certificate in (certify(p, a), certify(among, replace(a, problem=among, **alone))):
                assert max(float(value) for value in vars(certificate).values()) <= 1e-12
        assert np.all(a.pruning_ratio[~chosen] == 1) & np.all(a.bandwidth_fraction[~chosen] == 0)
    assert 0.3 < np.mean(sizes) < 0.9  # the cases are neither empty nor trivial


def test_dropping_one_client_keeps_more_than_serving_both():
    """The fixed bits of both fit, their caps do not: `exact` gives the caps up, one alone keeps
    more than both.
    """
    p = changed(
        problem(1.0, 0.0, [10.0, 0.7], cap=0.98), fixed_upload_bits=np.array([0.5, 0.3]) * 1e6
    )
    a = solve(p, "select")
    assert a.status.tolist() == ["left out", "unpruned"]
    assert a.reason == "client 0: left out, it needs 0.7 of the band and 0.686 is left"
    assert solve(p).status.tolist() == ["infeasible", "active"]  # the caps given up
    assert a.pruning_ratio.sum() < solve(p).pruning_ratio.sum()


def test_weight_is_another_choice_than_number():
    p = changed(
        problem(1.0, 0.0, 0.1, [5.0, 1.0, 1.0]), fixed_upload_bits=np.array([0.8, 0.5, 0.4]) * 1e6
    )
    assert Select().solve(p).status.tolist() == ["left out", "active", "active"]
    assert Select(objective="weight").solve(p).status.tolist() == [
        "unpruned",
        "left out",
        "left out",
    ]


def test_every_client_has_its_reason():
    p = changed(
        problem([-0.5, 1.0, 1.0, 1.0], 0.0, 0.1),
        fixed_upload_bits=np.array([0.1, 0.9, 0.6, 0.1]) * 1e6,
    )
    a = solve(changed(p, rate_bps=[1e6, 1e6, 1e6, 0.0]), "select")
    assert a.status.tolist() == ["infeasible", "left out", "unpruned", "left out"]
    assert a.reason.split("; ") == [
        "client 0: its fixed work alone misses the deadline of 2000 ms by 500 ms",
        "client 1: left out, it needs 0.9 of the band and 0.4 is left",
        "client 3: left out, no band is enough",
    ]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_where_unselected_fits_it_is_exact(objective):
    for name, p in random_problems(100, seed=3):
        if name == "caps_clash":
            continue
        a, unselected = Select(objective=objective).solve(p), solve(p)
        assert not a.left_out.any(), name
        np.testing.assert_array_equal(a.bandwidth_fraction, unselected.bandwidth_fraction)
        np.testing.assert_array_equal(a.pruning_ratio, unselected.pruning_ratio)


def test_needs_that_fill_the_band_exactly_all_take_part():
    p = changed(problem(1.0, 0.0, np.zeros(10)), fixed_upload_bits=1e5)
    for objective in OBJECTIVES:
        assert not Select(objective=objective).solve(p).left_out.any()


def test_a_set_a_little_too_large_is_not_taken():
    p = changed(
        problem(1.0, 0.0, np.zeros(3), [2.0, 2.0, 1.0]),
        fixed_upload_bits=np.array([0.5, 0.5 + 1e-10, 0.1]) * 1e6,
    )
    assert Select(objective="weight").solve(p).left_out.sum() == 1


def test_a_batch_is_its_rows():
    rng = np.random.default_rng(5)
    rows = [crowded(rng, 6) for _ in range(4)]
    fields = ("deadline_s", "fixed_s", "prunable_s", "upload_bits", "rate_bps", "fixed_upload_bits")
    fields += ("weight", "max_pruning_ratio")
    batch = changed(
        rows[0], **{name: np.stack([getattr(row, name) for row in rows]) for name in fields}
    )
    for objective in OBJECTIVES:
        a = Select(objective=objective).solve(batch)
        for index, row in enumerate(rows):
            one = Select(objective=objective).solve(row)
            np.testing.assert_array_equal(a.left_out[index], one.left_out)
            np.testing.assert_allclose(
                a.bandwidth_fraction[index], one.bandwidth_fraction, rtol=1e-12
            )
            assert a.reason[index] == one.reason


def test_another_objective_is_refused():
    with pytest.raises(InputError, match="objective must be one of clients, weight; got 'bits'"):
        Select(objective="bits")


def test_scenario_s_with_a_cap_that_not_all_can_keep():
    a = solve(scenario_s(max_pruning_ratio=0.4), "select")
    assert 0 < a.left_out.sum() < 10
    assert np.all(a.pruning_ratio[~a.left_out] <= 0.4 + 1e-12)
    np.testing.assert_allclose(a.latency_s[~a.left_out], 0.025, rtol=1e-12)
