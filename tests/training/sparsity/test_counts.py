"""Counts of kept weights: exact roundings and the rules that divide them over layers."""

from fractions import Fraction
from itertools import pairwise, product
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.sparsity.counts import erk_counts, keep_count, uniform_counts
from training.sparsity.top_k import (
    keep_most_important,
    nested_top_k,
    prune_further,
    top_k,
    top_k_layers,
)
from wirelessfl.errors import InputError

SHAPES = (
    (4, 2, 3, 3),
    (10, 8),
    (100, 50),
)  # 72, 80 and 5000 weights; sums of the shapes 12, 18 and 150


def to_numpy(scores):
    return scores


def to_bfloat16(scores):
    return torch.from_numpy(scores).to(
        torch.bfloat16
    )  # has no NumPy type: by torch.topk, as on a GPU


KINDS = pytest.mark.parametrize("kind", [to_numpy, torch.from_numpy, to_bfloat16])
levels = st.lists(st.sampled_from([-2.0, -0.0, 0.0, 1.0, 3.0, np.inf]), min_size=1, max_size=40)
numbers = levels.map(lambda values: np.array(values, dtype=np.float32))


def by_sorting(scores, kept):
    """The last `kept` of a stable ascending sort."""
    mask = np.zeros(scores.size, dtype=bool)
    mask[np.argsort(scores, kind="stable")[scores.size - kept :]] = True
    return mask


@KINDS
@pytest.mark.parametrize(
    ("scores", "kept", "mask"),
    [
        ([5, 1, 4, 2, 8, 7, 3, 6], 3, [0, 0, 0, 0, 1, 1, 0, 1]),
        ([5, 1, 4, 2, 8, 7, 3, 6], 8, [1, 1, 1, 1, 1, 1, 1, 1]),
        ([5, 1, 4, 2, 8, 7, 3, 6], 0, [0, 0, 0, 0, 0, 0, 0, 0]),
        (
            [2, 1, 2, 2, 0, 2, 1, 2],
            4,
            [0, 0, 1, 1, 0, 1, 0, 1],
        ),  # one of five equals goes: the first
        ([0, 0, 0, 0, 0, 0, 0, 0], 3, [0, 0, 0, 0, 0, 1, 1, 1]),
        (
            [-1, -2, -3, -4, -5, -6, -7, -8],
            2,
            [1, 1, 0, 0, 0, 0, 0, 0],
        ),  # no magnitudes: that is the caller's
    ],
)
def test_by_hand(kind, scores, kept, mask):
    chosen = top_k(kind(np.array(scores, dtype=np.float32)), kept)
    assert chosen.dtype in (np.bool_, torch.bool)
    assert chosen.tolist() == [bool(m) for m in mask]


@KINDS
@given(data=st.data(), scores=numbers)
def test_is_the_end_of_a_stable_sort(kind, data, scores):
    kept = data.draw(st.integers(0, scores.size))
    assert np.array_equal(top_k(kind(scores), kept), by_sorting(scores, kept))
    assert np.array_equal(top_k(scores, kept), keep_most_important(scores, scores.size - kept))


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("kept", [1, 20_000, 99_999])
def test_exact_on_long_vectors(zeros, kept):
    rng = np.random.default_rng(1)
    scores = np.abs(rng.standard_normal(100_000, dtype=np.float32))
    scores[rng.random(scores.size) < zeros] = 0.0
    before = scores.copy()
    mask = top_k(scores, kept)
    assert np.array_equal(mask, by_sorting(scores, kept))
    assert np.array_equal(scores, before)
    assert np.array_equal(top_k(torch.from_numpy(scores), kept), mask)


def test_a_reversed_vector_keeps_the_first_of_equals():
    scores = np.array([2, 1, 2, 2, 0, 2, 1, 2], dtype=np.float32)
    assert top_k(scores[::-1], 4)[::-1].tolist() == [
        True,
        False,
        True,
        True,
        False,
        True,
        False,
        False,
    ]


def test_a_tensor_may_have_a_gradient():
    scores = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    assert top_k(scores, 2).tolist() == [True, False, True]


@KINDS
@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_nan_is_refused_in_one_line(kind, kept):
    with pytest.raises(InputError, match=r"^scores must be numbers, got nan at index 1$"):
        top_k(kind(np.array([1.0, np.nan, 3.0], dtype=np.float32)), kept)


@KINDS
@pytest.mark.parametrize(("kept", "message"), [(4, "at most 3, got 4"), (-1, "at least 0, got -1")])
def test_counts_outside_the_vector_are_refused(kind, kept, message):
    with pytest.raises(InputError, match=f"^kept must be .*{message}$"):
        top_k(kind(np.arange(3, dtype=np.float32)), kept)


@pytest.mark.parametrize(
    ("ratio", "size", "kept"),
    [
        (0.8, 281, 56),  # K of [SPS]: BlogFeedback
        (0.9, 281, 28),
        (0.95, 281, 14),
        (0.9, 48_670, 4_867),  # FEMNIST
        (0.0, 7, 7),
        (1.0, 7, 0),
        (0.7, 10, 3),
    ],
)
def test_keep_count(ratio, size, kept):
    assert keep_count(ratio, size) == kept


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_a_ratio_outside_its_range_is_refused(ratio):
    with pytest.raises(InputError, match=r"^training\.pruning_ratio must be "):
        keep_count(ratio, 8)


@KINDS
@given(scores=numbers, ratios=st.lists(st.floats(0, 1), min_size=2, max_size=5).map(sorted))
def test_growing_ratios_give_nested_masks(kind, scores, ratios):
    masks = [np.asarray(mask) for mask in nested_top_k(kind(scores), ratios)]
    for ratio, mask in zip(ratios, masks, strict=True):
        assert np.count_nonzero(mask) == keep_count(ratio, scores.size)
    for denser, sparser in pairwise(masks):
        assert not np.any(sparser & ~denser)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@given(data=st.data(), scores=numbers)
def test_further_pruning_stays_within_the_mask(kind, data, scores):
    first = data.draw(st.integers(0, scores.size))
    second = data.draw(st.integers(0, first))
    mask, others = top_k(scores, first), np.roll(scores, 1)
    further = np.asarray(prune_further(kind(mask), kind(others), second))
    assert np.count_nonzero(further) == second
    assert not np.any(further & ~mask)
    if second:
        assert others[further].min() >= others[mask & ~further].max(initial=-np.inf)
    assert np.array_equal(prune_further(kind(mask), kind(scores), second), top_k(scores, second))


def test_further_pruning_cannot_grow():
    with pytest.raises(InputError, match=r"^kept must be at most 1, got 2$"):
        prune_further(np.array([True, False, False]), np.ones(3, dtype=np.float32), 2)


@KINDS
def test_each_layer_keeps_exactly_its_own(kind):
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 9, 60).astype(np.float32)  # many equals
    layers, kept = (slice(0, 30), slice(35, 45), slice(45, 60)), (7, 10, 0)
    mask = np.asarray(top_k_layers(kind(scores), layers, kept))
    for layer, count in zip(layers, kept, strict=True):
        assert np.array_equal(mask[layer], by_sorting(scores[layer], count))
    assert mask[30:35].all()


def test_each_layer_needs_a_count():
    with pytest.raises(InputError, match=r"^kept must have one count for each of 2 layers, got 1$"):
        top_k_layers(np.ones(4, dtype=np.float32), (slice(0, 2), slice(2, 4)), (1,))


@pytest.mark.parametrize(
    ("kept", "uniform", "erk"),
    [
        (515, (7, 8, 500), (34, 52, 429)),  # erk 34.33, 51.5, 429.17
        (
            900,
            (13, 14, 873),
            (61, 80, 759),
        ),  # e = 5: 90 of the second tensor's 80, so 820 x 12 / 162 and x 150 / 162
        (
            1_070,
            (15, 17, 1_038),
            (72, 80, 918),
        ),  # without the second tensor the first one is full as well
        (5_152, (72, 80, 5_000), (72, 80, 5_000)),
        (0, (0, 0, 0), (0, 0, 0)),
        (1, (0, 0, 1), (0, 0, 1)),
    ],
)
def test_shares_by_hand(kept, uniform, erk):
    assert uniform_counts(SHAPES, kept) == uniform
    assert erk_counts(SHAPES, kept) == erk


def erk_by_trial(shapes, kept):
    """The exact real counts: of all sets of full tensors, the one whose others stay below their
    sizes at one e.
    """
    sizes, weights = [prod(shape) for shape in shapes], [sum(shape) for shape in shapes]
    for full in product([False, True], repeat=len(shapes)):
        rest = kept - sum(size for size, capped in zip(sizes, full, strict=True) if capped)
        open_weight = sum(
            weight for weight, capped in zip(weights, full, strict=True) if not capped
        )
        if rest < 0 or (rest and not open_weight):
            continue
        e = Fraction(rest, open_weight) if open_weight else max(map(Fraction, sizes))
        counts = [
            size if capped else e * weight
            for size, weight, capped in zip(sizes, weights, full, strict=True)
        ]
        if all(
            e * weight >= size if capped else count <= size
            for size, weight, count, capped in zip(sizes, weights, counts, full, strict=True)
        ):
            return counts
    raise AssertionError


tensors = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(1, 5)),
    ),
    min_size=1,
    max_size=6,
)


@given(tensors, st.data())
def test_shares_are_exact_and_erk_is_that_of_trying_all_sets(shapes, data):
    sizes = np.array([prod(shape) for shape in shapes])
    kept = data.draw(st.integers(0, int(sizes.sum())))
    for counts, exact in (
        (erk_counts(shapes, kept), erk_by_trial(shapes, kept)),
        (
            uniform_counts(shapes, kept),
            [Fraction(kept * int(size), int(sizes.sum())) for size in sizes],
        ),
    ):
        assert sum(counts) == kept
        assert all(0 <= count <= size for count, size in zip(counts, sizes, strict=True))
        assert all(abs(count - share) < 1 for count, share in zip(counts, exact, strict=True))


@pytest.mark.parametrize("share", [uniform_counts, erk_counts])
def test_more_weights_than_there_are_cannot_be_kept(share):
    with pytest.raises(InputError, match=r"^kept must be at most 5152, got 5153$"):
        share(SHAPES, 5_153)
