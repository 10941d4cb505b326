"""Selection of weights: exact counts, ties and nested masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.sparsity.counts import prune_count
from training.sparsity.top_k import keep_most_important


@pytest.mark.parametrize(
    ("importance", "pruned", "kept"),
    [
        ([5, 1, 4, 2, 8, 7, 3, 6], 0, [1, 1, 1, 1, 1, 1, 1, 1]),
        ([5, 1, 4, 2, 8, 7, 3, 6], 3, [1, 0, 1, 0, 1, 1, 0, 1]),
        ([5, 1, 4, 2, 8, 7, 3, 6], 7, [0, 0, 0, 0, 1, 0, 0, 0]),
        ([5, 1, 4, 2, 8, 7, 3, 6], 8, [0, 0, 0, 0, 0, 0, 0, 0]),
        ([2, 1, 2, 2, 0, 2, 1, 2], 4, [0, 0, 1, 1, 0, 1, 0, 1]),  # one of five equals: the first
        ([0, 0, 0, 0, 0, 0, 0, 0], 5, [0, 0, 0, 0, 0, 1, 1, 1]),
    ],
)
def test_hand_drawn_masks_of_eight_weights(importance, pruned, kept):
    mask = keep_most_important(np.array(importance, dtype=np.float32), pruned)
    assert mask.tolist() == [bool(k) for k in kept]


@pytest.mark.parametrize(
    ("ratio", "size", "count"),
    [
        (0.0, 8, 0),
        (1e-9, 8, 1),
        (0.25, 8, 2),
        (0.26, 8, 3),
        (1.0, 8, 8),
        (0.1, 30, 3),
        (0.7, 10, 7),
        (0.55, 100, 55),
    ],
)
def test_ceil_without_the_rounding_error_of_the_product(ratio, size, count):
    assert prune_count(ratio, size) == count


@pytest.mark.parametrize("size", [8, 16_560, 15_000_000])
def test_every_whole_count_survives_the_division(size):
    counts = np.unique(np.linspace(0, size, 5_000).astype(int))
    assert all(prune_count(int(count) / size, size) == count for count in counts)


scores = st.lists(st.integers(0, 5), min_size=1, max_size=40).map(
    lambda values: np.array(values, dtype=np.float32)
)


@given(scores, st.data())
def test_masks_are_exact_ordered_and_nested(importance, data):
    fewer = data.draw(st.integers(0, importance.size))
    more = data.draw(st.integers(fewer, importance.size))
    mask, sparser = keep_most_important(importance, fewer), keep_most_important(importance, more)
    assert np.count_nonzero(~mask) == fewer
    assert not np.any(sparser & ~mask)
    if 0 < fewer < importance.size:
        assert importance[mask].min() >= importance[~mask].max()
    by_rank = np.lexsort((np.arange(importance.size), importance))[:fewer]
    assert np.array_equal(np.flatnonzero(~mask), np.sort(by_rank))


@given(scores, st.integers(0, 40), st.sampled_from([0.5, 2.0, 1024.0]))
def test_masks_do_not_see_the_scale(importance, pruned, scale):
    pruned = min(pruned, importance.size)
    assert np.array_equal(
        keep_most_important(importance, pruned), keep_most_important(scale * importance, pruned)
    )
