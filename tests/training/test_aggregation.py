"""Aggregation: means over holders against a reference, edge cases, properties."""

import numpy as np
import pytest

from training import sums
from training.aggregation import mean_over_holders, weighted_mean_over_holders

OLD = np.array([10, 11, 12, 13], dtype=np.float32)


def update(values, mask):
    mask = np.array(mask, dtype=bool)
    return np.where(mask, np.array(values, dtype=np.float32), np.float32(0)), mask


def test_mean_runs_over_holders_only():
    updates = [
        update([1, 2, 3, 4], [1, 1, 0, 0]),
        update([3, 6, 9, 9], [1, 0, 1, 0]),
        update([5, 1, 5, 9], [1, 1, 0, 0]),
    ]
    assert mean_over_holders(OLD, updates).tolist() == [
        3,
        1.5,
        9,
        13,
    ]  # held by all, two, one, none


def test_nobody_holds_keeps_the_old_value_exactly():
    old = np.array([0.1, -1e-30, 3e38], dtype=np.float32)
    assert np.array_equal(mean_over_holders(old, [update([1, 1, 1], [0, 0, 0])]), old)
    assert np.array_equal(mean_over_holders(old, []), old)


def test_what_lies_under_a_mask_is_never_read():
    poisoned = (
        np.array([1, np.nan, np.inf, 1], dtype=np.float32),
        np.array([True, False, False, True]),
    )
    assert mean_over_holders(OLD, [poisoned]).tolist() == [1, 11, 12, 1]


@pytest.mark.parametrize("clients", [1, 3, 7])
def test_identical_updates_aggregate_to_one_of_them(clients):
    rng = np.random.default_rng(0)
    one = update(rng.normal(size=50), rng.random(50) < 0.6)
    new = mean_over_holders(np.zeros(50, dtype=np.float32), [one] * clients)
    assert np.array_equal(new, one[0])


def test_order_of_clients_does_not_matter():
    rng = np.random.default_rng(1)
    updates = [update(rng.normal(size=200), rng.random(200) < 0.5) for _ in range(9)]
    old = rng.normal(size=200).astype(np.float32)
    there, back = mean_over_holders(old, updates), mean_over_holders(old, updates[::-1])
    np.testing.assert_allclose(there, back, rtol=1e-6)
    assert there.dtype == np.float32


def test_weights_count_holders_only():
    updates = [
        (*update([1, 2, 3, 4], [1, 1, 0, 0]), 1.0),
        (*update([4, 6, 9, 9], [1, 0, 1, 0]), 2.0),
    ]
    assert weighted_mean_over_holders(OLD, updates).tolist() == [3, 2, 9, 13]


def test_equal_weights_are_no_weights():
    rng = np.random.default_rng(2)
    updates = [update(rng.normal(size=200), rng.random(200) < 0.5) for _ in range(9)]
    old = rng.normal(size=200).astype(np.float32)
    ones, sevens = (
        weighted_mean_over_holders(old, ((*each, weight) for each in updates))
        for weight in (1.0, 7.0)
    )
    assert np.array_equal(ones, mean_over_holders(old, updates))
    np.testing.assert_allclose(sevens, ones, rtol=1e-6)


@pytest.mark.parametrize("piece", [1, 3, 4])
def test_pieces_and_shortcuts_change_no_bit(piece, monkeypatch):
    rng = np.random.default_rng(0)
    old, masks = (
        rng.normal(size=10).astype(np.float32),
        rng.random((4, 10)) < [[1.0], [0.5], [1.0], [0.2]],
    )
    updates = [
        (*update(rng.normal(size=10), mask), weight)
        for mask, weight in zip(masks, (3.0, 1.0, 1.0, 7.0), strict=True)
    ]
    total, held = np.zeros(10), np.zeros(10)
    for vector, mask, weight in updates:
        total[mask] += vector[mask].astype(np.float64) * weight
        held[mask] += weight
    monkeypatch.setattr(sums, "_BLOCK", piece)
    assert np.array_equal(
        weighted_mean_over_holders(old, updates), (total / held).astype(np.float32)
    )
