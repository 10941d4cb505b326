"""Retention ratios of agents, given or allocated."""

import numpy as np
import pytest
from helpers.agents import TASK
from hypothesis import given
from hypothesis import strategies as st

from training.algorithms.decentralised.dsgd import Dsgd
from training.decentralised.retention import (
    Retention,
    mask_density,
    maskable_entries,
    retention_fractions,
)
from training.sparsity.payload import retained_counts
from wirelessfl.errors import InputError

_, LAYOUT = Dsgd(task=TASK).method.spec().build_model()
LAYERS = maskable_entries(LAYOUT)
SIZES = [entry.size for entry in LAYERS]
K = 3


def counts(keep, agent=0, ratio=0.0):
    return retained_counts(retention_fractions(keep.layers(LAYOUT, K, agent, ratio)), SIZES)


@given(st.floats(0.01, 1.0))
def test_given_fractions_keep_the_weights_that_the_paper_states(ratio):
    for count, size in zip(counts(Retention(keep_ratio=ratio)), SIZES, strict=True):
        assert abs(count - ratio * size) <= 1
        assert count >= ratio * size - 1e-6


@given(st.floats(0.0, 1.0, exclude_max=True))
def test_the_allocations_shares_keep_no_weight_more_than_granted(ratio):
    keep = Retention(retention="allocation")
    kept = counts(keep, ratio=ratio)
    assert kept == [int((1 - ratio) * size * (1 + 1e-12)) for size in SIZES]
    _, prunable = keep.kept(LAYOUT, K)
    assert sum(kept) <= (1 - ratio) * prunable[0] * (1 + 1e-9)


@given(st.floats(0.01, 1.0), st.floats(0.0, 1.0, exclude_max=True))
def test_the_allocation_scales_the_largest_fraction(most, ratio):
    keep = Retention(retention="allocation", keep_at_most=most)
    whole = counts(Retention(keep_ratio=most))
    assert counts(keep) == whole
    assert counts(keep, ratio=ratio) == [int((1 - ratio) * count * (1 + 1e-12)) for count in whole]
    assert keep.kept(LAYOUT, K)[1].tolist() == [sum(whole)] * K
    if most == 1.0:
        assert keep == Retention(retention="allocation")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"keep_at_most": 0.5},
            "training.keep_at_most must be 1 with training.retention 'given', got 0.5",
        ),
        (
            {"keep_at_most": 0.0, "retention": "allocation"},
            "training.keep_at_most must be above 0, got 0",
        ),
        (
            {"keep_at_most": 1.5, "retention": "allocation"},
            "training.keep_at_most must be at most 1, got 1.5",
        ),
    ],
)
def test_the_largest_fraction_is_checked(fields, message):
    with pytest.raises(InputError, match=message):
        Retention(**fields)


def test_agents_keep_their_own_shares_and_fully_connected_layers_theirs():
    keep = Retention(keep_ratios=(0.5, 0.25, 1.0), fc_keep=0.9)
    for agent, ratio in enumerate((0.5, 0.25, 1.0)):
        chosen = retention_fractions(keep.layers(LAYOUT, K, agent))
        assert chosen == tuple(0.9 if len(entry.shape) == 2 else ratio for entry in LAYERS)


def test_the_part_that_the_network_can_prune():
    biases = LAYOUT.parameter_size - sum(SIZES)
    fixed, prunable = Retention(keep_ratio=0.5).kept(LAYOUT, K)
    assert fixed.tolist() == [biases + sum(counts(Retention(keep_ratio=0.5)))] * K
    assert not prunable.any()
    fixed, prunable = Retention(retention="allocation").kept(LAYOUT, K)
    assert fixed.tolist() == [biases] * K
    assert prunable.tolist() == [sum(SIZES)] * K


def test_participation_by_ratio():
    ratios = np.array([0.0, 0.4, 1.0])
    assert Retention(retention="allocation").takes_part(ratios).tolist() == [True, True, False]
    assert Retention().takes_part(np.array([0.0, 0.0, 1.0])).tolist() == [True, True, False]
    with pytest.raises(
        InputError, match=r"in an algorithm with training.retention 'given', got 0.4"
    ):
        Retention().takes_part(ratios)


def test_mask_density_excludes_entries_without_a_mask():
    masks = np.ones((2, LAYOUT.parameter_size), dtype=bool)
    for entry in LAYERS:
        masks[0, entry.slice] = False
    assert mask_density(masks, LAYOUT) == 0.5
