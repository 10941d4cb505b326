"""Rounds of server-based training: means over holders, late uploads, checkpoints, executors."""

import io
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training.algorithms.server.fedalt import FedAlt
from training.algorithms.server.fedsim import FedSim
from training.algorithms.server.pruning_only import PruningOnly
from training.engine.program import LocalWork
from training.server.trainer import ServerState
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

K = 4
N_V, N_U = 1248, 3760
TASK = Task(batch_size=32)
ALL = Delivery.all(K)
LOOP = Runtime(executor="loop")


def trainer(algorithm, clients=K, seed=0):
    return algorithm.trainer(clients=clients, seed=seed, runtime=LOOP)


def fedalt(**fields):
    return FedAlt(task=TASK, learning_rate=0.05, **fields)


def run(algorithm, ratios, rounds=2, delivery=ALL):
    it = trainer(algorithm)
    state = it.init(0)
    for _ in range(rounds):
        state, metrics = it.step(state, np.array(ratios, dtype=float), delivery)
    return state, metrics


def same(one, other):
    return np.array_equal(one.shared, other.shared) and np.array_equal(one.personal, other.personal)


@pytest.mark.slow
def test_ratio_zero_is_only_personalisation_bit_for_bit():
    assert same(run(fedalt(), [0] * K)[0], run(fedalt(importance_steps=0), [0] * K)[0])


def test_without_importance_steps_nothing_can_be_pruned():
    with pytest.raises(
        InputError, match=r"training\.importance_steps must be at least 1 .* ratio 0\.3, got 0"
    ):
        run(fedalt(importance_steps=0), [0, 0.3, 0, 0])


def test_a_round_is_every_clients_program_and_the_mean_over_holders():
    ratios, algorithm = np.array([0.0, 0.4, 0.8, 1.0]), fedalt()
    it = trainer(algorithm)
    start = it.init(0)
    after, _ = it.step(start, ratios, ALL)
    engine = algorithm.method.spec().build(TASK.load(clients=K, seed=0, data_root=None))
    total, holders = np.zeros(N_U), np.zeros(N_U)
    for client in range(K):
        vector = np.concatenate([start.personal[client], start.shared])
        program = algorithm.method.program[: 3 if client < 3 else 1]
        result = engine.train(
            LocalWork(
                client=client,
                vector=vector,
                program=program,
                pruning_ratio=ratios[client],
                streams=Streams(0, 0),
            )
        )
        assert np.array_equal(after.personal[client], result.vector[:N_V])
        if client < 3:
            total[result.mask] += result.vector[N_V:][result.mask]
            holders += result.mask
    assert set(holders) == {1, 2, 3}
    np.testing.assert_allclose(after.shared, total / holders, rtol=1e-6)


def test_lost_uploads_are_excluded_and_the_personal_part_stays():
    late = np.array([True, False, True, True])
    state, metrics = run(fedalt(), [0.3] * K, rounds=1, delivery=Delivery.of(late))
    all_clients, paid = run(fedalt(), [0.3] * K, rounds=1)
    assert np.array_equal(state.personal, all_clients.personal)
    assert not np.array_equal(state.shared, all_clients.shared)
    assert np.array_equal(metrics.uplink_bits, paid.uplink_bits)


def test_without_deliveries_the_model_stays():
    it = trainer(fedalt())
    start = it.init(0)
    state, _ = it.step(start, np.full(K, 0.3), Delivery.of(np.zeros(K)))
    assert np.array_equal(state.shared, start.shared)
    assert not np.array_equal(state.personal, start.personal)


@pytest.mark.parametrize("algorithm", [fedalt(), FedSim(task=TASK, learning_rate=0.05)])
def test_ratio_one_trains_the_personal_part_alone(algorithm):
    it = trainer(algorithm)
    start = it.init(0)
    state, metrics = it.step(start, np.ones(K), ALL)
    assert np.array_equal(state.shared, start.shared)
    assert not np.any(np.all(state.personal == start.personal, axis=1))
    assert not metrics.uplink_bits.any()
    assert np.isfinite(metrics.loss)


def test_ratio_one_of_a_method_without_personal_part_does_nothing():
    it = trainer(PruningOnly(task=TASK))
    start = it.init(0)
    state, metrics = it.step(start, np.ones(K), ALL)
    assert same(state, start)
    assert (metrics.loss, metrics.flops.sum(), state.round) == (None, 0.0, 1)


def test_personal_weights_do_not_see_those_of_others():
    it = trainer(fedalt())
    start = it.init(0)
    moved = start.personal.copy()
    moved[1] += 0.1
    other = ServerState(start.seed, start.round, start.shared, moved)
    ours, theirs = it.step(start, np.full(K, 0.3), ALL)[0], it.step(other, np.full(K, 0.3), ALL)[0]
    assert np.array_equal(ours.personal[[0, 2, 3]], theirs.personal[[0, 2, 3]])
    assert not np.array_equal(ours.personal[1], theirs.personal[1])
    assert not np.array_equal(ours.shared, theirs.shared)


def test_no_shared_steps_leave_the_shared_part_unchanged():
    it = trainer(fedalt(shared_steps=0))
    start = it.init(0)
    state, _ = it.step(start, np.array([0, 0.2, 0.5, 0.9]), ALL)
    assert np.array_equal(state.shared, start.shared)


def test_fedsim_with_personal_rate_zero_is_averaging_with_fixed_personal_part():
    fedsim = FedSim(task=TASK, learning_rate=0.05, personal_learning_rate=0.0)
    state, _ = run(fedsim, [0, 0.2, 0.5, 0.9])
    assert same(state, run(fedalt(personal_steps=0), [0, 0.2, 0.5, 0.9])[0])
    assert np.array_equal(state.personal, np.tile(state.personal[0], (K, 1)))


def test_one_client_one_round_one_step_is_sgd():
    task = Task(partition="iid", batch_size=10_000)
    it = trainer(
        PruningOnly(task=task, learning_rate=0.1, local_steps=1, importance_steps=0), clients=1
    )
    start = it.init(0)
    state, metrics = it.step(start, np.zeros(1), Delivery.all(1))
    data = task.load(clients=1, seed=0, data_root=None)
    model, layout = PruningOnly(task=task).method.spec().build_model()
    layout.bind(model, torch.from_numpy(start.shared.copy()), torch.zeros(layout.size))
    rows = data.train_index[0]
    loss = F.cross_entropy(
        model((data.train_images[rows].float() - data.mean) / data.std), data.train_labels[rows]
    )
    loss.backward()
    for parameter in model.parameters():
        parameter.data -= 0.1 * parameter.grad
    np.testing.assert_allclose(state.shared, layout.flatten(model).numpy(), atol=1e-6)
    assert metrics.loss == pytest.approx(loss.item(), rel=1e-5)


def test_a_thousand_clients_are_never_there_at_once(monkeypatch):
    clients = 60
    it = trainer(
        PruningOnly(task=Task(partition="iid", batch_size=8), local_steps=1, importance_steps=0),
        clients=clients,
    )
    state = it.init(0)
    assert state.personal.size == 0
    alive, most = weakref.WeakSet(), 0
    train = it._pool.executor.train

    def counted(works):
        def seen(items):
            nonlocal most
            for item in items:
                alive.add(item)
                most = max(most, len(alive))
                yield item

        return seen(train(seen(works)))

    monkeypatch.setattr(it._pool.executor, "train", counted)
    it.step(state, np.zeros(clients), Delivery.all(clients))
    assert 2 <= most <= 6  # works and results


def test_clients_without_work_are_not_sent_to_the_executor(monkeypatch):
    it = trainer(PruningOnly(task=TASK, learning_rate=0.05))
    start, asked, train = it.init(0), [], it._pool.executor.train

    def noted(works):
        works = list(works)
        asked.extend(work.client for work in works)
        return train(works)

    monkeypatch.setattr(it._pool.executor, "train", noted)
    state, metrics = it.step(start, np.array([1, 0.5, 1, 0]), ALL)
    assert asked == [1, 3]
    assert metrics.uplink_bits.tolist() == [0, 32 * (N_U + N_V) // 2, 0, 32 * (N_U + N_V)]
    assert not same(state, start)


def test_payload_is_exact_and_additive():
    ratios = np.array([0.0, 0.25, 0.5, 1.0])
    kept = np.array([N_U, N_U - 940, N_U - 1880, 0])
    assert run(fedalt(), ratios)[1].uplink_bits.tolist() == (32 * kept).tolist()
    with_bitmap = run(fedalt(count_mask_bits=True), ratios)[1].uplink_bits
    assert with_bitmap.tolist() == (32 * kept + N_U * (kept > 0)).tolist()
    assert run(fedalt(), ratios)[1].downlink_bits.tolist() == [32 * N_U] * K


def test_demand_of_the_three_methods():
    def numbers(algorithm):
        demand = algorithm.demand(K)
        assert all(array.shape == (K,) and len(set(array)) == 1 for array in vars(demand).values())
        assert (
            demand.fixed_download_bits[0] == demand.prunable_upload_bits[0]
        )  # the dense model is broadcast
        return [array[0] for array in vars(demand).values()][
            :4
        ]  # fixed, prunable updates; the same of upload bits

    task = Task(dataset="mnist", model="mnist-cnn")  # from shapes: there are no such files here
    n_v, n_u = 5_280, 16_560
    assert numbers(FedAlt(task=task)) == [5 * n_v + n_u, 5 * n_u, 0, 32 * n_u]
    assert numbers(FedAlt(task=task, importance_steps=0, personal_steps=3)) == [
        3 * n_v,
        5 * n_u,
        0,
        32 * n_u,
    ]
    assert numbers(FedSim(task=task, local_steps=4, importance_steps=2)) == [
        4 * n_v + 2 * n_u,
        4 * n_u,
        0,
        32 * n_u,
    ]
    assert numbers(PruningOnly(task=task)) == [21_840, 5 * 21_840, 0, 32 * 21_840]
    assert numbers(FedAlt(task=task, count_mask_bits=True))[2:] == [n_u, 32 * n_u]


def test_a_restored_run_continues_identically():
    ratios = np.array([0, 0.2, 0.5, 0.9])
    it = trainer(fedalt())
    state = it.step(it.init(0), ratios, ALL)[0]
    file = io.BytesIO()
    np.savez(file, **it.pack(state))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        restored = trainer(fedalt()).unpack(dict(arrays))
    assert same(it.step(state, ratios, ALL)[0], trainer(fedalt()).step(restored, ratios, ALL)[0])
    assert restored.round == 1


def test_states_are_never_edited():
    it = trainer(fedalt())
    state = it.init(0)
    shared = state.shared.copy()
    it.step(state, np.full(K, 0.5), ALL)
    assert np.array_equal(state.shared, shared)
    with pytest.raises(ValueError, match="read-only"):
        state.shared[0] = 1


@pytest.mark.slow
def test_training_learns_the_digits():
    it = trainer(FedAlt(task=TASK, learning_rate=0.03))
    state = it.init(0)
    before = it.evaluate(state)
    for _ in range(20):
        state, _ = it.step(state, np.full(K, 0.5), ALL)
    assert before < 0.4
    assert it.evaluate(state) > 0.85


@pytest.mark.parametrize(
    ("ratios", "delivery", "message"),
    [
        (np.zeros(3), ALL, r"pruning_ratio must have shape \(4,\), got \(3,\)"),
        (np.zeros(K), Delivery.all(2), r"delivery.participates must have shape \(4,\), got \(2,\)"),
        (np.array([0, 0, 1.5, 0]), ALL, r"pruning_ratio must be within 0 and 1, got 1\.5"),
        (np.array([0, np.nan, 0, 0]), ALL, "pruning_ratio must be within 0 and 1, got nan"),
    ],
)
def test_bad_arrays(ratios, delivery, message):
    it = trainer(fedalt())
    with pytest.raises(InputError, match=message):
        it.step(it.init(0), ratios, delivery)


def test_a_foreign_checkpoint_is_refused():
    arrays = trainer(fedalt()).pack(trainer(fedalt()).init(0))
    with pytest.raises(
        InputError, match=r"training state personal must have shape \(3, 1248\), got \(4, 1248\)"
    ):
        trainer(fedalt(), clients=3).unpack(arrays)
    with pytest.raises(
        InputError, match=r"training state shared must have shape \(3760,\), got nothing"
    ):
        trainer(fedalt()).unpack({key: value for key, value in arrays.items() if key != "shared"})


@pytest.mark.parametrize(
    ("algorithm", "fields", "message"),
    [
        (FedAlt, {"learning_rate": 0.0}, r"training\.learning_rate must be above 0, got 0"),
        (
            FedAlt,
            {"personal_learning_rate": -1.0},
            r"training\.personal_learning_rate must be at least 0, got -1",
        ),
        (
            FedAlt,
            {"shared_steps": -1},
            r"training\.shared_steps must be a whole number of at least 0, got -1",
        ),
        (
            FedSim,
            {"local_steps": 2.5},
            r"training\.local_steps must be a whole number of at least 0, got 2\.5",
        ),
        (
            PruningOnly,
            {"importance_steps": True},
            r"training\.importance_steps must be a whole number",
        ),
        (PruningOnly, {"learning_rate": float("nan")}, r"training\.learning_rate must be finite"),
        (
            PruningOnly,
            {"learning_rate": 1e39},
            r"training\.learning_rate must be at most 3\.4028234663852886e\+38, got 1e\+39",
        ),
        (
            FedAlt,
            {"personal_learning_rate": 1e39},
            r"training\.personal_learning_rate must be at most 3\.4",
        ),
    ],
)
def test_bad_fields(algorithm, fields, message):
    with pytest.raises(InputError, match=message):
        algorithm(**fields)


def test_seeds_of_data_and_weights_are_two():
    one, other = trainer(fedalt(), seed=0), trainer(fedalt(), seed=1)
    assert same(one.init(5), other.init(5))
    assert not same(one.init(5), one.init(6))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_bad_seed(seed):
    with pytest.raises(InputError, match=r"run\.seed must be at"):
        trainer(fedalt()).init(seed)


def test_a_late_upload_joins_the_mean_of_the_round_in_which_it_arrives():
    it = trainer(fedalt())
    start = it.init(0)
    ratios, no = np.full(K, 0.3), np.zeros(K, dtype=bool)
    one = no.copy()
    one[1] = True
    first, _ = it.step(
        start, ratios, Delivery(participates=~no, on_time=~one, late=one, arrived_late=no)
    )
    upload, mask = first.late[1]
    assert list(first.late) == [1]
    restored = trainer(fedalt()).unpack(it.pack(first))
    no_client, _ = it.step(
        restored, ratios, Delivery(participates=~no, on_time=no, late=no, arrived_late=one)
    )
    assert np.array_equal(no_client.shared, np.where(mask, upload, first.shared))
    assert not no_client.late
    again, _ = it.step(
        first, ratios, Delivery(participates=~no, on_time=~one, late=one, arrived_late=no)
    )
    assert not np.array_equal(again.late[1][0], upload), (
        "a newer upload takes the place of the one on its way"
    )
    newer, _ = it.step(first, ratios, Delivery.all(K))
    assert not newer.late
    with_stale, _ = it.step(
        first, ratios, Delivery(participates=~no, on_time=~no, late=no, arrived_late=one)
    )
    assert not np.array_equal(newer.shared, with_stale.shared)


def test_late_uploads_are_summed_in_the_order_that_a_resumed_run_has():
    it, late = trainer(fedalt()), np.array([False, True, True, True])
    start, no = it.init(0), np.zeros(K, dtype=bool)
    parts, everything = (1e20, -1e20, 1.0), np.ones_like(start.shared, dtype=bool)
    uploads = {
        k: (np.full_like(start.shared, part), everything)
        for k, part in zip((1, 2, 3), parts, strict=True)
    }
    live = replace(
        start, late={k: uploads[k] for k in (3, 1, 2)}
    )  # in transit for longer than 1 and 2
    resumed = trainer(fedalt()).unpack(it.pack(live))
    delivery = Delivery(participates=~no, on_time=no, late=no, arrived_late=late)
    one, other = (it.step(state, np.ones(K), delivery)[0] for state in (live, resumed))
    assert np.array_equal(one.shared, other.shared)
    assert one.shared[0] == np.float32(1 / 3)


def test_non_participating_clients_are_unchanged_at_no_cost():
    it = trainer(fedalt())
    start = it.init(0)
    no, here = np.zeros(K, dtype=bool), np.array([True, False, True, False])
    ratios = np.array([0.3, 0.0, 0.3, 0.0])
    some, metrics = it.step(
        start, ratios, Delivery(participates=here, on_time=here, late=no, arrived_late=no)
    )
    all_clients, _ = it.step(
        start, ratios, Delivery(participates=~no, on_time=here, late=no, arrived_late=no)
    )
    assert np.array_equal(some.shared, all_clients.shared)
    assert np.array_equal(some.personal[here], all_clients.personal[here])
    assert np.array_equal(some.personal[~here], start.personal[~here])
    for cost in (metrics.uplink_bits, metrics.downlink_bits, metrics.flops):
        assert ((cost > 0) == here).all()
