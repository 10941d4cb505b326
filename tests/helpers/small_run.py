"""Runs of a few rounds of the dummies, for tests of the round loop."""

import pytest

from helpers import plugin_folder
from wirelessfl.protocols import Runtime
from wirelessfl.rounds import run_rounds


def experiment(rounds=10, **changes):
    return plugin_folder.experiment(
        rounds=rounds, **{"eval_every": 4, "checkpoint_every": 3, **changes}
    )


def run(experiment, folder, **listeners):
    """Run, or resume, in `folder`; without a listener any notification is an error. The trainer."""
    clients = experiment.scenario.clients
    seed = experiment.run.seed
    trainer = experiment.algorithm.trainer(clients=clients, seed=seed, runtime=Runtime())
    run_rounds(experiment, trainer, folder, **{"notify": pytest.fail, **listeners})
    return trainer


def contents(folder):
    """The bytes of the rounds and of the summary."""
    return folder.rounds_file.read_bytes(), folder.summary_file.read_bytes()
