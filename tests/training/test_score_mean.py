"""The recorded accuracy: a mean over clients, or one over their test samples."""

import numpy as np
import pytest
from helpers.cli import call

from training.algorithms.server.fedavg import FedAvg
from training.task import Task
from wirelessfl.protocols import Runtime

TASK = {"partition": "dirichlet", "dirichlet_alpha": 0.3, "batch_size": 16}


def evaluated(**changes):
    """Accuracy of the first model, accuracy of each client, and test samples of each client."""
    task = Task(**TASK, **changes)
    trainer = FedAvg(task=task).trainer(clients=4, seed=1, runtime=Runtime(executor="loop"))
    state = trainer.init(1)
    sizes = [len(index) for index in task.load(clients=4, seed=1, data_root=None).test_index]
    alone = [
        trainer._pool.executor.evaluate([work]) for work in trainer_works(trainer, state.shared)
    ]
    score = trainer.evaluate(state)
    trainer.close()
    return score, [next(iter(one)) for one in alone], sizes


def trainer_works(trainer, vector):
    from training.engine.program import EvaluationWork

    return [EvaluationWork(client=client, vector=vector.copy()) for client in range(4)]


def test_a_client_counts_as_much_as_any_or_by_its_test_samples():
    over_clients, accuracy, sizes = evaluated()
    over_samples, _, _ = evaluated(score_mean="samples")
    assert len(set(sizes)) > 1
    assert over_clients == pytest.approx(np.mean(accuracy), rel=1e-12)
    assert over_samples == pytest.approx(np.dot(accuracy, sizes) / sum(sizes), rel=1e-12)
    assert over_samples != pytest.approx(over_clients, rel=1e-6)


def test_the_run_says_which_mean_it_shows(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run = ("run", "--rounds", 1, "--set", "training.algorithm=fedavg", "--out")
    shown = call(capsys, monkeypatch, *run, "clients").out
    assert "accuracy, mean over clients, last / best" in shown
    samples = ("--set", "training.score_mean=samples")
    ended = call(capsys, monkeypatch, *run, "samples", *samples, "--verbose")
    assert "accuracy, mean over test samples, last / best" in ended.out
    assert "accuracy, mean over test samples" in ended.err
