"""Pruned weights of agents alone, averaged, and averaged over holders."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.agents import TASK, batches, delivery, equal, rounds, row, started
from torch.func import functional_call

from training.algorithms.decentralised.avr_weipru import AvrWeipru
from training.algorithms.decentralised.dsgd import Dsgd
from training.algorithms.decentralised.ind_mask import IndMask
from training.algorithms.decentralised.ind_weipru import IndWeipru
from training.algorithms.decentralised.par_weipru import ParWeipru
from training.decentralised.retention import Retention, maskable_entries
from wirelessfl.errors import InputError
from wirelessfl.values import Delivery

K = 3
KEEP = Retention(keep_ratios=(0.5, 0.3, 0.4))
FIELDS = {"task": TASK, "graph": row(), "keep": KEEP, "learning_rate": 0.1}
ALL = (IndWeipru, AvrWeipru, ParWeipru)
HEARING = (AvrWeipru, ParWeipru)
MODEL, LAYOUT = IndWeipru(**FIELDS).method.spec().build_model()
LAYERS = maskable_entries(LAYOUT)
NEIGHBOURS = {0: (1,), 1: (0, 2), 2: (1,)}
NONE = np.zeros(K)


def masks_of(weights, keep):
    masks = {entry.name: torch.ones(entry.shape) for entry in LAYOUT.parameters}
    for entry in LAYERS:
        flat = torch.zeros(entry.size)
        count = entry.size - int((1 - keep) * entry.size + 1e-9)
        flat[weights[entry.name].abs().flatten().topk(count).indices] = 1
        masks[entry.name] = flat.view(entry.shape)
    return masks


def reference_run(algorithm, start, iterations):
    """Local steps, the exchange and the pruning of every tensor, with autograd; weights and masks
    in the end.
    """
    hard, alone = algorithm.pruning == "hard", isinstance(algorithm, IndWeipru)
    over_holders = isinstance(algorithm, ParWeipru)
    w = [
        {
            e.name: torch.from_numpy(start.rows["vector"][k][e.slice].copy()).view(e.shape)
            for e in LAYOUT.parameters
        }
        for k in range(K)
    ]
    for iteration in range(iterations):
        masks = []
        for k, (images, labels) in enumerate(batches(K, iteration)):
            masked = masks_of(w[k], KEEP.keep_ratios[k])
            leaves = {n: (w[k][n] * masked[n]).requires_grad_() for n in w[k]}
            F.cross_entropy(functional_call(MODEL, leaves, (images,)), labels).backward()
            w[k] = {n: w[k][n] - algorithm.learning_rate * leaves[n].grad for n in w[k]}
            masks.append(masks_of(w[k], KEEP.keep_ratios[k]))
        sent = [{n: w[k][n] * masks[k][n] for n in w[k]} for k in range(K)]
        w = sent if hard else w
        mixed = []
        for k in range(K):
            mixed.append({})
            for n, own in w[k].items():
                terms = [own, *(sent[j][n] for j in NEIGHBOURS[k])]
                holders = [masks[k][n], *(masks[j][n] for j in NEIGHBOURS[k])]
                if over_holders:
                    held = sum(holders)
                    total = sum(term * holder for term, holder in zip(terms, holders, strict=True))
                    mixed[k][n] = torch.where(held > 0, total / held.clamp_min(1), own)
                else:
                    mixed[k][n] = sum(terms) / len(terms)
        w = w if alone else mixed
        masks = [masks_of(w[k], KEEP.keep_ratios[k]) for k in range(K)]
        w = [{n: w[k][n] * masks[k][n] for n in w[k]} for k in range(K)] if hard else w
    return w, masks


@pytest.mark.parametrize("pruning", ["straight-through", "hard"])
@pytest.mark.parametrize("kind", ALL)
def test_three_iterations_match_the_reference(kind, pruning):
    algorithm = kind(**FIELDS, pruning=pruning)
    _, first = started(algorithm)
    state, _ = rounds(algorithm, 3)
    weights, masks = reference_run(algorithm, first, 3)
    for agent in range(K):
        for entry in LAYOUT.parameters:
            expected = weights[agent][entry.name].flatten()
            np.testing.assert_allclose(
                state.rows["vector"][agent][entry.slice], expected, rtol=1e-5, atol=1e-6
            )
            assert np.array_equal(
                state.rows["mask"][agent][entry.slice], masks[agent][entry.name].flatten().bool()
            )


def test_at_retention_one_it_is_local_sgd_bit_for_bit():
    sgd, _ = rounds(Dsgd(task=TASK, learning_rate=0.1), 3, agents=1)
    for pruning in ("straight-through", "hard"):
        state, _ = rounds(
            IndWeipru(
                task=TASK, keep=Retention(keep_ratio=1.0), learning_rate=0.1, pruning=pruning
            ),
            3,
            1,
        )
        assert np.array_equal(state.rows["vector"], sgd.rows["vector"])


@pytest.mark.parametrize("pruning", ["straight-through", "hard"])
@pytest.mark.parametrize("kind", HEARING)
def test_without_neighbours_it_is_ind_weipru_bit_for_bit(kind, pruning):
    fields = {
        "task": TASK,
        "keep": Retention(keep_ratio=0.4),
        "learning_rate": 0.1,
        "pruning": pruning,
    }
    assert equal(
        rounds(kind(**fields), 3, agents=1)[0], rounds(IndWeipru(**fields), 3, agents=1)[0]
    )


def test_with_full_masks_the_two_means_are_one():
    full = {**FIELDS, "keep": Retention(keep_ratio=1.0)}
    assert equal(rounds(AvrWeipru(**full), 3)[0], rounds(ParWeipru(**full), 3)[0])


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("threshold", [0, 4])
def test_retention_is_exact_before_filters_are_cut(kind, threshold):
    state, metrics = rounds(
        kind(**{**FIELDS, "keep": replace(KEEP, filter_threshold=threshold)}), 2
    )
    kept = 0
    for agent, ratio in enumerate(KEEP.keep_ratios):
        for entry in LAYERS:
            ones, exact = (
                state.rows["mask"][agent][entry.slice].sum(),
                entry.size - int((1 - ratio) * entry.size),
            )
            assert ones == exact if threshold == 0 else ones <= exact
            kept += int(ones)
    assert metrics.extra["ones_share"] == pytest.approx(
        kept / (K * sum(entry.size for entry in LAYERS))
    )


@pytest.mark.parametrize("kind", HEARING)
def test_bits_are_those_of_the_message(kind):
    entries = sum(entry.size for entry in LAYERS)
    counts = [sum(e.size - int((1 - r) * e.size) for e in LAYERS) for r in KEEP.keep_ratios]
    biases = LAYOUT.size - entries
    for fields, expected in (
        ({}, [32 * (count + biases) for count in counts]),
        ({"count_mask_bits": True}, [32 * (count + biases) + entries for count in counts]),
        ({"payload": "values"}, [32 * LAYOUT.size] * K),
    ):
        algorithm = kind(**FIELDS, **fields)
        _, metrics = rounds(algorithm, 1)
        assert metrics.uplink_bits.tolist() == expected
        assert algorithm.demand(K).fixed_upload_bits.tolist() == expected
    assert not IndWeipru(**FIELDS).demand(K).fixed_upload_bits.any()


@pytest.mark.parametrize("kind", HEARING)
@pytest.mark.parametrize("ratios", [(0.0, 0.31, 0.999), (0.5, 0.123, 1.0)])
def test_under_the_allocations_ratios_no_more_is_sent_than_was_asked_for(kind, ratios):
    trainer, state = started(kind(**{**FIELDS, "keep": Retention(retention="allocation")}))
    asked = trainer.demand(state)
    assert np.all(asked.prunable_updates > 0)
    _, metrics = trainer.step(state, np.array(ratios), Delivery.all(K))
    granted = asked.fixed_upload_bits + (1 - np.array(ratios)) * asked.prunable_upload_bits
    assert np.all(metrics.uplink_bits <= granted)
    assert np.all(
        granted - metrics.uplink_bits < 32 * (len(LAYERS) + 1) + granted * (np.array(ratios) == 1)
    )


def test_a_lost_model_is_excluded_from_the_mean():
    trainer, state = started(AvrWeipru(**FIELDS))
    alone, _ = started(IndWeipru(**FIELDS))
    after, _ = trainer.step(
        state, NONE, delivery(on_time=[0, 2])
    )  # an agent with agent 1 as its only neighbour receives nothing
    expected, _ = alone.step(state, NONE, Delivery.all(K))
    same = [np.array_equal(after.rows["vector"][k], expected.rows["vector"][k]) for k in range(K)]
    assert same == [True, False, True]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pruning": "soft"}, "training.pruning must be one of straight-through, hard"),
        ({"payload": "entry"}, "training.payload must be one of nonzero, values"),
        ({"learning_rate": 0.0}, "training.learning_rate must be above 0, got 0"),
        ({"weight_decay": -1.0}, "training.weight_decay must be at least 0, got -1"),
    ],
)
def test_fields_out_of_range_are_one_line(fields, message):
    with pytest.raises(InputError, match=message):
        ParWeipru(**fields)


def test_weights_from_minus_one_to_one_are_those_that_masks_have():
    ours = started(IndWeipru(**FIELDS, weight_init="unit-uniform"), K)[1].rows["vector"]
    theirs = started(IndMask(task=TASK, graph=row(), keep=KEEP, weight_init="unit-uniform"), K)[
        1
    ].common["weights"]
    np.testing.assert_array_equal(ours[:, : len(theirs)], np.tile(theirs, (K, 1)))
    assert 0.95 < ours[:, LAYERS[-1].slice].max() <= 1
    with pytest.raises(InputError, match=r"training\.weight_init must be one of fan-in"):
        IndWeipru(**FIELDS, weight_init="zeros")
