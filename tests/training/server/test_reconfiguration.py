"""Reconfiguration of PruneFL's mask, on vectors small enough to verify manually."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.server.reconfiguration import Reconfigure, adaptive_mask, largest_mask
from wirelessfl.errors import InputError

ALL = np.ones(6, dtype=bool)
SIX = [slice(0, 6)]


def array(*values):
    return np.array(values, dtype=np.float64)


def adaptive(
    weights,
    mask,
    importance,
    seconds=None,
    layers=SIX,
    *,
    constant_s=1.0,
    prune_fraction=0.5,
    most=99,
):
    seconds = np.ones(len(weights)) if seconds is None else seconds
    found = adaptive_mask(
        np.asarray(weights, dtype=np.float32),
        np.asarray(mask),
        importance,
        seconds,
        layers,
        constant_s=constant_s,
        prune_fraction=prune_fraction,
        most=most,
    )
    return np.flatnonzero(found).tolist()


def test_a_small_example():
    weights = array(6, -5, 4, 3, -2, 1)  # 3, 4, 5 are undecided; gamma = 6 / (1 + 3) = 1.5
    assert adaptive(weights, ALL, array(2, 2, 2, 1.4, 0, 1)) == [0, 1, 2]
    assert adaptive(weights, ALL, array(2, 2, 2, 1.6, 0, 1.51)) == [
        0,
        1,
        2,
        3,
    ]  # 1.6 raises gamma to 1.52
    assert adaptive(weights, ALL, array(2, 2, 2, 1.6, 0, 1.53)) == [0, 1, 2, 3, 5]


def test_seconds_decide_between_equal_gradients():
    weights, seconds = array(6, -5, 4, 3, -2, 1), array(1, 1, 1, 1, 4, 0.5)
    assert adaptive(weights, ALL, array(2, 2, 2, 2, 2, 2), seconds) == [
        0,
        1,
        2,
        3,
        5,
    ]  # 2 / 4 is below any gamma


def test_pruned_weights_can_return_and_entries_outside_the_layers_stay():
    weights = array(6, -5, 4, 3, 0, 0, 9, 9)
    mask = np.array([1, 1, 1, 1, 0, 0, 1, 1], dtype=bool)
    importance = array(1, 1, 0, 0, 0, 50, 0, 0)
    assert adaptive(weights, mask, importance) == [0, 1, 5, 6, 7]
    assert adaptive(weights, mask, np.zeros(8)) == [
        0,
        1,
        6,
        7,
    ]  # nothing is worth time without gradients


def test_layers_put_up_their_own_shares():
    weights = array(9, 8, 7, 3, 2, 1)
    assert adaptive(
        weights, ALL, np.zeros(6), layers=[slice(0, 3), slice(3, 6)], prune_fraction=0.34
    ) == [0, 1, 3, 4]


def test_the_most_weights_are_reached_step_by_step():
    weights, eager = array(6, -5, 4, 3, -2, 1), array(0, 0, 0, 1, 2, 3)
    assert adaptive(weights, ALL, eager, most=4) == [0, 1, 2, 5]
    assert adaptive(weights, ALL, eager, most=2) == [0, 1, 2]  # never below what is decided


@given(
    st.lists(st.floats(0, 10), min_size=6, max_size=6),
    st.lists(st.floats(0.1, 5), min_size=6, max_size=6),
    st.floats(0.1, 3),
)
def test_it_is_the_greedy_rule(importance, seconds, constant_s):
    """Against the rule written down weight by weight."""
    weights = array(6, -5, 4, 3, -2, 1)
    gain, cost = array(*importance), array(*seconds)
    kept, total, time = [0, 1, 2], sum(importance[:3]), constant_s + sum(seconds[:3])
    for index in sorted([3, 4, 5], key=lambda i: -(gain[i] / cost[i])):
        if not gain[index] / cost[index] > total / time * (1 + 1e-9):
            if gain[index] / cost[index] > total / time * (1 - 1e-9):
                return  # too close to call for rounded sums
            break
        kept.append(index)
        total, time = total + gain[index], time + cost[index]
    assert adaptive(weights, ALL, gain, cost, constant_s=constant_s) == sorted(kept)


def test_largest_by_importance_then_by_magnitude():
    weights = np.array([1, -4, 3, 2, 7, 0], dtype=np.float32)
    mask = largest_mask(weights, array(0, 0, 0, 5, 0, 9), [slice(0, 3), slice(5, 6)], kept=2)
    assert np.flatnonzero(mask).tolist() == [1, 3, 4, 5]  # 3 and 4 lie in no layer


def test_when_it_is_due():
    rounds = range(12)
    assert [t for t in rounds if Reconfigure(reconfigure_every=5).due(t)] == [4, 9]
    fixed = Reconfigure(reconfigure="fixed-density", density=0.3, reconfigure_every=5)
    assert [t for t in rounds if fixed.due(t)] == [0, 4, 9]


def test_the_share_put_up_halves():
    rule = Reconfigure(prune_share=0.5, prune_halving_rounds=10)
    weights, nothing = np.arange(1, 9, dtype=np.float32), np.zeros(8)
    common = {"layers": [slice(0, 8)], "constant_s": 1.0}
    kept = [
        rule.mask(weights, np.ones(8, bool), nothing, np.ones(8), round_index=t, **common).sum()
        for t in (0, 10, 20)
    ]
    assert kept == [4, 6, 7]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"reconfigure": "random"},
            "training.reconfigure must be one of adaptive, fixed-density; got 'random'",
        ),
        (
            {"reconfigure": "fixed-density"},
            "training.density must be given with .* 'fixed-density', got none",
        ),
        ({"density": 0}, "training.density must be above 0, got 0"),
        ({"prune_share": 1.2}, "training.prune_share must be at most 1, got 1.2"),
        (
            {"reconfigure_every": 0},
            "training.reconfigure_every must be a whole number of at least 1, got 0",
        ),
        (
            {"initial_rounds": -1},
            "training.initial_rounds must be a whole number of at least 0, got -1",
        ),
    ],
)
def test_bad_fields_are_refused_at_once(fields, said):
    with pytest.raises(InputError, match=said):
        Reconfigure(**fields)
