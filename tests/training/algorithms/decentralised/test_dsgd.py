"""DSGD against its equation, with missing and late messages."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.agents import LOOP, TASK, batches, delivery, equal, rounds, row, started
from torch.func import functional_call

from training.algorithms.decentralised.dsgd import Dsgd
from training.algorithms.server.fedavg import FedAvg
from training.decentralised.neighbours import Peers
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.graph import Graph
from wirelessfl.values import Delivery

K = 3
ALGORITHM = Dsgd(task=TASK, graph=row(), learning_rate=0.1)
MODEL, LAYOUT = ALGORITHM.method.spec().build_model()
NONE = np.zeros(K)
UNIFORM = np.array([[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 2, 1 / 2]])
METROPOLIS = np.array([[2 / 3, 1 / 3, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 3, 2 / 3]])


def reference_run(start, weights, iterations):
    """w_i <- sum_j W_ij w_j - eta g_i, tensor by tensor, with autograd."""
    w = torch.from_numpy(start.rows["vector"].copy())
    for iteration in range(iterations):
        step = torch.zeros_like(w)
        for k, (images, labels) in enumerate(batches(K, iteration)):
            leaf = w[k].clone().requires_grad_()
            tensors = {
                entry.name: leaf[entry.slice].view(entry.shape) for entry in LAYOUT.parameters
            }
            F.cross_entropy(functional_call(MODEL, tensors, (images,)), labels).backward()
            step[k] = leaf.grad
        w = (torch.from_numpy(weights) @ w.double()).float() - 0.1 * step
    return w


@pytest.mark.parametrize(("mixing", "weights"), [("uniform", UNIFORM), ("metropolis", METROPOLIS)])
def test_three_iterations_are_those_of_the_equation(mixing, weights):
    algorithm = replace(ALGORITHM, mixing=mixing)
    _, first = started(algorithm)
    state, _ = rounds(algorithm, 3)
    np.testing.assert_allclose(
        state.rows["vector"], reference_run(first, weights, 3), rtol=1e-5, atol=1e-6
    )


def test_of_one_agent_it_is_sgd_bit_for_bit():
    alone, _ = rounds(replace(ALGORITHM, graph=Graph()), 3, agents=1)
    trainer, state = started(FedAvg(task=TASK, learning_rate=0.1, local_steps=1), agents=1)
    for _ in range(3):
        state, _ = trainer.step(state, np.zeros(1), Delivery.all(1))
    assert np.array_equal(alone.rows["vector"][0], state.shared)


def test_metropolis_weights_keep_the_mean_of_all_agents(monkeypatch):
    trainer, state = started(replace(ALGORITHM, mixing="metropolis", local_steps=0))
    vectors = np.random.default_rng(0).normal(size=state.rows["vector"].shape).astype(np.float32)
    after, metrics = trainer.step(replace(state, rows={"vector": vectors}), NONE, Delivery.all(K))
    np.testing.assert_allclose(after.rows["vector"].mean(axis=0), vectors.mean(axis=0), atol=1e-6)
    assert metrics.loss is None
    assert np.ptp(after.rows["vector"], axis=0).max() < np.ptp(vectors, axis=0).max()


def test_running_statistics_are_averaged_with_the_weights():
    task = Task(model="resnet20", image_size=32, image_channels=3, width=0.2, batch_size=4)
    algorithm = Dsgd(task=task, graph=Graph(graph="complete"), learning_rate=0.1)
    _, layout = algorithm.method.spec().build_model()
    trainer, state = started(algorithm, agents=2)
    assert layout.parameter_size < layout.size
    alone, _ = trainer.step(state, np.zeros(2), Delivery.of([False, False]))
    again = [
        trainer.step(alone, np.zeros(2), Delivery.of(now))[0].rows["vector"]
        for now in ([False] * 2, [True] * 2)
    ]
    statistics = alone.rows["vector"][:, layout.buffers]
    step = again[0][:, layout.buffers] - statistics
    np.testing.assert_allclose(
        again[1][:, layout.buffers], statistics.mean(axis=0) + step, rtol=1e-4, atol=1e-5
    )
    trainer.close()


def test_missing_neighbours_are_excluded_from_the_mean():
    trainer, state = started(ALGORITHM)
    state, _ = trainer.step(state, NONE, Delivery.all(K))
    no_client, metrics = trainer.step(state, NONE, Delivery.of([False] * K))
    after, _ = trainer.step(state, NONE, delivery(on_time=[0, 1]))
    w, steps = state.rows["vector"], no_client.rows["vector"] - state.rows["vector"]
    expected = np.array([(w[0] + w[1]) / 2, (w[0] + w[1]) / 2, (w[1] + w[2]) / 2]) + steps
    np.testing.assert_allclose(after.rows["vector"], expected, atol=1e-6)
    assert set(metrics.uplink_bits) == {32.0 * LAYOUT.size}  # sent and paid for


def test_a_late_model_joins_the_mean_of_the_round_in_which_it_arrives():
    trainer, state = started(ALGORITHM)
    state, _ = trainer.step(state, NONE, Delivery.all(K))
    late, _ = trainer.step(state, NONE, delivery(on_time=[0, 1], late=[2]))
    restored = trainer.unpack(trainer.pack(late))
    away = {"participates": [0, 1], "on_time": [0, 1]}
    without, _ = trainer.step(restored, NONE, delivery(**away))
    after, _ = trainer.step(restored, NONE, delivery(**away, arrived_late=[2]))
    w = late.rows["vector"]
    step = without.rows["vector"][1] - (w[0] + w[1]) / 2
    expected = (w[0] + w[1] + state.rows["vector"][2]) / 3 + step
    np.testing.assert_allclose(after.rows["vector"][1], expected, atol=1e-6)
    assert np.array_equal(after.rows["vector"][2], w[2])
    assert sorted(without.late) == [2]
    assert not after.late


def test_an_idle_agent_keeps_its_model_and_sends_nothing():
    trainer, state = started(ALGORITHM)
    state, _ = trainer.step(state, NONE, Delivery.all(K))
    for ratios, here in ((NONE, [0, 2]), (np.array([0.0, 1.0, 0.0]), [0, 1, 2])):
        after, metrics = trainer.step(state, ratios, delivery(participates=here))
        assert np.array_equal(after.rows["vector"][1], state.rows["vector"][1])
        assert not np.array_equal(after.rows["vector"][0], state.rows["vector"][0])
        assert metrics.uplink_bits[1] == metrics.flops[1] == 0
    with pytest.raises(InputError, match="pruning_ratio must be 0, or 1 for an unscheduled client"):
        trainer.step(state, np.array([0.5, 0.0, 0.0]), Delivery.all(K))


def test_a_resumed_run_is_the_same_run():
    whole, _ = rounds(ALGORITHM, 4)
    trainer, _ = started(ALGORITHM)
    state = trainer.unpack(trainer.pack(rounds(ALGORITHM, 2)[0]))
    for _ in range(2):
        state, _ = trainer.step(state, NONE, Delivery.all(K))
    assert equal(state, whole)


def test_stacked_agents_are_those_of_the_loop_within_rounding():
    loop, stacked = (
        rounds(ALGORITHM, 2, runtime=replace(LOOP, executor=name))[0]
        for name in ("loop", "stacked")
    )
    np.testing.assert_allclose(stacked.rows["vector"], loop.rows["vector"], rtol=1e-5, atol=1e-6)


def test_traffic_counts_every_neighbour_or_every_message():
    _, metrics = rounds(ALGORITHM, 1)
    bits = 32.0 * LAYOUT.size
    assert metrics.extra["traffic_unicast_mb"] == pytest.approx(4 * bits / 8e6)
    assert metrics.extra["traffic_broadcast_mb"] == pytest.approx(3 * bits / 8e6)
    assert not metrics.downlink_bits.any()
    assert Peers.of(row(), K, 0).degrees.tolist() == [1, 2, 1]


def test_an_unknown_mixing_is_one_line():
    with pytest.raises(InputError, match=r"training.mixing must be one of uniform, metropolis"):
        replace(ALGORITHM, mixing="some")
