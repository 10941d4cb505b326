"""Sums over clients: the compiled passes give the bits of one vector after the other."""

import numpy as np
import pytest

from training import sums
from training.aggregation import weighted_mean_over_holders
from training.sums import WeightedSum

SIZE = 70_001  # more than one block of the array code
RNG = np.random.default_rng(0)
START = RNG.normal(size=SIZE).astype(np.float32)
ROWS = [START + RNG.normal(0, 1e-3, SIZE).astype(np.float32) for _ in range(7)]
WEIGHTS = [1.0, 37.0, 2.0, 5.5, 101.0, 1.0, 3.0]


@pytest.fixture(params=["arrays", "compiled"])
def way(request, monkeypatch):
    """A process in which the compiled sums are loaded, or one in which they never pay."""
    fresh = sums.CompiledSums()
    if request.param == "compiled":
        assert fresh.worthwhile(sums._PAYS_AFTER + 1)
    monkeypatch.setattr(sums, "COMPILED", fresh)
    return request.param


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
def test_a_sum_has_the_bits_of_one_vector_after_the_other(way, count):
    total, expected = WeightedSum(SIZE), np.zeros(SIZE)
    for row, weight in zip(ROWS[:count], WEIGHTS[:count], strict=True):
        total.add(row, weight)
        expected += row.astype(np.float64) * weight
    assert np.array_equal(total.total, expected)


@pytest.mark.parametrize("count", [1, 4, 6])
def test_squares_have_the_bits_of_one_vector_after_the_other(way, count):
    total, expected = WeightedSum(SIZE, START), np.zeros(SIZE)
    for number, (row, weight) in enumerate(zip(ROWS[:count], WEIGHTS[:count], strict=True)):
        total.add(row, weight, 0.3 * (number + 1))
        step = (row.astype(np.float64) - START) / (0.3 * (number + 1))
        expected += weight * (step * step)
    assert np.array_equal(total.total, expected)


def test_a_mean_keeps_the_order_of_partial_and_full_masks(way):
    masks = [RNG.random(SIZE) < 0.5 if k in (1, 4) else np.ones(SIZE, bool) for k in range(7)]
    found = weighted_mean_over_holders(START, zip(ROWS, masks, WEIGHTS, strict=True))
    total, weights = np.zeros(SIZE), np.zeros(SIZE)
    for row, mask, weight in zip(ROWS, masks, WEIGHTS, strict=True):
        total[mask] += row[mask].astype(np.float64) * weight
        weights[mask] += weight
    assert np.array_equal(found, (total / weights).astype(np.float32))


def test_compiled_sums_are_loaded_once_they_pay():
    fresh = sums.CompiledSums()
    assert not fresh.worthwhile(sums._PAYS_AFTER)
    assert fresh.worthwhile(1)
    assert fresh.worthwhile(0)


def test_without_numba_the_array_code_goes_on(monkeypatch):
    monkeypatch.setattr(sums, "find_spec", lambda name: None)
    fresh = sums.CompiledSums()
    assert not fresh.worthwhile(10 * sums._PAYS_AFTER)
