"""A thousand clients: one copy of common data, no cost for absent clients."""

import numpy as np
import pytest

from training.algorithms.server.fedsim import FedSim
from training.algorithms.server.pruning_only import PruningOnly
from training.server.state import ServerState
from training.task import Task
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

K = 6


def trainer(algorithm, monkeypatch, **task):
    """A trainer and the lists of clients that its executor is asked to train and to evaluate."""
    made = algorithm(task=Task(batch_size=32, **task), learning_rate=0.05).trainer(
        clients=K, seed=0, runtime=Runtime(executor="loop")
    )
    executor, asked = made._pool.executor, {"train": [], "evaluate": []}
    for name, clients in asked.items():
        plain = getattr(executor, name)

        def noted(works, plain=plain, clients=clients):
            return plain(clients.append(work.client) or work for work in works)

        monkeypatch.setattr(executor, name, noted)
    return made, asked


@pytest.mark.parametrize(
    ("task", "evaluated"),
    [({"partition": "iid"}, [0]), ({"partition": "dirichlet"}, list(range(K)))],
)
def test_one_model_is_evaluated_once_on_each_test_set(task, evaluated, monkeypatch):
    made, asked = trainer(PruningOnly, monkeypatch, **task)
    state = made.init(3)
    accuracy = made.evaluate(state)
    assert asked["evaluate"] == evaluated
    made._pool.test_sets = list(range(K))  # as if every client had a test set of its own
    assert made.evaluate(state) == accuracy
    assert asked["evaluate"] == [*evaluated, *range(K)]


def test_models_of_their_own_are_all_evaluated(monkeypatch):
    made, asked = trainer(FedSim, monkeypatch, partition="iid")
    made.evaluate(made.init(3))
    assert asked["evaluate"] == list(range(K))


@pytest.mark.parametrize("algorithm", [FedSim, PruningOnly])
def test_who_is_absent_stays_as_it_is_and_has_no_model_made(algorithm, monkeypatch):
    made, asked = trainer(algorithm, monkeypatch, partition="iid")
    state, models = made.init(3), []
    plain = ServerState.client_vector
    monkeypatch.setattr(
        ServerState,
        "client_vector",
        lambda self, client, layout: models.append(client) or plain(self, client, layout),
    )
    here = np.isin(np.arange(K), (1, 4))
    nobody = np.zeros_like(here)
    after, metrics = made.step(
        state,
        np.full(K, 0.2),
        Delivery(participates=here, on_time=here, late=nobody, arrived_late=nobody),
    )
    assert asked["train"] == models == [1, 4]
    assert np.array_equal(after.personal[~here], state.personal[~here])
    assert not np.array_equal(after.shared, state.shared)
    for cost in (metrics.flops, metrics.uplink_bits, metrics.downlink_bits):
        assert np.array_equal(cost > 0, here)
