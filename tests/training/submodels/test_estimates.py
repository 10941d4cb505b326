"""Gradient and curvature from returned models, computed manually."""

import numpy as np
import pytest

from training.engine.program import LocalResult
from training.submodels.estimates import Estimates, RoundStatistics, RunningMean

START = np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32)
NO_FILTERS = {"filters": np.zeros(0, dtype=bool), "movement": np.zeros(0)}


def result(delta, mask, steps=1, **more):
    held = np.array(mask, dtype=bool)
    vector = np.where(held, START + np.array(delta, dtype=np.float32), START)
    return LocalResult(vector=vector, mask=held, loss=0.0, steps=steps, **more)


def seen(*results, rate=1.0, start=START):
    observation = RoundStatistics(start, rate)
    for one, weight in results:
        observation.add(one, weight)
    return observation


def nothing(**sizes):
    return Estimates.unknown(
        1, **{"gradient": 0, "curvature": 0, "movement": 0, "last": 0} | sizes
    ).row(0)


FIRST = (result([0.5, -1, 0, 0], [1, 1, 0, 0], steps=2), 3.0)
SECOND = (result([0, 2, -4, 0], [0, 1, 1, 0], steps=4), 1.0)


def test_a_round_is_averaged_over_the_holders_of_a_weight():
    it = seen(FIRST, SECOND, rate=0.5)  # delta / (rate steps): [.5, -1] and [1, -2]
    np.testing.assert_allclose(it.mean_gradient(), [-0.5, -(3 * -1 + 1 * 1) / 4, 2, 0])
    np.testing.assert_allclose(it.mean_square(), [0.25, (3 * 1 + 1 * 1) / 4, 4, 0])
    np.testing.assert_allclose(
        it.movement(), [0.375, 0.25, 1, 0]
    )  # a client that does not hold the weight counts with 0
    assert it.seen.tolist() == [True, True, True, False]


def test_order_and_scale_of_the_weights_do_not_matter():
    one, other = seen(FIRST, SECOND), seen((SECOND[0], 10.0), (FIRST[0], 30.0))
    for name in ("mean_gradient", "mean_square", "movement"):
        np.testing.assert_allclose(getattr(one, name)(), getattr(other, name)(), rtol=1e-15)


def test_squares_that_clients_measure_take_the_place_of_the_movement():
    squares = np.array([2, 4, 0, 0], dtype=np.float32)
    sent = result([0.5, -1, 0, 0], [1, 1, 0, 0], sums={"squared_gradient": squares}, batches=2)
    assert seen((sent, 1.0)).mean_square().tolist() == [1, 2, 0, 0]


def test_a_client_without_a_step_tells_nothing():
    assert not seen((result([1, 1, 1, 1], [1, 1, 1, 1], steps=0), 1.0)).seen.any()


def test_the_first_observation_is_taken_whole_and_weights_without_holder_keep_their_estimate():
    known = nothing(gradient=4, curvature=4)
    known = seen(FIRST).update(known, 0.9, secant=False, **NO_FILTERS)
    np.testing.assert_allclose(known.gradient.value, [-0.25, 0.5, 0, 0])
    assert known.gradient.known.tolist() == [True, True, False, False]
    after = seen(SECOND).update(known, 0.9, secant=False, **NO_FILTERS)
    np.testing.assert_allclose(after.gradient.value, [-0.25, 0.9 * 0.5 + 0.1 * -0.5, 1, 0])
    np.testing.assert_allclose(after.curvature.value, [0.0625, 0.9 * 0.25 + 0.1 * 0.25, 1, 0])


def test_the_secant_is_the_change_of_the_gradient_over_that_of_the_weight():
    known = seen(FIRST).update(
        nothing(gradient=4, curvature=4, last=4), 0.0, secant=True, **NO_FILTERS
    )
    assert not known.curvature.known.any()  # one observation has no slope
    moved = START + np.array([0.5, 0, 0, 0], dtype=np.float32)
    step = LocalResult(
        vector=moved - 1, mask=np.array([True, False, True, False]), loss=0.0, steps=1
    )
    after = seen((step, 1.0), start=moved).update(known, 0.0, secant=True, **NO_FILTERS)
    assert after.curvature.known.tolist() == [True, False, False, False]
    assert after.curvature.value[0] == pytest.approx(abs(1 - -0.25) / 0.5, rel=1e-6)
    assert after.last_vector.tolist() == [1.5, 2, 3, 0]


def test_the_secant_of_a_quadratic_is_its_curvature():
    curvature = np.array([0.5, 1, 2, 4], dtype=np.float32)
    known, vector = nothing(gradient=4, curvature=4, last=4), START
    for _ in range(3):
        step = LocalResult(
            vector=vector - 0.1 * curvature * vector, mask=np.ones(4, bool), loss=0.0, steps=1
        )
        known = seen((step, 1.0), rate=0.1, start=vector).update(
            known, 0.9, secant=True, **NO_FILTERS
        )
        vector = step.vector
    np.testing.assert_allclose(
        known.curvature.value, curvature, rtol=2e-3
    )  # clipped at the 99.9 % quantile


def test_the_secant_of_a_weight_that_stands_out_is_clipped():
    """Of 2,001 weights one has a slope of 1e6, the others 1: their 99.9 % quantile is 1."""
    known, start = (
        nothing(gradient=2001, curvature=2001, last=2001),
        np.ones(2001, dtype=np.float32),
    )
    slope = np.where(np.arange(2001) == 7, 1e6, 1.0)
    for gradient in (np.ones(2001), 1.0 + slope):
        vector = (start - gradient).astype(np.float32)
        step = LocalResult(vector=vector, mask=np.ones(2001, dtype=bool), loss=0.0, steps=1)
        known = seen((step, 1.0), start=start).update(known, 0.9, secant=True, **NO_FILTERS)
        start = start + np.float32(1)
    np.testing.assert_allclose(known.curvature.value, 1.0, rtol=1e-5)


def test_movement_is_the_last_that_was_seen():
    known = RunningMean(np.array([1, 2], dtype=np.float32), np.array([True, False]))
    after = known.moved(np.array([5.0, 7.0]), np.array([True, False]), 0.0)
    assert after.value.tolist() == [5, 2]
    assert after.known.tolist() == [True, False]


def test_rows_are_replaced_and_packed_whole():
    table = Estimates.unknown(3, gradient=4, curvature=4, movement=2, last=4)
    row = seen(FIRST).update(
        table.row(1),
        0.9,
        secant=True,
        filters=np.array([True, False]),
        movement=np.array([1.0, 0.0]),
    )
    after = table.with_rows({1: row})
    assert not table.gradient.known.any()
    assert after.gradient.known.sum(axis=1).tolist() == [0, 2, 0]
    assert after.movement.value.tolist() == [[0, 0], [1, 0], [0, 0]]
    packed = after.pack()
    again = table.unpack(packed).pack()
    assert all(np.array_equal(packed[name], again[name]) for name in packed)
