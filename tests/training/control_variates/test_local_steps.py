"""Local steps on mini-batches by executors, and with full gradients of data from a file."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.federation import SPEC, made_up_data, start_vector, work

from training.algorithms.control_variates.accelerated_server_pruning import AcceleratedServerPruning
from training.algorithms.control_variates.fedht import Fedht
from training.algorithms.control_variates.proxskip import Proxskip
from training.algorithms.control_variates.randprox_l1 import RandproxL1
from training.algorithms.control_variates.sparse_proxskip import SparseProxskip
from training.algorithms.control_variates.sparse_proxskip_local import SparseProxskipLocal
from training.algorithms.server.fedavg import FedAvg
from training.control_variates.local_descent import LocalDescent, steps_of_round
from training.control_variates.local_steps import local_steps
from training.control_variates.sparsity_settings import Sparse, SparseUpload
from training.control_variates.trainer import ControlVariateTrainer
from training.datasets.blogfeedback import BlogFeedback
from training.engine.program import Train
from training.executors.loop import LoopExecutor
from training.executors.stacked import StackedExecutor
from training.sparsity.counts import keep_count
from training.sparsity.prox import SoftThreshold, TopK
from training.sparsity.top_k import keep_most_important
from training.task import Task
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import DivergenceError, InputError
from wirelessfl.protocols import Runtime
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.rng import Streams
from wirelessfl.rounds import run_rounds
from wirelessfl.values import Delivery

K = 3
TASK = Task(partition="dirichlet", batch_size=16)
DESCENT = LocalDescent(learning_rate=0.05, probability=0.5)
NONE, ALL = np.zeros(K), Delivery.all(K)


LOOP = Runtime(executor="loop")


def rounds(algorithm, count=2, runtime=LOOP):
    trainer = algorithm.trainer(clients=K, seed=0, runtime=runtime)
    state, metrics = trainer.init(0), None
    for _ in range(count):
        state, metrics = trainer.step(state, NONE, ALL)
    accuracy = trainer.evaluate(state)
    trainer.close()
    return state, metrics, accuracy


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SparseProxskip(sparse=SparseUpload(sparsity=0)), Proxskip()),
        (SparseProxskipLocal(sparse=SparseUpload(sparsity=0)), Proxskip()),
        (AcceleratedServerPruning(sparse=Sparse(sparsity=0)), Proxskip()),
        (RandproxL1(sparse=Sparse(sparsity=0), l1=0.0), Proxskip()),
    ],
)
def test_with_everything_kept_it_is_proxskip_bit_for_bit(one, other):
    states = [rounds(replace(algorithm, task=TASK, descent=DESCENT)) for algorithm in (one, other)]
    np.testing.assert_array_equal(states[0][0].shared, states[1][0].shared)
    np.testing.assert_array_equal(states[0][0].control, states[1][0].control)
    assert states[0][1].loss == states[1][1].loss
    assert states[0][2] == states[1][2]


def test_fedht_that_keeps_everything_is_federated_averaging_bit_for_bit():
    fixed = replace(DESCENT, coin="fixed", probability=0.25, weight_decay=0.01, clip_norm=1.0)
    ours, metrics, accuracy = rounds(Fedht(task=TASK, descent=fixed, sparse=Sparse(sparsity=0)))
    average = FedAvg(
        task=TASK,
        learning_rate=0.05,
        local_steps=4,
        weight_decay=0.01,
        clip_norm=1.0,
        weighted=False,
    )
    theirs, costs, expected = rounds(average)
    np.testing.assert_array_equal(ours.shared, theirs.shared)
    np.testing.assert_array_equal(metrics.flops, costs.flops)
    np.testing.assert_array_equal(metrics.uplink_bits, costs.uplink_bits)
    assert (metrics.loss, accuracy) == (costs.loss, expected)


@pytest.mark.slow
def test_workers_give_the_same_bits():
    algorithm = SparseProxskipLocal(task=TASK, descent=DESCENT)
    (loop, _, accuracy), (workers, _, again) = (
        rounds(algorithm, runtime=runtime)
        for runtime in (LOOP, Runtime(executor="workers", workers=1))
    )
    np.testing.assert_array_equal(workers.shared, loop.shared)
    np.testing.assert_array_equal(workers.control, loop.control)
    assert accuracy == again


@pytest.mark.parametrize("algorithm", [Proxskip(), SparseProxskipLocal(), RandproxL1()])
def test_stacks_agree_within_rounding(algorithm):
    algorithm = replace(algorithm, task=replace(TASK, partition="iid"), descent=DESCENT)
    (loop, _, _), (stacked, _, _) = (
        rounds(algorithm, runtime=runtime) for runtime in (LOOP, Runtime(executor="stacked"))
    )
    np.testing.assert_allclose(stacked.shared, loop.shared, rtol=1e-4, atol=1e-6)


def test_the_sum_of_the_control_variates_is_zero_within_rounding_of_float32():
    _, metrics, _ = rounds(SparseProxskip(task=TASK, descent=DESCENT), count=4)
    assert metrics.extra["mean_control"] > 0.1
    assert metrics.extra["sum_control"] < 1e-4 * metrics.extra["mean_control"]


def test_the_correction_of_a_client_is_its_control_variate():
    trainer = Proxskip(task=TASK, descent=DESCENT).trainer(clients=K, seed=0, runtime=LOOP)
    state, _ = trainer.step(trainer.init(0), NONE, ALL)
    steps, streams = DESCENT.steps(Streams(0, 1)), Streams(0, 1)
    after, _ = trainer.step(state, NONE, ALL)
    data = TASK.load(clients=K, seed=0, data_root=None)
    engine = Proxskip(task=TASK).method.spec().build(data)
    ends = []
    for client in range(K):
        job = replace(
            work(DESCENT.program(steps), client=client),
            vector=np.array(state.shared),
            streams=streams,
        )
        ends.append(engine.train(replace(job, correction=-state.control[client])).vector)
    np.testing.assert_allclose(after.shared, np.mean(ends, axis=0), rtol=1e-6, atol=1e-8)
    scale = DESCENT.probability / DESCENT.learning_rate
    expected = state.control + scale * (np.mean(ends, axis=0) - np.array(ends))
    np.testing.assert_allclose(after.control, expected, rtol=1e-4, atol=1e-5)


def test_a_prox_follows_every_step_of_the_engine():
    _, layout = start_vector()
    data, phase = (
        made_up_data(),
        Train(part="all", steps=1, learning_rate=0.05, stream="batches/shared"),
    )
    plain = next(LoopExecutor(SPEC, data).train([work((phase,))]))
    kept = layout.parameter_size // 10
    pruned = next(LoopExecutor(SPEC, data).train([work((replace(phase, prox=TopK(kept)),))]))
    mask = keep_most_important(np.abs(plain.vector), layout.parameter_size - kept)
    np.testing.assert_array_equal(pruned.vector, np.where(mask, plain.vector, 0))
    shrunk = next(
        LoopExecutor(SPEC, data).train([work((replace(phase, prox=SoftThreshold(0.2)),))])
    ).vector
    expected = np.sign(plain.vector) * np.maximum(np.abs(plain.vector) - np.float32(0.01), 0)
    np.testing.assert_allclose(shrunk, expected, atol=1e-7)
    longer = replace(phase, steps=5, prox=TopK(kept))
    results = StackedExecutor(SPEC, data).train(
        [work((longer,), client=client) for client in range(3)]
    )
    assert [np.count_nonzero(result.vector) for result in results] == [kept] * 3


def test_running_statistics_are_averaged_and_never_pruned():
    task = Task(model="resnet20", image_size=32, width=0.05, partition="dirichlet", batch_size=8)
    algorithm = SparseProxskipLocal(task=task, descent=replace(DESCENT, probability=1.0))
    trainer = algorithm.trainer(clients=K, seed=0, runtime=LOOP)
    state = trainer.init(0)
    after, metrics = trainer.step(state, NONE, ALL)
    _, layout = algorithm.method.spec().build_model()
    size, kept = layout.parameter_size, algorithm.method.model_kept(layout.parameter_size)
    assert layout.shared_buffer_size > 0
    assert np.all(after.shared[layout.buffers] != 0)
    assert not np.any(after.shared[layout.buffers] == state.shared[layout.buffers])
    assert after.control.shape == (K, size)
    assert after.sent.tolist() == [kept] * K
    assert metrics.uplink_bits.tolist() == [32.0 * (kept + layout.shared_buffer_size)] * K
    trainer.close()


@pytest.fixture(scope="module")
def blog(tmp_path_factory):
    """A synthetic blogfeedback.npz: 60 rows of few features that are not 0, three blogs."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(5)
    blogs = rng.random((K, 50))

    def part(rows):
        values = np.zeros((rows, 281), dtype=np.float32)
        values[:, :50] = blogs[rng.integers(K, size=rows)]
        values[:, 50:60] = rng.random((rows, 10))
        values[:, -1] = 3 * values[:, 50] - values[:, 55] + rng.normal(size=rows)
        return values

    np.savez(root / "blogfeedback.npz", train=part(60), test=part(20))
    return root


RIDGE = Task(dataset="blogfeedback", model="linear", partition="natural")


def test_full_gradients_are_those_of_the_ridge_regression_with_a_column_of_ones(blog):
    rate, steps, ridge = 2e-4, 3, 7.0
    descent = LocalDescent(
        learning_rate=rate, probability=1 / steps, coin="fixed", gradients="full", ridge=ridge
    )
    algorithm = SparseProxskip(task=RIDGE, descent=descent)
    trainer = algorithm.trainer(clients=K, seed=0, runtime=Runtime(data_root=blog))
    state = trainer.init(0)
    data = RIDGE.load(clients=K, seed=0, data_root=blog)
    inputs = np.column_stack([data.train_images.double().numpy(), np.ones(len(data.train_images))])
    targets = data.train_labels.double().numpy()
    model, control = np.zeros(281), np.zeros((K, 281))
    for _ in range(3):
        state, metrics = trainer.step(state, NONE, ALL)
        sent = []
        for client, rows in enumerate(data.train_index):
            features, wanted, w = inputs[rows.numpy()], targets[rows.numpy()], model
            for _ in range(steps):
                gradient = features.T @ (features @ w - wanted) + ridge / K * w
                w = w - rate * (gradient - control[client])
            sent.append(np.where(keep_most_important(np.abs(w)[::-1], 281 - 28)[::-1], w, 0))
        model = np.mean(sent, axis=0)
        control = control + (model - np.array(sent)) / steps / rate
    np.testing.assert_allclose(state.shared, model, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state.control, control, rtol=1e-8, atol=1e-9)
    pruned = np.where(keep_most_important(np.abs(model)[::-1], 281 - 28)[::-1], model, 0)
    objective = 0.5 * np.square(inputs @ pruned - targets).sum() + ridge / 2 * pruned @ pruned
    assert metrics.extra["train_loss"] == pytest.approx(objective, rel=1e-10)
    assert metrics.loss == pytest.approx(objective / K, rel=1e-10)
    assert metrics.flops.tolist() == [steps * 4.0 * 280 * len(rows) for rows in data.train_index]
    test = np.column_stack([data.test_images.double().numpy(), np.ones(len(data.test_images))])
    wanted = data.test_labels.double().numpy()
    residual = np.square(test @ pruned - wanted).sum()
    assert trainer.evaluate(state) == pytest.approx(
        1 - residual / np.square(wanted - wanted.mean()).sum()
    )


def test_the_local_variant_with_ratios_of_its_own_for_each_client(blog):
    descent = LocalDescent(learning_rate=2e-4, probability=0.5, coin="fixed", gradients="full")
    sparse = SparseUpload(sparsity_from="allocation")
    algorithm = SparseProxskipLocal(task=RIDGE, descent=descent, sparse=sparse)
    trainer = algorithm.trainer(clients=K, seed=0, runtime=Runtime(data_root=blog))
    state, metrics = trainer.step(trainer.init(0), np.array([0.0, 0.9, 0.99]), ALL)
    assert state.sent[1:].tolist() == [28, 2]
    assert metrics.uplink_bits.tolist() == [32.0 * 281, 32.0 * 28, 32.0 * 2]


def test_a_step_size_that_diverges_stops_in_one_line(blog):
    descent = LocalDescent(learning_rate=10.0, probability=0.01, coin="fixed", gradients="full")
    trainer = SparseProxskip(task=RIDGE, descent=descent).trainer(
        clients=K, seed=0, runtime=Runtime(data_root=blog)
    )
    said = (
        r"^training diverged: client 0, round 1, weights are not finite after \d+ steps; "
        r"reduce training.learning_rate$"
    )
    with pytest.raises(DivergenceError, match=said):
        trainer.step(trainer.init(0), NONE, ALL)


def test_full_gradients_of_another_model_are_refused_in_one_line():
    algorithm = Proxskip(task=TASK, descent=LocalDescent(gradients="full"))
    with pytest.raises(
        InputError, match=r"^training.model must be linear or logistic for full local gradients"
    ):
        algorithm.trainer(clients=K, seed=0, runtime=Runtime())


def test_server_pruning_breaks_the_sum_on_the_554_blogs_and_sparse_proxskip_keeps_it():
    root = Path(os.environ.get("WIRELESSFL_DATA", ""))
    if not os.environ.get("WIRELESSFL_DATA") or BlogFeedback.card.found(root) is None:
        pytest.skip("WIRELESSFL_DATA holds no blogfeedback")
    clients, descent = 554, LocalDescent(learning_rate=7e-5, probability=0.05, gradients="full")
    settings = {"clients": clients, "seed": 0, "runtime": Runtime(data_root=root)}
    sums, steps = {}, local_steps(SparseProxskip(task=RIDGE, descent=descent).method, **settings)
    for name in (SparseProxskip, AcceleratedServerPruning):
        trainer = ControlVariateTrainer(
            name(task=RIDGE, descent=descent).method, **settings, steps=steps
        )
        state = trainer.init(0)
        for _ in range(5):
            state, metrics = trainer.step(state, np.zeros(clients), Delivery.all(clients))
        sums[name] = metrics.extra["sum_control"] / metrics.extra["mean_control"]
        assert (state.sent.max() <= 28) == (name is SparseProxskip)
    assert sums[SparseProxskip] < 1e-8
    assert sums[AcceleratedServerPruning] > 10


def test_with_the_radio_every_round_keeps_the_deadline_whatever_its_number_of_steps(tmp_path):
    """K_i by the allocation: what is left of the deadline after the round's own steps; bits shrink,
    steps do not.
    """
    training = {"algorithm": "sparse-proxskip", "sparsity_from": "allocation", "probability": 0.2}
    tables = {
        "scenario": {
            "clients": 6,
            "deadline_s": 0.07,
            "deadline_policy": "drop",
            "bandwidth_hz": 2.2e6,
        },
        "allocation": {"method": "exact"},
        "training": training,
        "run": {"rounds": 12, "eval_every": 12},
    }
    experiment, folder = from_tables(tables), RunFolder.create(tmp_path / "run", "")
    trainer = experiment.algorithm.trainer(clients=6, seed=0, runtime=LOOP)
    run_rounds(experiment, trainer, folder)
    size, records, pruned = 5008, folder.records(), 0
    for record in records:
        assert record["extra"]["local_steps"] == steps_of_round(
            Streams(0, record["round"] - 1), 0.2
        )
        ratios = np.array(record["pruning_ratio"])
        sends = ratios < 1
        assert sends.any()
        assert np.array(record["delivered"])[sends].all()
        assert np.array(record["latency_s"])[sends].max() <= 0.07 * (1 + 1e-9)
        assert record["uplink_bits"] == [32.0 * keep_count(ratio, size) for ratio in ratios]
        assert len(set(np.array(record["flops"])[sends])) == 1
        pruned += np.count_nonzero((ratios > 0) & sends)
    assert pruned > 0
    assert len({record["extra"]["local_steps"] for record in records}) > 3
    assert records[-1]["extra"]["sum_control"] < 1e-4 * records[-1]["extra"]["mean_control"]
