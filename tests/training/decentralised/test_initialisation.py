"""Initial weights, scores and assumed masks of mask learning."""

import numpy as np
import pytest
from helpers.agents import TASK, row, started

from training.algorithms.decentralised.mce_pl import McePl
from training.decentralised.initialisation import (
    initial_neighbour_mask,
    initial_scores,
    initial_weights,
)
from training.decentralised.retention import maskable_entries


@pytest.fixture(scope="module")
def pool():
    return started(McePl(task=TASK, graph=row()))[0]._pool


def test_fan_in_is_the_models_own_start(pool):
    assert np.array_equal(initial_weights(pool, 3, "fan-in"), pool.initial_vector(3))


def test_other_starts_leave_biases_and_have_their_own_weights(pool):
    own = pool.initial_vector(3)
    uniform, constant = (
        initial_weights(pool, 3, name) for name in ("unit-uniform", "signed-constant")
    )
    outside = np.ones(len(own), dtype=bool)
    for entry in maskable_entries(pool.layout):
        outside[entry.slice] = False
        fan_in = entry.size // entry.shape[0]
        expected = np.sign(own[entry.slice]) * np.float32(np.sqrt(2 / fan_in))
        np.testing.assert_allclose(constant[entry.slice], expected, rtol=1e-6)
        drawn = uniform[entry.slice]
        assert np.all(np.abs(drawn) <= 1)
        assert abs(np.mean(drawn)) < 4 * np.sqrt(1 / 3 / entry.size)
        assert abs(np.mean(drawn**2) - 1 / 3) < 4 * np.sqrt(4 / 45 / entry.size)
    for weights in (uniform, constant):
        assert np.array_equal(weights[outside], own[outside])


def test_scores_are_uniform_within_one_over_the_root_of_the_fan_in(pool):
    scores = initial_scores(pool.layout, 0)
    for entry in maskable_entries(pool.layout):
        bound = 1 / np.sqrt(entry.size // entry.shape[0])
        drawn = scores[entry.slice] / bound
        assert np.all(np.abs(drawn) <= 1 + 1e-6)
        assert abs(np.mean(drawn**2) - 1 / 3) < 4 * np.sqrt(4 / 45 / entry.size)
        scores[entry.slice] = 0
    assert not scores.any()  # biases have none


def test_neighbours_masks_are_one_bernoulli_sample(pool):
    mask = initial_neighbour_mask(pool.layout, 0, 0.3, 0.9)
    for entry in maskable_entries(pool.layout):
        share = 0.3 if len(entry.shape) == 4 else 0.9
        assert abs(mask[entry.slice].mean() - share) < 4 * np.sqrt(share * (1 - share) / entry.size)
    assert not np.array_equal(mask, initial_neighbour_mask(pool.layout, 1, 0.3, 0.9))


def test_all_agents_start_with_the_same():
    trainer, state = started(McePl(task=TASK, graph=row()))
    for rows in (state.rows["scores"], state.rows["mask"], state.last_received["mask"]):
        assert np.array_equal(rows, np.tile(rows[0], (3, 1)))
    trainer.close()
