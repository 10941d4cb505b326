"""LotteryDSGD: pruning by accuracy, restart from initial weights, and the mean over holders."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.agents import LOOP, TASK, batches, delivery, equal, rounds, row, started
from helpers.reference import gradient, mean_over_holders, tensors
from torch.func import functional_call

from training.algorithms.decentralised.lottery_dsgd import LotteryDsgd
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.values import Delivery

K, EVERYTHING = 3, 10_000
ALGORITHM = LotteryDsgd(task=TASK, graph=row(), threshold_samples=EVERYTHING)
EVEN = Task(partition="iid", batch_size=16)  # where one of 80 samples is always in the right class
SURE = replace(
    ALGORITHM, task=EVEN, accuracy_threshold=0.0, threshold_samples=80
)  # prunes as long as it may
MODEL, LAYOUT = ALGORITHM.method.spec().build_model()
LAYERS = [entry for entry in LAYOUT.parameters if len(entry.shape) > 1]
NONE, ALL = np.zeros(K), Delivery.all(K)
NEIGHBOURS = [[0, 1], [0, 1, 2], [1, 2]]


def local_accuracies(weights, of):
    """Of every agent's model on all its samples."""
    data = TASK.load(clients=K, seed=0, data_root=None)
    index, images, labels = (
        getattr(data, f"{of}_{what}") for what in ("index", "images", "labels")
    )
    for k, rows in enumerate(index):
        inputs = (images[rows].float() - data.mean) / data.std
        chosen = functional_call(MODEL, tensors(LAYOUT, weights[k]), (inputs,)).argmax(1)
        yield (chosen == labels[rows]).float().mean().item()


def reference_run(algorithm, iterations):
    """Vectors, masks and keep rates after iterations, and the agents that pruned in each."""
    first = torch.tensor(started(algorithm)[1].common["weights"])
    w = first.repeat(K, 1)
    masks, keep, pruned = torch.ones_like(w, dtype=torch.bool), [1.0] * K, []
    for iteration in range(iterations):
        accuracies = list(local_accuracies(w * masks, algorithm.threshold_on))
        pruned.append(
            [accuracies[k] > algorithm.accuracy_threshold and keep[k] > 0.5 for k in range(K)]
        )
        for k in np.flatnonzero(pruned[-1]):
            for entry in LAYERS:
                alive = entry.offset + masks[k][entry.slice].nonzero().view(-1)
                order = w[k][alive].abs().argsort()
                masks[k][alive[order[: math.ceil(0.2 * len(alive))]]] = False
            keep[k] *= 0.8
            w[k] = torch.where(masks[k], first, w[k])
        sent = w * masks
        for k, batch in enumerate(batches(K, iteration)):
            sent[k] -= 0.1 * masks[k] * gradient(MODEL, LAYOUT, sent[k], *batch)
        w = torch.stack(
            [
                mean_over_holders(w[k], [(sent[j], masks[j]) for j in NEIGHBOURS[k]])
                for k in range(K)
            ]
        )
    return w, masks, keep, pruned


@pytest.mark.parametrize("of", ["train", "test"])
def test_three_iterations_match_the_reference(of):
    algorithm = replace(ALGORITHM, accuracy_threshold=0.25, threshold_on=of)
    state, _ = rounds(algorithm, 3)
    w, masks, keep, pruned = reference_run(algorithm, 3)
    assert {True, False} == set(np.ravel(pruned))
    assert np.array_equal(state.rows["mask"], masks)
    np.testing.assert_allclose(state.rows["keep_ratio"], keep)
    np.testing.assert_allclose(state.rows["vector"], w, rtol=1e-5, atol=1e-6)
    accuracy = started(algorithm)[0].evaluate(state)
    assert accuracy == pytest.approx(np.mean(list(local_accuracies(w * masks, "test"))))


def test_pruning_resets_kept_weights_to_the_initial_ones_and_the_keep_rate_is_a_power():
    """Without local steps the first weights are what is seen after the exchange, too."""
    trainer, state = started(replace(SURE, local_steps=0))
    away = state.rows["vector"] + np.random.default_rng(0).normal(
        size=state.rows["vector"].shape
    ).astype(np.float32)
    state, masks = replace(state, rows={**state.rows, "vector": away}), state.rows["mask"]
    for j in range(1, 7):
        state, _ = trainer.step(state, NONE, Delivery.of([False] * K))
        fallen = min(j, 4)  # 0.8^3 = 0.512 is above 0.5 and 0.8^4 below
        np.testing.assert_allclose(state.rows["keep_ratio"], 0.8**fallen)
        for agent in range(K):
            mask = state.rows["mask"][agent]
            assert not np.any(mask & ~masks[agent])
            assert np.array_equal(state.rows["vector"][agent][mask], state.common["weights"][mask])
            for entry in LAYERS:
                ones = np.count_nonzero(mask[entry.slice])
                assert 0.8**fallen * entry.size - 5 < ones <= 0.8**fallen * entry.size
            weights = np.zeros(LAYOUT.parameter_size, dtype=bool)
            for entry in LAYERS:
                weights[entry.slice] = True
            assert mask[~weights].all()  # biases
        masks = state.rows["mask"]


def test_the_smallest_of_each_tensor_go():
    trainer, state = started(SURE)
    after, _ = trainer.step(state, NONE, ALL)
    for entry in LAYERS:
        size, kept = (
            np.abs(state.rows["vector"][0][entry.slice]),
            after.rows["mask"][0][entry.slice],
        )
        assert size[~kept].max() <= size[kept].min()
        assert np.count_nonzero(~kept) == math.ceil(0.2 * entry.size)


def test_no_agent_prunes_below_the_threshold_or_after_the_target():
    never, _ = rounds(replace(ALGORITHM, accuracy_threshold=1.0), 2)
    at_once, _ = rounds(replace(SURE, keep_ratio=1.0), 2)
    for state in (never, at_once):
        assert state.rows["mask"].all()
        assert set(state.rows["keep_ratio"]) == {1.0}


def test_an_accuracy_at_the_threshold_is_not_above_it():
    """Of one sample it is 0 or 1."""
    falls = [
        rounds(replace(SURE, threshold_samples=1, accuracy_threshold=at), 2)[0]
        for at in (0.0, 0.5, 1.0)
    ]
    none, half, one = (state.rows["keep_ratio"] for state in falls)
    assert np.array_equal(none, half)
    assert 0.64 <= half.min() < half.max() == one.min() == 1.0


def test_agents_send_the_weights_that_they_keep():
    trainer, state = started(replace(SURE, count_mask_bits=True))
    for _ in range(2):
        asked = trainer.demand(state)
        state, metrics = trainer.step(state, NONE, ALL)
        ones = state.rows["mask"].sum(axis=1)
        assert np.array_equal(
            metrics.uplink_bits, 32.0 * ones + sum(entry.size for entry in LAYERS)
        )
        assert np.all(metrics.uplink_bits < asked.fixed_upload_bits)
        assert np.array_equal(trainer.demand(state).fixed_updates, ones)
    assert metrics.extra["ones_share"] == pytest.approx(0.64, abs=0.01)
    _, dense = rounds(replace(SURE, payload="values"), 2)
    assert set(dense.uplink_bits) == {32.0 * LAYOUT.size}
    assert np.array_equal(dense.flops, metrics.flops)


def test_an_idle_agent_keeps_its_mask_and_a_late_model_comes_with_its_own():
    trainer, state = started(SURE)
    after, metrics = trainer.step(state, NONE, delivery(participates=[0, 2], on_time=[0], late=[2]))
    for name, array in state.rows.items():
        assert np.array_equal(after.rows[name][1], array[1])
    assert metrics.uplink_bits[1] == 0
    assert np.array_equal(after.late[2]["mask"], after.rows["mask"][2])
    restored = trainer.unpack(trainer.pack(after))
    assert equal(
        *(trainer.step(each, NONE, delivery(arrived_late=[2]))[0] for each in (after, restored))
    )


def test_a_resumed_run_is_the_same_run():
    whole, _ = rounds(SURE, 3)
    trainer, _ = started(SURE)
    state = trainer.unpack(trainer.pack(rounds(SURE, 2)[0]))
    assert equal(trainer.step(state, NONE, ALL)[0], whole)


@pytest.mark.slow
def test_executors_agree_with_the_loop():
    algorithm = replace(ALGORITHM, accuracy_threshold=0.25, threshold_samples=40)
    loop, workers, stacked = (
        rounds(algorithm, 2, runtime=replace(LOOP, executor=name, workers=1))[0]
        for name in ("loop", "workers", "stacked")
    )
    assert equal(workers, loop)
    assert np.array_equal(stacked.rows["mask"], loop.rows["mask"])
    np.testing.assert_allclose(stacked.rows["vector"], loop.rows["vector"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep_ratio": 0.0}, "training.keep_ratio must be above 0, got 0"),
        ({"prune_share": 1.0}, "training.prune_share must be below 1, got 1"),
        ({"prune_share": 0.0}, "training.prune_share must be above 0, got 0"),
        ({"accuracy_threshold": 1.5}, "training.accuracy_threshold must be at most 1, got 1.5"),
        ({"threshold_on": "both"}, "training.threshold_on must be one of train, test"),
        (
            {"threshold_samples": 0},
            "training.threshold_samples must be a whole number of at least 1, got 0",
        ),
        ({"payload": "entry"}, "training.payload must be one of nonzero, values"),
    ],
)
def test_bad_fields_are_one_line(fields, message):
    with pytest.raises(InputError) as caught:
        replace(ALGORITHM, **fields)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
