"""Proximal operators: definitions, ties, values that are not numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.sparsity.prox import SoftThreshold, TopK
from wirelessfl.errors import InputError

few_values = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0])
blocks = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=7), elements=few_values
)


def one_by_one(vector, kept):
    """The rule in words: greatest magnitude first, then lowest index."""
    order = sorted(range(len(vector)), key=lambda index: (-abs(vector[index]), index))
    return np.array([value if index in order[:kept] else 0.0 for index, value in enumerate(vector)])


@given(blocks, st.integers(0, 8))
@settings(max_examples=200, deadline=None)
def test_top_k_keeps_the_greatest_and_of_equals_the_first(values, kept):
    expected = np.apply_along_axis(one_by_one, -1, values, kept)
    before = values.copy()
    assert np.array_equal(TopK(kept)(values), expected)
    assert np.array_equal(TopK(kept)(torch.from_numpy(values)).numpy(), expected)
    assert np.array_equal(values, before)


@pytest.mark.parametrize("kept", [1, 28, 56, 281])
def test_top_k_is_a_projection_that_scaling_does_not_change(kept):
    values = np.random.default_rng(0).normal(size=(3, 5, 281)).astype(np.float32)
    sparse = TopK(kept)(values)
    assert sparse.dtype == np.float32
    assert (np.count_nonzero(sparse, axis=-1) == kept).all()
    assert np.array_equal(TopK(kept)(sparse), sparse)
    assert np.array_equal(TopK(kept)(4.0 * values), 4.0 * sparse)
    assert np.array_equal(TopK(kept)(torch.from_numpy(values)).numpy(), sparse)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_top_k_does_not_hide_what_is_not_a_number(make):
    result = TopK(2)(make([[1.0, float("nan"), 3.0], [2.0, float("nan"), float("nan")]]))
    assert np.array_equal(np.isnan(np.asarray(result)), [[False, True, False], [False, True, True]])


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_top_k_of_a_vector_does_not_depend_on_what_diverges_beside_it(make):
    ties = [1.0, 1.0, 1.0, 0.0]
    beside = TopK(2)(
        make([[float("nan"), 1.0, 2.0, 3.0], ties])
    )  # one number less than K, one more than K
    assert np.asarray(beside)[1].tolist() == TopK(2)(make(ties)).tolist() == [1.0, 1.0, 0.0, 0.0]


@given(blocks, st.sampled_from([0.0, 0.25, 1.0]), st.sampled_from([0.5, 2.0]))
@settings(deadline=None)
def test_soft_threshold_is_the_formula(values, weight, rate):
    expected = np.sign(values) * np.maximum(np.abs(values) - rate * weight, 0.0)
    assert np.array_equal(SoftThreshold(weight)(values, rate), expected)
    assert np.array_equal(SoftThreshold(weight)(torch.from_numpy(values), rate).numpy(), expected)


def test_soft_threshold_takes_a_weight_and_a_rate_for_each_vector():
    values = np.array([[3.0, -3.0], [3.0, -3.0]])
    weight, rate = np.array([[1.0], [4.0]]), np.array([[0.5], [0.25]])
    assert SoftThreshold(weight)(values, rate).tolist() == [[2.5, -2.5], [2.0, -2.0]]


def test_soft_threshold_minimises_its_objective():
    rng = np.random.default_rng(1)
    point, rate, weight = rng.normal(size=50), 0.3, 1.5

    def objective(values):
        return 0.5 * np.square(values - point).sum() + rate * weight * np.abs(values).sum()

    best = SoftThreshold(weight)(point, rate)
    assert all(objective(best) <= objective(best + 0.01 * rng.normal(size=50)) for _ in range(50))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TopK(-1), "training.kept must be a whole number of at least 0, got -1"),
        (lambda: SoftThreshold(-0.5), "training.weight must be at least 0, got -0.5"),
        (lambda: SoftThreshold(float("nan")), "training.weight must be finite, got nan"),
    ],
)
def test_bad_values_are_one_line(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
