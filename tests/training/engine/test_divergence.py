"""A run whose training diverges stops in that round with one line and goes on from its last good
checkpoint.
"""

from dataclasses import replace

import numpy as np
import pytest

from training.algorithms.server.fedalt import FedAlt
from training.task import Task
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.rounds import run_rounds
from wirelessfl.values import Delivery

K, LOOP = 3, Runtime(executor="loop")


class BreaksInRound:
    """A trainer whose client 1 holds a number that is none from some round on."""

    def __init__(self, trainer, round):
        self._trainer, self._round = trainer, round

    def __getattr__(self, name):
        return getattr(self._trainer, name)

    def step(self, state, pruning_ratio, delivery):
        if state.round == self._round:
            personal = state.personal.copy()
            personal[1, 3] = np.inf
            state = replace(state, personal=personal)
        return self._trainer.step(state, pruning_ratio, delivery)


def trainer():
    return FedAlt(task=Task(batch_size=32), learning_rate=0.05).trainer(
        clients=K, seed=0, runtime=LOOP
    )


def test_the_message_is_one_line_with_client_tensor_and_step():
    it = BreaksInRound(trainer(), 0)
    with pytest.raises(InputError) as caught:
        it.step(it.init(0), np.full(K, 0.5), Delivery.all(K))
    assert str(caught.value) == (
        "training diverged: client 1, round 1, loss 0, conv1.weight is not finite at step 0 of "
        "the start; "
        "reduce training.learning_rate"
    )


def run(folder, trainer):
    experiment = from_tables(
        {
            "scenario": {"clients": K},
            "channel": {"model": "static"},
            "allocation": {"method": "exact"},
            "training": {"algorithm": "fedalt", "batch_size": 32, "learning_rate": 0.05},
            "run": {"rounds": 5, "checkpoint_every": 1, "eval_every": 5},
        }
    )
    run_rounds(experiment, trainer, folder, notify=pytest.fail)
    return folder.rounds_file.read_bytes()


def test_a_run_that_diverges_goes_on_from_its_last_good_checkpoint(tmp_path):
    whole = run(RunFolder.create(tmp_path / "whole", ""), trainer())
    folder = RunFolder.create(tmp_path / "broken", "")
    with pytest.raises(
        InputError,
        match=r"^training diverged: client 1, round 4, loss .* step 0 of the start; [^\n]*$",
    ):
        run(folder, BreaksInRound(trainer(), 3))
    assert len(folder.records()) == 3
    checkpoint = folder.last_checkpoint(pytest.fail)
    assert checkpoint.round == 3
    assert all(np.isfinite(array).all() for array in checkpoint.arrays.values())
    assert run(folder, trainer()) == whole
