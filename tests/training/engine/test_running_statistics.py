"""Server-based training of a model with batch norm: whose running statistics are whose."""

import numpy as np
import pytest

from training.engine.program import Accumulate, LocalWork, Prune, Train, epoch_batches
from training.server.method import ServerMethod
from training.server.trainer import ServerTrainer
from training.task import Task
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

K = 3
LOOP = Runtime(executor="loop")
PLUGIN = """
from typing import ClassVar
import helpers.small_models

class NormCnn(helpers.small_models.NormCnn):
    personal: ClassVar[tuple[str, ...]] = ("conv", "norm")
"""
TRAIN = Train(part="all", epochs=1, learning_rate=0.1, momentum=0.9, stream="batches/shared")


@pytest.fixture(autouse=True)
def model_from_outside(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "norm_cnn.py").write_text(PLUGIN)
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(tmp_path))


def trainer(*program, personalised=False):
    task = Task(model="norm-cnn", batch_size=64)
    method = ServerMethod(
        task=task, program=program, personalised=personalised, count_mask_bits=True
    )
    return ServerTrainer(method, clients=K, seed=0, runtime=LOOP)


def test_shared_statistics_are_the_mean_over_who_delivered():
    it = trainer(TRAIN)
    start, layout = it.init(0), it._layout
    assert (start.shared.size, start.personal.shape) == (layout.size, (K, 0))
    after, _ = it.step(start, np.zeros(K), Delivery.of(np.array([True, False, True])))
    alone = [it.step(start, np.zeros(K), Delivery.of(np.arange(K) == k))[0].shared for k in (0, 2)]
    np.testing.assert_allclose(after.shared, np.mean(alone, axis=0), rtol=1e-6)
    assert np.abs(alone[0] - alone[1])[layout.buffers].min() > 1e-4
    assert 0 <= it.evaluate(after) <= 1


def test_personal_statistics_stay_with_the_client():
    it = trainer(TRAIN, personalised=True)
    start, layout = it.init(0), it._layout
    assert layout.personal_buffer_size == 12
    after, metrics = it.step(start, np.zeros(K), Delivery.all(K))
    assert after.personal.shape == (K, layout.personal_size + 12)
    assert not np.array_equal(after.personal[0, -12:], after.personal[1, -12:])
    assert metrics.uplink_bits.tolist() == [33 * layout.shared_size] * K
    again = it.unpack(it.pack(after))
    assert np.array_equal(
        it.step(again, np.zeros(K), Delivery.all(K))[0].shared,
        it.step(after, np.zeros(K), Delivery.all(K))[0].shared,
    )
    nothing, _ = it.step(start, np.ones(K), Delivery.all(K))
    assert np.array_equal(nothing.shared, start.shared)
    assert not np.array_equal(nothing.personal, start.personal)


def test_statistics_are_sent_and_never_pruned():
    it = trainer(
        Prune(steps=1, learning_rate=0.1, stream="i"),
        Train(part="shared", steps=1, learning_rate=0.1, stream="s"),
    )
    state, layout = it.init(0), it._layout
    demand = it.demand(state)
    assert (
        demand.fixed_upload_bits.tolist() == [layout.shared_size + 32 * 12] * K
    )  # bitmap and statistics
    assert demand.prunable_upload_bits.tolist() == [32 * layout.shared_size] * K
    assert demand.fixed_download_bits.tolist() == [32 * layout.size] * K
    _, metrics = it.step(state, np.array([0, 0.5, 1]), Delivery.all(K))
    kept = np.array([layout.shared_size, layout.shared_size // 2, 0])
    assert (
        metrics.uplink_bits.tolist()
        == ((32 * kept + layout.shared_size + 32 * 12) * (kept > 0)).tolist()
    )


@pytest.mark.parametrize(
    "phase", [Prune(steps=2, learning_rate=0.1, stream="trial"), Accumulate(steps=2, stream="sums")]
)
def test_trial_steps_and_sums_leave_the_statistics_as_they_are(phase):
    task = Task(model="norm-cnn", batch_size=64)
    spec = ServerMethod(
        task=task, program=(phase,), personalised=False, count_mask_bits=True
    ).spec()
    model, layout = spec.build_model()
    start = layout.flatten(model).numpy()
    engine = spec.build(task.load(clients=K, seed=0, data_root=None))

    def after(phase):
        work = LocalWork(
            client=0, vector=start, program=(phase,), pruning_ratio=0.5, streams=Streams(0)
        )
        return engine.train(work).vector[layout.buffers]

    assert np.array_equal(after(phase), start[layout.buffers])
    assert not np.array_equal(after(TRAIN), start[layout.buffers])


def test_epochs_ask_for_updates_and_cost_by_each_clients_samples():
    it = trainer(TRAIN)
    state = it.init(0)
    sizes = [
        len(rows) for rows in it._method.task.load(clients=K, seed=0, data_root=None).train_index
    ]
    steps = [len(epoch_batches(size, 64, 2)) for size in sizes]
    assert it.demand(state).prunable_updates.tolist() == [
        count * it._layout.shared_size for count in steps
    ]
    _, metrics = it.step(state, np.zeros(K), Delivery.all(K))
    per_sample = 2 * (
        3 * (6 * 9 * 64 + 240) - 6 * 9 * 64
    )  # conv 1-6 3x3 on 8x8 and 24-10; no gradient at the input
    np.testing.assert_allclose(metrics.flops, per_sample * np.array(sizes))
