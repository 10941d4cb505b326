"""Runs of a few rounds of the dummies, for tests of the round loop."""

from collections.abc import Callable
from typing import Any

import pytest

from helpers import plugin_folder
from wirelessfl.experiment import Experiment
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.rounds import run_rounds


def experiment(rounds: int = 10, **changes: Any) -> Experiment:
    return plugin_folder.experiment(
        rounds=rounds, **{"eval_every": 4, "checkpoint_every": 3, **changes}
    )


def run(experiment: Experiment, folder: RunFolder, **listeners: Callable[..., None]) -> Trainer:
    """Run, or resume, in `folder`, and return the trainer.

    Without a listener `notify` any notification fails the test.
    """
    clients = experiment.scenario.clients
    seed = experiment.run.seed
    trainer = experiment.algorithm.trainer(clients=clients, seed=seed, runtime=Runtime())
    run_rounds(experiment, trainer, folder, **{"notify": pytest.fail, **listeners})
    return trainer


def contents(folder: RunFolder) -> tuple[bytes, bytes]:
    """The bytes of the rounds and of the summary."""
    return folder.rounds_file.read_bytes(), folder.summary_file.read_bytes()
