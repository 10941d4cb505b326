"""Federated averaging, on clients of different sizes."""

import numpy as np
import pytest

from training.algorithms.server.fedavg import FedAvg
from training.algorithms.server.pruning_only import PruningOnly
from training.engine.program import LocalWork, Train
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

K = 4
TASK = Task(partition="dirichlet", batch_size=16)
ALL, NO_CLIENT = Delivery.all(K), np.zeros(K, dtype=bool)
LOOP = Runtime(executor="loop")
NONE = np.zeros(K)


def start(algorithm):
    trainer = algorithm.trainer(clients=K, seed=0, runtime=LOOP)
    return trainer, trainer.init(0)


def results(algorithm, state):
    """Every client's model after its program, and its samples."""
    data = algorithm.task.load(clients=K, seed=0, data_root=None)
    engine = algorithm.method.spec().build(data)
    works = (
        LocalWork(
            client=k,
            vector=state.shared.copy(),
            program=algorithm.method.program,
            pruning_ratio=0.0,
            streams=Streams(0, state.round),
        )
        for k in range(K)
    )
    return [engine.train(work).vector for work in works], [len(rows) for rows in data.train_index]


@pytest.mark.parametrize(
    "algorithm", [FedAvg(task=TASK), FedAvg(task=TASK, local_epochs=1, momentum=0.9)]
)
def test_a_round_is_the_mean_weighted_by_samples(algorithm):
    trainer, state = start(algorithm)
    after, _ = trainer.step(state, NONE, ALL)
    vectors, sizes = results(algorithm, state)
    assert max(sizes) > min(sizes)
    np.testing.assert_allclose(
        after.shared, np.average(vectors, axis=0, weights=sizes), rtol=1e-6, atol=1e-9
    )


def test_unweighted_is_the_plain_mean():
    trainer, state = start(FedAvg(task=TASK, weighted=False))
    after, _ = trainer.step(state, NONE, ALL)
    vectors, _ = results(FedAvg(task=TASK), state)
    np.testing.assert_allclose(after.shared, np.mean(vectors, axis=0), rtol=1e-6, atol=1e-9)


def test_without_weights_it_is_pruning_only_that_never_prunes_bit_for_bit():
    states = []
    for algorithm in (
        FedAvg(task=TASK, weighted=False),
        PruningOnly(task=TASK, learning_rate=0.01, importance_steps=0),
    ):
        trainer, state = start(algorithm)
        states.append(trainer.step(state, NONE, ALL)[0].shared)
    assert np.array_equal(*states)


def test_idle_and_late_clients_are_in_neither_sum():
    algorithm = FedAvg(task=TASK)
    trainer, state = start(algorithm)
    vectors, sizes = results(algorithm, state)
    now, later = np.array([True, True, False, False]), np.array([False, False, True, False])
    delivery = Delivery(
        participates=np.ones(K, dtype=bool), on_time=now, late=later, arrived_late=NO_CLIENT
    )
    after, metrics = trainer.step(state, np.array([0.0, 0.0, 0.0, 1.0]), delivery)
    expected = np.average(vectors[:2], axis=0, weights=sizes[:2])
    np.testing.assert_allclose(after.shared, expected, rtol=1e-6, atol=1e-9)
    assert metrics.uplink_bits[3] == metrics.flops[3] == 0
    arrival = Delivery(
        participates=NO_CLIENT, on_time=NO_CLIENT, late=NO_CLIENT, arrived_late=later
    )  # its weight does not matter alone
    np.testing.assert_array_equal(trainer.step(after, NONE, arrival)[0].shared, vectors[2])


def test_epochs_take_the_place_of_steps_and_fields_reach_the_program():
    fields = {"learning_rate": 0.3, "momentum": 0.9, "weight_decay": 1e-4, "clip_norm": 5.0}
    assert FedAvg(local_steps=7, **fields).method.program == (
        Train(part="shared", steps=7, stream="batches/shared", **fields),
    )
    assert FedAvg(local_epochs=2, **fields).method.program == (
        Train(part="shared", epochs=2, stream="batches/shared", **fields),
    )


def test_the_demand_is_all_fixed_and_nominal_until_the_data_are_there():
    algorithm = FedAvg(task=TASK, local_epochs=2)
    demand = algorithm.demand(K)
    trainer, state = start(algorithm)
    exact = trainer.demand(state)
    steps = [-(-size // 16) for size in results(algorithm, state)[1]]
    weights = len(state.shared)
    np.testing.assert_array_equal(
        demand.fixed_updates, np.full(K, 2 * 23 * weights)
    )  # 1442 / 4 in batches of 16
    np.testing.assert_array_equal(exact.fixed_updates, 2 * np.array(steps) * weights)
    for each in (demand, exact):
        assert not each.prunable_updates.any()
        assert not each.prunable_upload_bits.any()
        np.testing.assert_array_equal(each.fixed_upload_bits, np.full(K, 32 * weights))


def test_statistics_of_batch_norm_are_averaged_too():
    task = Task(model="resnet20", image_size=32, width=0.05, partition="dirichlet", batch_size=8)
    algorithm = FedAvg(task=task, local_steps=1)
    trainer, state = start(algorithm)
    after, metrics = trainer.step(state, NONE, ALL)
    vectors, sizes = results(algorithm, state)
    np.testing.assert_allclose(
        after.shared, np.average(vectors, axis=0, weights=sizes), rtol=1e-5, atol=1e-8
    )
    _, layout = algorithm.method.spec().build_model()
    assert layout.shared_buffer_size > 0
    assert not np.any(after.shared[layout.buffers] == state.shared[layout.buffers])
    assert metrics.uplink_bits.tolist() == [32.0 * layout.size] * K


def test_a_ratio_in_between_is_refused_in_one_line():
    trainer, state = start(FedAvg(task=TASK))
    with pytest.raises(
        InputError, match=r"pruning_ratio must be 0, or 1 .* got 0.3: choose an allocation.method"
    ):
        trainer.step(state, np.full(K, 0.3), ALL)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"learning_rate": 0}, "training.learning_rate must be above 0, got 0"),
        ({"local_steps": -1}, "training.local_steps must be a whole number of at least 0, got -1"),
        ({"local_epochs": 0}, "training.local_epochs must be a whole number of at least 1, got 0"),
        ({"momentum": 1.1}, "training.momentum must be at most 1, got 1.1"),
        ({"weight_decay": -1}, "training.weight_decay must be at least 0, got -1"),
        ({"clip_norm": 0}, "training.clip_norm must be above 0, got 0"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, said):
    with pytest.raises(InputError, match=said):
        FedAvg(**fields)
