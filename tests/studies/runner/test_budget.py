"""Rounds that fit into a budget of local steps."""

import pytest
from helpers import plugin_folder

from studies.runner.budget import within_steps
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams


def experiment(seed=0, **training):
    return from_tables(
        {"training": training, "run": {"seed": seed, "rounds": 999, "eval_every": 7}}
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("probability", [1.0, 0.3, 0.01])
def test_the_rounds_are_those_that_the_coin_gives_within_the_budget(monkeypatch, seed, probability):
    plugin_folder.use(monkeypatch)
    made = within_steps(experiment(seed, algorithm="bowl", probability=probability), 400)
    lengths = [
        Streams(seed, round).generator("coin").geometric(probability)
        for round in range(made.run.rounds + 1)
    ]
    assert sum(lengths[:-1]) <= 400 < sum(lengths)
    assert (made.run.seed, made.run.eval_every) == (seed, 7)


def test_a_round_that_is_longer_than_the_budget_is_run_all_the_same(monkeypatch):
    plugin_folder.use(monkeypatch)
    assert within_steps(experiment(algorithm="bowl", probability=1e-6), 1).run.rounds == 1


def test_rounds_of_equal_length_follow_from_the_field():
    assert within_steps(experiment(algorithm="fedavg", local_steps=6), 20).run.rounds == 3


def test_what_has_no_local_steps_and_no_budget_is_refused(monkeypatch):
    plugin_folder.use(monkeypatch)
    refusal = r"--local-steps must have a training\.algorithm with local_steps of at least 1, got"
    with pytest.raises(InputError, match=refusal):
        within_steps(experiment(algorithm="counting"), 20)
    with pytest.raises(InputError, match=refusal):
        within_steps(experiment(algorithm="fedavg", local_steps=0), 20)
    with pytest.raises(InputError, match="local_steps must be a whole number of at least 1, got 0"):
        within_steps(experiment(algorithm="fedavg"), 0)
