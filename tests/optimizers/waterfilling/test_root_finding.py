"""Bracketed roots: smooth, with jumps, at the ends; and bands shared at one price."""

import numpy as np
import pytest

from optimizers._waterfilling.root_finding import bracket, mix, share_band


def test_smooth_roots_are_found_to_rounding_in_few_steps():
    target, calls = np.array([0.5, 2.0, 30.0]), []

    def fall(x):
        calls.append(x)
        return target - x**3

    low, high = bracket(fall, np.zeros(3), np.full(3, 10.0))
    np.testing.assert_allclose(low, np.cbrt(target), atol=5e-15)
    np.testing.assert_allclose(high, low, atol=5e-15)
    assert len(calls) < 25


def test_a_jump_is_closed_in_on_from_both_sides_about_as_fast_as_by_bisection():
    calls = []

    def step(x):
        calls.append(x)
        return np.where(x < 1 / 3, 5.0, -1e-9)

    low, high = bracket(step, np.zeros(1), np.ones(1))
    assert low < 1 / 3 <= high
    assert high - low < 1e-15
    assert len(calls) <= 53 + 8 + 2


def test_without_a_change_of_sign_both_ends_are_the_nearer_bound():
    low, high = bracket(lambda x: np.array([1.0, -1.0]) - 0 * x, np.zeros(2), np.ones(2))
    np.testing.assert_array_equal(low, [1.0, 0.0])
    np.testing.assert_array_equal(high, low)


def test_bands_that_jump_are_shared_by_mixing_the_two_sides():
    takes = np.ones(3, dtype=bool)

    def choice(level):
        return np.where(level <= 0.7, 0.6, 0.1) * np.ones(3)

    band, level = share_band(choice, lambda b: b, np.array([np.zeros(3), np.ones(3)]), takes)
    np.testing.assert_allclose(band, 1 / 3, rtol=1e-15)
    assert level == pytest.approx(0.7, rel=1e-15)


def test_mix_is_the_share_of_the_upper_side():
    np.testing.assert_array_equal(
        mix(np.array([1.5, 0.0, 9.0, 1.0]), 1.0, np.array([3.0, 3.0, 3.0, 1.0])), [0.25, 0, 1, 0]
    )
