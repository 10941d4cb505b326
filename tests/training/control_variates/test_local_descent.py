"""The common coin, budgets of local steps, and the fields of local descent."""

import numpy as np
import pytest

from training.control_variates.local_descent import LocalDescent, rounds_within, steps_of_round
from training.engine.program import Train
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams


@pytest.mark.parametrize("probability", [0.02, 0.3])
def test_a_round_is_geometric_with_mean_one_over_p(probability):
    lengths = np.array([steps_of_round(Streams(3, round), probability) for round in range(4000)])
    deviation = np.sqrt(1 - probability) / probability
    assert abs(lengths.mean() - 1 / probability) < 4 * deviation / np.sqrt(len(lengths))
    assert abs((lengths == 1).mean() - probability) < 4 * np.sqrt(
        probability * (1 - probability) / len(lengths)
    )
    assert lengths.min() == 1


def test_communications_of_t_steps_are_p_t_on_average():
    probability, steps = 0.05, 2000
    counts = np.array([rounds_within(seed, probability, steps) for seed in range(40)])
    deviation = np.sqrt(probability * (1 - probability) * steps)
    assert abs(counts.mean() - probability * steps) < 4 * deviation / np.sqrt(len(counts))


def test_the_coin_is_a_function_of_seed_and_round_alone():
    def lengths(seed, **fields):
        descent = LocalDescent(probability=0.1, **fields)
        return [descent.steps(Streams(seed, round)) for round in range(20)]

    assert lengths(0) == lengths(0, learning_rate=3.0, gradients="full", ridge=1.0)
    assert lengths(0) != lengths(1)
    assert lengths(5, coin="fixed") == [10] * 20
    assert LocalDescent(probability=1.0).steps(Streams(0)) == 1


def test_a_budget_is_filled_and_not_exceeded():
    lengths = np.cumsum([steps_of_round(Streams(2, round), 0.1) for round in range(100)])
    for budget in (0, 1, 57, int(lengths[40])):
        rounds = rounds_within(2, 0.1, budget)
        assert rounds == np.count_nonzero(lengths <= budget)
    assert rounds_within(0, 0.1, 95, "fixed") == 9


def test_expected_steps():
    assert LocalDescent(probability=0.08).expected_steps == 12.5
    assert LocalDescent(probability=0.08, coin="fixed").expected_steps == 12
    assert LocalDescent(probability=0.9, coin="fixed").expected_steps == 1


def test_the_ridge_is_half_of_the_alpha_of_the_paper_once_for_all_clients():
    assert LocalDescent().ridge == 500.0


def test_fields_reach_the_program():
    fields = {"learning_rate": 0.3, "weight_decay": 1e-4, "clip_norm": 5.0}
    assert LocalDescent(**fields).program(7) == (
        Train(part="shared", steps=7, stream="batches/shared", **fields),
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"learning_rate": 0}, "training.learning_rate must be above 0, got 0"),
        ({"probability": 0}, "training.probability must be above 0, got 0"),
        ({"probability": 1.5}, "training.probability must be at most 1, got 1.5"),
        ({"probability": float("nan")}, "training.probability must be finite, got nan"),
        ({"coin": "biased"}, "training.coin must be one of random, fixed; got 'biased'"),
        ({"gradients": "half"}, "training.gradients must be one of minibatch, full; got 'half'"),
        ({"ridge": -1}, "training.ridge must be at least 0, got -1"),
        ({"l2": -1}, "training.l2 must be at least 0, got -1"),
        ({"weight_decay": -1}, "training.weight_decay must be at least 0, got -1"),
        ({"clip_norm": 0}, "training.clip_norm must be above 0, got 0"),
        (
            {"gradients": "full", "clip_norm": 2.0},
            "training.clip_norm must be left out with training.gradients 'full', got 2",
        ),
    ],
)
def test_bad_fields_are_refused_in_one_line(fields, said):
    with pytest.raises(InputError) as error:
        LocalDescent(**fields)
    assert str(error.value) == said
