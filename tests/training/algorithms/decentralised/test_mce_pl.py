"""MCE-PL against [MCE-PL] Algorithm 1 written out for three agents, and what its paper promises."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.agents import LOOP, TASK, batches, delivery, equal, rounds, row, started
from torch.func import functional_call

from training.algorithms.decentralised.dsgd import Dsgd
from training.algorithms.decentralised.ind_mask import IndMask
from training.algorithms.decentralised.mce_pl import McePl
from training.decentralised.retention import Retention, maskable_entries
from training.engine.engine import Engine
from training.engine.network import Network
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.graph import Graph
from wirelessfl.values import Delivery

K = 3
KEEP = Retention(keep_ratios=(0.5, 0.3, 0.4))
ALGORITHM = McePl(task=TASK, graph=row(), keep=KEEP, learning_rate=3.0)
MODEL, LAYOUT = ALGORITHM.method.spec().build_model()
LAYERS = maskable_entries(LAYOUT)
NEIGHBOURS = {0: (1,), 1: (0, 2), 2: (1,)}
NONE = np.zeros(K)


def agg(z, mean):
    return z + z.abs().mean() * z.sign() * mean


def thres(y, keep, threshold):
    flat = torch.zeros(y.numel())
    flat[y.abs().flatten().topk(y.numel() - int((1 - keep) * y.numel() + 1e-9)).indices] = 1
    rows = flat.view(y.shape[0], -1)
    return (rows * (rows.sum(1, keepdim=True) > threshold)).view_as(y)


def reference_run(algorithm, first, iterations):
    """Algorithm 1 with autograd through v = w m(z), tensor by tensor, from the first state."""
    names = {entry.name: entry for entry in LAYERS}
    weights = {
        entry.name: torch.from_numpy(first.common["weights"][entry.slice].copy()).view(entry.shape)
        for entry in LAYOUT.parameters
    }

    def tensors(rows, agent):
        return {
            n: torch.from_numpy(rows[agent][e.slice].copy()).float().view(e.shape)
            for n, e in names.items()
        }

    z = [tensors(first.rows["scores"], agent) for agent in range(K)]
    heard = [tensors(first.last_received["mask"], agent) for agent in range(K)]
    keep, threshold, rate = (
        algorithm.keep.keep_ratios,
        algorithm.keep.filter_threshold,
        algorithm.learning_rate,
    )
    fine = rate if algorithm.fine_tune_rate is None else algorithm.fine_tune_rate

    def mean_of(masks, agent):
        return {
            n: sum(masks[j][n] for j in NEIGHBOURS[agent]) / len(NEIGHBOURS[agent]) for n in names
        }

    def masks_of(scores, mean, agent):
        return {n: thres(agg(scores[n], mean[n]), keep[agent], threshold) for n in names}

    for iteration in range(iterations):
        half, stored, sent = [], [], []
        for agent, (images, labels) in enumerate(batches(K, iteration)):
            old = mean_of(heard, agent)
            masked = {n: (weights[n] * m) for n, m in masks_of(z[agent], old, agent).items()}
            leaves = {n: v.clone().requires_grad_() for n, v in masked.items()}
            F.cross_entropy(
                functional_call(MODEL, {**weights, **leaves}, (images,)), labels
            ).backward()
            gradient = {}
            for n, scores in z[agent].items():
                gradient[n] = leaves[n].grad * weights[n] * scores.sign()
                if algorithm.group_lasso:
                    leaf = scores.clone().requires_grad_()
                    (algorithm.group_lasso * leaf.flatten(1).norm(dim=1).sum()).backward()
                    gradient[n] = gradient[n] + leaf.grad
            half.append(
                {
                    n: s - rate * (gradient[n] + algorithm.weight_decay * s)
                    for n, s in z[agent].items()
                }
            )
            stored.append(gradient)
            sent.append(masks_of(half[agent], old, agent))
        heard, masks = sent, []
        for agent in range(K):
            mean = mean_of(heard, agent)
            z[agent] = {n: half[agent][n] - fine * stored[agent][n] * mean[n] for n in names}
            masks.append(masks_of(z[agent], mean, agent))
    return z, masks, heard


@pytest.mark.parametrize(
    "algorithm",
    [
        ALGORITHM,
        replace(ALGORITHM, fine_tune_rate=1.5, group_lasso=0.01, weight_decay=0.02),
        replace(ALGORITHM, keep=replace(KEEP, filter_threshold=3), weight_init="signed-constant"),
    ],
    ids=["plain", "regularised", "filtered"],
)
def test_three_iterations_match_the_reference(algorithm):
    _, first = started(algorithm)
    state, _ = rounds(algorithm, 3)
    z, masks, heard = reference_run(algorithm, first, 3)
    for agent in range(K):
        for entry in LAYERS:
            np.testing.assert_allclose(
                state.rows["scores"][agent][entry.slice],
                z[agent][entry.name].flatten(),
                rtol=1e-5,
                atol=1e-6,
            )
            for ours, theirs in ((state.rows["mask"], masks), (state.last_received["mask"], heard)):
                assert np.array_equal(
                    ours[agent][entry.slice], theirs[agent][entry.name].flatten().bool()
                )
    assert not np.array_equal(state.rows["mask"], first.rows["mask"])


def test_the_weights_are_one_array_that_nothing_changes(monkeypatch):
    seen, train = [], Engine.train

    def recorded(self, work):
        seen.append(work.vector[: LAYOUT.parameter_size].copy())
        return train(self, work)

    monkeypatch.setattr(Engine, "train", recorded)
    trainer, state = started(ALGORITHM)
    first = state.common["weights"].copy()
    for _ in range(3):
        state, _ = trainer.step(state, NONE, Delivery.all(K))
    assert len(seen) == 3 * K
    assert all(np.array_equal(weights, first) for weights in seen)
    assert np.array_equal(state.common["weights"], first)
    kept = trainer._method.model(state.own(1), state.common)[: LAYOUT.parameter_size]
    assert np.array_equal(kept, np.where(state.rows["mask"][1], first, 0))


def test_autograd_is_asked_once_per_agent_and_iteration(monkeypatch):
    calls, backward = [], Network.backward

    def counted(self, *arguments):
        calls.append(1)
        return backward(self, *arguments)

    monkeypatch.setattr(Network, "backward", counted)
    rounds(ALGORITHM, 2)
    assert len(calls) == 2 * K


@pytest.mark.parametrize("threshold", [0, 4])
def test_retention_is_exact_in_every_layer_before_filters_are_cut(threshold):
    algorithm = replace(ALGORITHM, keep=replace(KEEP, filter_threshold=threshold, fc_keep=0.9))
    state, metrics = rounds(algorithm, 2)
    kept = total = 0
    for agent, ratio in enumerate(KEEP.keep_ratios):
        for entry in LAYERS:
            share = ratio if len(entry.shape) == 4 else 0.9
            ones = int(state.rows["mask"][agent][entry.slice].sum())
            exact = entry.size - int((1 - share) * entry.size + 1e-9)
            assert ones == exact if threshold == 0 else ones <= exact
            kept, total = kept + ones, total + entry.size
    assert metrics.extra["ones_share"] == pytest.approx(kept / total)


def test_an_agent_depends_on_its_neighbours_only():
    trainer, state = started(ALGORITHM)
    state, _ = trainer.step(state, NONE, Delivery.all(K))
    scores = state.rows["scores"].copy()
    scores[2] = np.where(scores[2], 1.0 - scores[2], 0.0)  # of agent 2, no neighbour of agent 0
    other = replace(state, rows={**state.rows, "scores": scores})
    for round in (1, 2):
        state, _ = trainer.step(state, NONE, Delivery.all(K))
        other, _ = trainer.step(other, NONE, Delivery.all(K))
        same = [np.array_equal(state.rows["scores"][k], other.rows["scores"][k]) for k in range(K)]
        assert same == [round == 1, False, False]  # by way of agent 1 it comes one round later


def test_without_neighbours_it_is_ind_mask_bit_for_bit():
    keep = Retention(keep_ratio=0.4)
    alone, metrics = rounds(McePl(task=TASK, keep=keep, learning_rate=3.0), 3, agents=1)
    theirs, _ = rounds(IndMask(task=TASK, keep=keep, learning_rate=3.0), 3, agents=1)
    for name in ("scores", "mask"):
        assert np.array_equal(alone.rows[name], theirs.rows[name])
    assert metrics.extra["traffic_unicast_mb"] == metrics.extra["traffic_broadcast_mb"] == 0


def test_with_everything_kept_there_is_nothing_to_learn():
    algorithm = replace(ALGORITHM, keep=Retention(keep_ratio=1.0))
    trainer, state = started(algorithm)
    before = trainer.evaluate(state)
    state, _ = trainer.step(state, NONE, Delivery.all(K))
    assert state.rows["mask"].all()
    assert trainer.evaluate(state) == before


def test_running_statistics_are_an_agents_own():
    task = Task(model="resnet20", image_size=32, image_channels=3, width=0.2, batch_size=4)
    algorithm = McePl(task=task, graph=Graph(graph="complete"))
    trainer, first = started(algorithm, agents=2)
    heard, _ = trainer.step(first, np.zeros(2), Delivery.all(2))
    alone, _ = trainer.step(first, np.zeros(2), Delivery.of([False, False]))
    one, other = heard.rows["buffers"]
    assert np.array_equal(heard.rows["buffers"], alone.rows["buffers"])
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, first.rows["buffers"][0])
    assert np.array_equal(algorithm.method.model(heard.own(0), heard.common)[-one.size :], one)


def test_agents_of_the_same_data_stay_the_same(monkeypatch):
    task = replace(TASK, batch_size=2000)
    data = task.load(clients=1, seed=0, data_root=None)
    same = replace(data, train_index=data.train_index * 3, test_index=data.test_index * 3)
    monkeypatch.setattr(Task, "load", lambda self, **arguments: same)
    algorithm = replace(
        ALGORITHM, task=task, graph=Graph(graph="complete"), keep=Retention(keep_ratio=0.4)
    )
    state, _ = rounds(algorithm, 3)
    assert np.array_equal(state.rows["mask"][0], state.rows["mask"][1])
    assert np.array_equal(state.rows["mask"][0], state.rows["mask"][2])


def test_fine_tuning_moves_only_entries_that_a_neighbour_keeps():
    tuned, _ = rounds(ALGORITHM, 1)
    plain, _ = rounds(replace(ALGORITHM, fine_tune_rate=0.0), 1)
    for agent, neighbours in NEIGHBOURS.items():
        moved = tuned.rows["scores"][agent] != plain.rows["scores"][agent]
        held = np.any([tuned.last_received["mask"][j] for j in neighbours], axis=0)
        assert moved.any()
        assert not (moved & ~held).any()


def test_a_mask_is_a_thirty_second_of_the_weights_and_never_shrinks():
    entries = sum(entry.size for entry in LAYERS)
    for keep in (KEEP, Retention(keep_ratio=0.1), Retention(retention="allocation")):
        assert set(replace(ALGORITHM, keep=keep).demand(K).fixed_upload_bits) == {entries}
    dense = Dsgd(task=TASK, graph=row()).demand(K).fixed_upload_bits
    biases = LAYOUT.size - entries
    assert set(dense - 32 * biases) == {32 * entries}


def test_on_a_ring_every_mask_is_received_by_two():
    _, metrics = rounds(
        replace(ALGORITHM, graph=Graph(graph="ring"), keep=Retention()), 1, agents=4
    )
    assert metrics.extra["traffic_unicast_mb"] == 2 * metrics.extra["traffic_broadcast_mb"]
    assert metrics.extra["traffic_broadcast_mb"] == metrics.uplink_bits.sum() / 8e6


def test_ones_are_counted_as_they_are():
    _, metrics = rounds(replace(ALGORITHM, payload="ones"), 1)
    counts = [sum(e.size - int((1 - r) * e.size + 1e-9) for e in LAYERS) for r in KEEP.keep_ratios]
    assert metrics.uplink_bits.tolist() == counts


@pytest.mark.parametrize("payload", ["entry", "ones", "entropy"])
@pytest.mark.parametrize(
    ("keep", "ratio"),
    [
        (Retention(retention="allocation"), 0.5),
        (Retention(keep_ratio=0.9, filter_threshold=7), 0.0),
        (Retention(keep_ratio=0.3), 0.0),
    ],
)
def test_no_mask_takes_more_bits_than_the_network_was_told(payload, keep, ratio):
    trainer, state = started(replace(ALGORITHM, keep=keep, payload=payload))
    asked = trainer.demand(state).fixed_upload_bits
    _, metrics = trainer.step(state, np.full(K, ratio), Delivery.all(K))
    assert np.all(metrics.uplink_bits <= asked)
    if keep.is_exact:
        assert np.array_equal(metrics.uplink_bits, asked)


def test_lost_masks_leave_neighbours_with_the_last_one():
    trainer, state = started(ALGORITHM)
    first, _ = trainer.step(state, NONE, Delivery.all(K))
    after, metrics = trainer.step(first, NONE, delivery(on_time=[0, 1]))
    assert np.array_equal(after.last_received["mask"][2], first.last_received["mask"][2])
    assert not np.array_equal(after.last_received["mask"][0], first.last_received["mask"][0])
    assert not np.array_equal(
        after.rows["scores"][2], first.rows["scores"][2]
    )  # it has trained all the same
    assert metrics.uplink_bits.all()


def test_a_late_mask_is_used_by_neighbours_when_it_arrives():
    trainer, state = started(ALGORITHM)
    in_time, _ = trainer.step(state, NONE, Delivery.all(K))
    state, _ = trainer.step(state, NONE, delivery(on_time=[0, 1], late=[2]))
    assert sorted(state.late) == [2]
    state = trainer.unpack(trainer.pack(state))  # as a resumed run has it
    state, _ = trainer.step(
        state, NONE, delivery(participates=[0, 1], on_time=[0, 1], arrived_late=[2])
    )
    assert not state.late
    assert np.array_equal(state.last_received["mask"][2], in_time.last_received["mask"][2])


def test_non_participating_agents_keep_their_state_at_no_cost():
    trainer, state = started(ALGORITHM)
    after, metrics = trainer.step(state, NONE, delivery(participates=[0, 2], on_time=[0, 2]))
    for rows, theirs in ((state.rows, after.rows), (state.last_received, after.last_received)):
        assert all(np.array_equal(rows[name][1], theirs[name][1]) for name in rows)
    assert metrics.uplink_bits[1] == metrics.flops[1] == 0


def test_the_allocations_ratios_are_retention_and_ratio_one_sits_out():
    algorithm = replace(ALGORITHM, keep=Retention(retention="allocation"))
    trainer, state = started(algorithm)
    asked = trainer.demand(state)
    assert np.all(asked.prunable_updates > 0)
    assert not asked.prunable_upload_bits.any()
    after, metrics = trainer.step(state, np.array([0.25, 0.7, 1.0]), Delivery.all(K))
    for agent, ratio in ((0, 0.25), (1, 0.7)):
        for entry in LAYERS:
            assert after.rows["mask"][agent][entry.slice].sum() == int(
                (1 - ratio) * entry.size + 1e-9
            )
    assert np.array_equal(after.rows["scores"][2], state.rows["scores"][2])
    assert metrics.uplink_bits[2] == 0


def test_the_layer_that_is_kept_whatever_the_ratio_is_no_prunable_work():
    whole = replace(ALGORITHM, keep=Retention(retention="allocation")).demand(K)
    fixed = replace(ALGORITHM, keep=Retention(retention="allocation", fc_keep=0.9)).demand(K)
    convolutions = sum(entry.size for entry in LAYERS if len(entry.shape) == 4)
    assert set(fixed.prunable_updates) == {convolutions}
    assert np.all(fixed.fixed_updates > whole.fixed_updates)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep_ratio": 0.0}, "training.keep_ratio must be above 0, got 0"),
        ({"keep_ratio": 1.1}, "training.keep_ratio must be at most 1, got 1.1"),
        ({"keep_ratios": (0.5, -1.0)}, "training.keep_ratios must be above 0, got -1"),
        ({"fc_keep": 2.0}, "training.fc_keep must be at most 1, got 2"),
        (
            {"filter_threshold": -1},
            "training.filter_threshold must be a whole number of at least 0, got -1",
        ),
        ({"retention": "some"}, "training.retention must be one of given, allocation"),
        (
            {"keep_ratios": (0.5,), "retention": "allocation"},
            "training.keep_ratios must not be given with training.retention 'allocation'",
        ),
    ],
)
def test_shares_that_are_none_are_one_line(fields, message):
    with pytest.raises(InputError, match=message) as error:
        Retention(**fields)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rate": 0.0}, "training.learning_rate must be above 0, got 0"),
        ({"fine_tune_rate": -1.0}, "training.fine_tune_rate must be at least 0, got -1"),
        ({"weight_decay": -1.0}, "training.weight_decay must be at least 0, got -1"),
        ({"group_lasso": -1.0}, "training.group_lasso must be at least 0, got -1"),
        ({"weight_init": "zero"}, "training.weight_init must be one of fan-in"),
        ({"payload": "nonzero"}, "training.payload must be one of entry, ones, entropy"),
        (
            {"initial_neighbour_keep": 1.5},
            "training.initial_neighbour_keep must be at most 1, got 1.5",
        ),
        ({"local_steps": -1}, "training.local_steps must be a whole number of at least 0, got -1"),
        ({"local_epochs": 0}, "training.local_epochs must be a whole number of at least 1, got 0"),
    ],
)
def test_fields_out_of_range_are_one_line(fields, message):
    with pytest.raises(InputError, match=message):
        McePl(**fields)


def test_fields_of_another_number_of_agents_are_refused_in_one_line():
    with pytest.raises(
        InputError, match=r"training.keep_ratios must have 4 numbers, one per client, got 3"
    ):
        ALGORITHM.demand(4)
    with pytest.raises(
        InputError, match=r"training.adjacency must have 4 rows, one per client, got 3"
    ):
        ALGORITHM.trainer(clients=4, seed=0, runtime=LOOP)
    trainer, state = started(ALGORITHM)
    with pytest.raises(InputError, match="pruning_ratio must be 0, or 1 for an unscheduled client"):
        trainer.step(state, np.array([0.0, 0.5, 0.0]), Delivery.all(K))
    with pytest.raises(InputError, match="training state own_scores must have shape"):
        trainer.unpack({**trainer.pack(state), "own_scores": np.zeros((2, 3))})


@pytest.mark.parametrize("executor", [pytest.param("workers", marks=pytest.mark.slow), "stacked"])
def test_executors_give_the_bits_of_the_loop(executor):
    runtime = replace(LOOP, executor=executor, workers=1)
    assert equal(rounds(ALGORITHM, 2)[0], rounds(ALGORITHM, 2, runtime=runtime)[0])
