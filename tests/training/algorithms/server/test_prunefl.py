"""PruneFL: rounds under one mask, what they cost, when the mask changes."""

from dataclasses import replace

import numpy as np
import pytest

from training.algorithms.server.fedavg import FedAvg
from training.algorithms.server.prunefl import Prunefl
from training.engine.program import LocalWork
from training.server.reconfiguration import Reconfigure
from training.server.time_model import TimeModel
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

K, N, MASKABLE = 3, 5008, 4924  # digits-cnn: 84 biases
TASK = Task(partition="dirichlet", batch_size=16)
ALL = Delivery.all(K)
FIXED = Reconfigure(reconfigure="fixed-density", density=0.25, reconfigure_every=3)
KEPT = 84 + MASKABLE // 4


def start(algorithm):
    trainer = algorithm.trainer(clients=K, seed=0, runtime=Runtime(executor="loop"))
    return trainer, trainer.init(0)


def run(algorithm, rounds, delivery=ALL):
    trainer, state = start(algorithm)
    for _ in range(rounds):
        asked = trainer.demand(state)
        state, metrics = trainer.step(state, np.zeros(K), delivery)
    return trainer, state, asked, metrics


@pytest.mark.parametrize("fields", [{}, {"local_epochs": 1, "momentum": 0.9}])
def test_with_everything_kept_it_is_fedavg_bit_for_bit(fields):
    _, one, _, metrics = run(Prunefl(task=TASK, **fields), 2)
    _, other, _, expected = run(FedAvg(task=TASK, **fields), 2)
    assert np.array_equal(one.shared, other.shared)
    np.testing.assert_array_equal(metrics.flops, expected.flops)
    assert metrics.loss == expected.loss


def test_importance_is_the_weighted_sum_of_squared_sums_of_gradients():
    algorithm = Prunefl(task=TASK)
    trainer, state = start(algorithm)
    data = TASK.load(clients=K, seed=0, data_root=None)
    engine = algorithm.method.spec().build(data)
    now, expected = np.array([True, True, False]), np.zeros(N)
    for client in np.flatnonzero(now):
        work = LocalWork(
            client=client,
            vector=state.shared.copy(),
            program=algorithm.method.program,
            pruning_ratio=0.0,
            streams=Streams(0, 0),
        )
        expected += (
            len(data.train_index[client])
            * engine.train(work).sums["gradient"].astype(np.float64) ** 2
        )
    after, _ = trainer.step(state, np.zeros(K), Delivery.of(now))
    np.testing.assert_allclose(after.importance, expected, rtol=1e-12)


def test_fixed_density_keeps_the_most_important_and_its_rounds_cost_that():
    algorithm = Prunefl(task=TASK, reconfiguration=FIXED)
    _, first, asked, _ = run(algorithm, 1)
    assert np.count_nonzero(first.mask) == KEPT
    assert not np.any(first.shared[~first.mask])
    assert not first.importance.any()
    assert (
        asked.fixed_upload_bits.tolist() == [2 * 32 * N] * K
    )  # importance goes up beside the model
    _, second, asked, metrics = run(algorithm, 2)
    assert np.array_equal(second.mask, first.mask)
    assert not np.any(second.shared[~second.mask])
    assert second.importance[~second.mask].any()  # also what is pruned has a gradient
    assert asked.fixed_updates.tolist() == [5 * KEPT] * K
    assert metrics.uplink_bits.tolist() == asked.fixed_upload_bits.tolist() == [32 * KEPT] * K
    assert metrics.downlink_bits.tolist() == [32 * KEPT + N] * K  # the new mask as a bitmap
    assert metrics.extra == {"density": KEPT / N}
    _, third, _, _ = run(algorithm, 3)
    assert not np.array_equal(third.mask, first.mask)
    assert np.count_nonzero(third.mask) == KEPT


def test_reconfiguration_bits_can_be_omitted():
    change = Reconfigure(reconfigure_every=1, count_reconfiguration_bits=False)
    _, state, _, metrics = run(Prunefl(task=TASK, reconfiguration=change), 2)
    assert metrics.uplink_bits.tolist() == metrics.downlink_bits.tolist()
    assert state.mask.sum() < N


def test_flops_are_those_of_the_kept_weights():
    dense = run(FedAvg(task=TASK), 1)[3].flops
    sparse = run(Prunefl(task=TASK, reconfiguration=FIXED), 2)[3].flops
    assert np.all((sparse > 0.05 * dense) & (sparse < 0.6 * dense))


def test_the_adaptive_rule_drops_weights_and_respects_the_density():
    slow = TimeModel(
        assumed_constant_s=1e6
    )  # time does not count: whatever has a gradient is worth it
    change = Reconfigure(reconfigure_every=1, density=0.5)
    _, state, _, _ = run(Prunefl(task=TASK, reconfiguration=change, time=slow), 3)
    assert np.count_nonzero(state.mask) == 84 + MASKABLE // 2
    change = Reconfigure(reconfigure_every=1)
    _, all_kept, _, _ = run(Prunefl(task=TASK, reconfiguration=change, time=slow), 1)
    _, fewer, _, _ = run(Prunefl(task=TASK, reconfiguration=change), 1)
    assert fewer.mask.sum() < all_kept.mask.sum()


def test_the_time_of_a_weight_follows_from_its_layer():
    """The slowest client's FLOPs and 64 bits for each weight.

    Weights of a convolution count once for each use; the first layer needs no gradient at
    its input.
    """
    time = TimeModel(
        assumed_flops_per_s=(1e9, 2e8, 1e9), assumed_rate_bps=1e6, assumed_constant_s=2.0
    )
    trainer, state = start(Prunefl(task=TASK, time=time))
    _, metrics = trainer.step(state, np.zeros(K), ALL)
    total = trainer._constant_s + sum(trainer._seconds[layer].sum() for layer in trainer._layers)
    assert total == pytest.approx(2.0 + metrics.flops[1] / 2e8 + 64 * N / 1e6)
    computing = np.array([trainer._seconds[layer].mean() for layer in trainer._layers]) - 64 / 1e6
    np.testing.assert_allclose(computing / computing[-1], [64 * 2 / 3, 16, 1, 1], rtol=1e-6)


def test_one_client_prunes_at_the_start():
    change = Reconfigure(
        reconfigure="fixed-density", density=0.5, reconfigure_every=2, initial_rounds=2
    )
    trainer, state = start(Prunefl(task=TASK, reconfiguration=change))
    bits = []
    for round in range(3):
        asked = trainer.demand(state)
        state, metrics = trainer.step(state, np.zeros(K), ALL)
        assert np.array_equal(metrics.flops > 0, [True, round == 2, round == 2])
        assert np.array_equal(asked.fixed_updates > 0, metrics.flops > 0)
        bits.append((asked.fixed_download_bits > 0, asked.fixed_upload_bits > 0))
    all_clients, no_client, one = np.ones(K, bool), np.zeros(K, bool), np.arange(K) == 0
    expected = [(one, no_client), (no_client, one), (all_clients, all_clients)]
    for got, wanted in zip(bits, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_late_upload_joins_where_both_masks_keep():
    trainer, state = start(Prunefl(task=TASK, reconfiguration=FIXED))
    no_client, all_clients, one = np.zeros(K, bool), np.ones(K, bool), np.arange(K) == 0
    late = Delivery(participates=all_clients, on_time=~one, late=one, arrived_late=no_client)
    state, _ = trainer.step(state, np.zeros(K), late)
    arrives = Delivery(participates=no_client, on_time=no_client, late=no_client, arrived_late=one)
    after, _ = trainer.step(state, np.zeros(K), arrives)
    np.testing.assert_array_equal(
        after.shared[:N], np.where(state.mask, state.base.late[0][0][:N], 0.0)
    )


def test_a_mask_stays_while_nothing_is_delivered():
    trainer, state = start(Prunefl(task=TASK, reconfiguration=Reconfigure(reconfigure_every=1)))
    lost, _ = trainer.step(state, np.zeros(K), Delivery.of(np.zeros(K, bool)))
    assert lost.mask.all()
    assert np.array_equal(lost.shared, state.shared)
    assert not trainer.step(lost, np.zeros(K), ALL)[0].mask.all()


def test_late_uploads_join_in_the_same_order_after_a_restart():
    """Upload 1e17, -1e17 and 1 sum up to 1 or to 0: it depends on who comes first."""
    trainer, state = start(Prunefl(task=TASK, weighted=False))
    no_client, all_clients = np.zeros(K, bool), np.ones(K, bool)
    size = len(state.shared)
    late = {
        k: (np.full(size, value, np.float32), np.ones(size, bool))
        for k, value in ((2, 1e17), (0, -1e17), (1, 1))
    }
    state = replace(state, base=replace(state.base, late=late))
    arrive = Delivery(
        participates=no_client, on_time=no_client, late=no_client, arrived_late=all_clients
    )
    one, other = (
        trainer.step(it, np.zeros(K), arrive)[0]
        for it in (state, trainer.unpack(trainer.pack(state)))
    )
    assert np.array_equal(one.shared, other.shared)


def test_ratios_and_states_that_do_not_fit_are_refused_in_one_line():
    trainer, state = start(Prunefl(task=TASK))
    with pytest.raises(
        InputError, match=r"pruning_ratio must be 0, or 1 .* prunes by a mask of its own, got 0.3"
    ):
        trainer.step(state, np.full(K, 0.3), ALL)
    left_out, metrics = trainer.step(state, np.ones(K), ALL)
    assert np.array_equal(left_out.shared, state.shared)
    assert metrics.loss is None
    with pytest.raises(
        InputError, match=r"training state mask must have shape \(5008,\), got \(3,\)"
    ):
        trainer.unpack(trainer.pack(state) | {"mask": np.ones(3, dtype=bool)})
