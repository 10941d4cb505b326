"""Straight-through training of masks against a naive loop with autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.federation import SPEC, engine, made_up_data, work
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call

from training.engine.program import TrainMask, TrainPruned
from training.engine.straight_through import mask_of
from training.structure.layout import Layout
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams

DATA = made_up_data(samples=40)
WHOLE = replace(SPEC, personalised=False)
MODEL, LAYOUT = WHOLE.build_model()
RNG = np.random.default_rng(2)
START = RNG.normal(size=LAYOUT.size).astype(np.float32) / 4
SCORES = RNG.normal(size=LAYOUT.size).astype(np.float32)
LAYERS = [entry for entry in LAYOUT.entries if len(entry.shape) > 1]
KEEP = (0.5, 0.3, 0.9, 0.4)
RATE = 1.0


def phase(**fields):
    return TrainMask(**{"keep": KEEP, "learning_rate": RATE, "stream": "s", "steps": 3} | fields)


def ours(item, **fields):
    given = {"vector": START, "scores": SCORES} | fields
    return engine(WHOLE, DATA).train(replace(work((), client=1), program=(item,), **given))


class HandThrough(torch.autograd.Function):
    """Thres of [MCE-PL] eq. (3): torch.topk's mask of |y|, whose gradient is handed through."""

    @staticmethod
    def forward(ctx, magnitude, keep, threshold):
        flat = magnitude.flatten()
        count = flat.numel() - int((1 - keep) * flat.numel() + 1e-9)
        mask = torch.zeros_like(flat)
        mask[flat.topk(count).indices] = 1
        rows = mask.view(magnitude.shape[0], -1)
        return (rows * (rows.sum(1, keepdim=True) > threshold)).view_as(magnitude)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None, None


def drawn(steps):
    generator = torch.Generator().manual_seed(Streams(3, 0).seed_for("s", 1))
    orders = [DATA.train_index[1][torch.randperm(40, generator=generator)] for _ in range(2)]
    return [orders[0][:16], orders[0][16:32], orders[1][:16]][:steps]


def images(rows):
    return (DATA.train_images[rows].float() - 127.0) / 74.0


def by_hand(steps, *, neighbours=None, lasso=0.0, decay=0.0, threshold=0):
    """The naive loop: z a parameter, v = w m(|agg(z)|) by autograd, one tensor after the other."""
    weights = {
        entry.name: torch.from_numpy(START[entry.slice]).view(entry.shape)
        for entry in LAYOUT.entries
    }
    scores = {
        entry.name: torch.from_numpy(SCORES[entry.slice].copy()).view(entry.shape).requires_grad_()
        for entry in LAYERS
    }

    def masks():
        made = {}
        for entry, keep in zip(LAYERS, KEEP, strict=True):
            z = scores[entry.name]
            y = z
            if neighbours is not None:
                pull = torch.from_numpy(neighbours[entry.slice]).view(entry.shape)
                y = z + (z.abs().mean() * z.sign() * pull).detach()
            made[entry.name] = HandThrough.apply(y.abs(), keep, threshold)
        return made

    for batch in drawn(steps):
        model = {
            name: weight * made if (made := masks().get(name)) is not None else weight
            for name, weight in weights.items()
        }
        logits = functional_call(MODEL, model, (images(batch),))
        lassos = sum(z.flatten(1).norm(dim=1).sum() for z in scores.values())
        loss = F.cross_entropy(logits, DATA.train_labels[batch]) + lasso * lassos
        gradients = torch.autograd.grad(loss, list(scores.values()))
        with torch.no_grad():
            for z, gradient in zip(scores.values(), gradients, strict=True):
                z -= RATE * (gradient + decay * z)
    flat = {
        name: (z.detach().flatten().numpy(), mask.detach().flatten().numpy())
        for (name, z), mask in zip(scores.items(), masks().values(), strict=True)
    }
    return flat, {
        name: gradient.flatten().numpy() for name, gradient in zip(scores, gradients, strict=True)
    }


NEIGHBOURS = RNG.random(LAYOUT.size).astype(np.float32)


@pytest.mark.parametrize(
    ("fields", "theirs"),
    [
        ({}, {}),
        ({"neighbour_mask": NEIGHBOURS}, {"neighbours": NEIGHBOURS}),
        ({"group_lasso": 0.01, "weight_decay": 0.02}, {"lasso": 0.01, "decay": 0.02}),
        ({"filter_threshold": 4}, {"threshold": 4}),
    ],
)
@pytest.mark.parametrize("steps", [1, 3])
def test_scores_and_masks_are_those_of_a_naive_loop(fields, theirs, steps):
    work_fields = {name: value for name, value in fields.items() if name == "neighbour_mask"}
    rest = {name: value for name, value in fields.items() if name != "neighbour_mask"}
    result = ours(phase(steps=steps, **rest), **work_fields)
    expected, gradients = by_hand(steps, **theirs)
    for entry in LAYERS:
        scores, mask = expected[entry.name]
        np.testing.assert_allclose(result.scores[entry.slice], scores, atol=1e-5)
        assert np.array_equal(result.mask[entry.slice], mask.astype(bool))
        np.testing.assert_allclose(
            result.sums["score_gradient"][entry.slice], gradients[entry.name], atol=1e-5
        )
    assert not np.array_equal(
        result.mask, ours(phase(steps=0, **rest), **work_fields).mask
    )  # masks move
    assert result.steps == steps


def test_retention_is_exact_and_weights_never_change():
    result = ours(phase())
    for entry, keep in zip(LAYERS, KEEP, strict=True):
        assert result.mask[entry.slice].sum() == entry.size - int((1 - keep) * entry.size + 1e-9)
    assert np.array_equal(result.vector, START)
    outside = np.ones(LAYOUT.size, dtype=bool)
    for entry in LAYERS:
        outside[entry.slice] = False
    assert result.mask[outside].all()
    assert not result.scores[outside].any()


@pytest.mark.parametrize("neighbours", [None, NEIGHBOURS])
@pytest.mark.parametrize("threshold", [0, 4])
def test_a_mask_written_over_another_is_that_mask(neighbours, threshold):
    layers = list(zip(LAYERS, KEEP, strict=True))
    scores = torch.from_numpy(SCORES)
    pull = None if neighbours is None else torch.from_numpy(neighbours)
    item = phase(filter_threshold=threshold)
    fresh, older = (
        mask_of(scores, pull, layers, item),
        mask_of(scores.flip(0), None, layers, phase()),
    )
    assert not torch.equal(older, fresh)
    assert torch.equal(mask_of(scores, pull, layers, item, out=older), fresh)
    assert torch.equal(older, fresh)


@given(st.integers(0, 2**32), st.floats(0.05, 0.95))
def test_neighbours_move_ranks_and_no_sign(seed, keep):
    """|agg(z, M)| is at most mean|z| above |z|, so that what is kept has |z| + mean|z| >= any |z|
    that is not.
    """
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.choice([-1, 1], LAYOUT.size) * rng.uniform(0.1, 1.0, LAYOUT.size))
    pull = torch.from_numpy(rng.random(LAYOUT.size))
    mask = mask_of(scores, pull, [(entry, keep) for entry in LAYERS], phase()).bool()
    for entry in LAYERS:
        z, kept = scores[entry.slice], mask[entry.slice]
        y = z + z.abs().mean() * z.sign() * pull[entry.slice]
        assert torch.equal(y.sign(), z.sign())
        assert y[kept].abs().min() >= y[~kept].abs().max()
        assert z[kept].abs().min() + z.abs().mean() >= z[~kept].abs().max()


def test_what_the_caller_gave_is_not_touched():
    scores, start = SCORES.copy(), START.copy()
    ours(phase(group_lasso=0.1, weight_decay=0.1), scores=scores, vector=start)
    assert np.array_equal(scores, SCORES)
    assert np.array_equal(start, START)


def test_filters_with_few_ones_are_cut():
    mask = ours(phase(filter_threshold=4)).mask[LAYERS[0].slice].reshape(8, 9)
    assert set(mask.sum(1)) & set(range(5)) == {0}


def test_everything_kept_is_the_dense_model_and_no_step_changes_nothing():
    result = ours(phase(keep=(1.0,) * 4, steps=2))
    assert result.mask.all()
    none = ours(phase(steps=0))
    assert none.loss is None
    assert np.array_equal(none.scores[LAYERS[2].slice], SCORES[LAYERS[2].slice])


@pytest.mark.parametrize("threshold", [0, 4])
def test_pruned_weights_learn_by_the_gradient_at_their_masked_values(threshold):
    item = TrainPruned(
        keep=KEEP,
        learning_rate=0.1,
        weight_decay=0.01,
        stream="s",
        steps=3,
        filter_threshold=threshold,
    )
    result = ours(item, scores=None)
    weights = {
        e.name: torch.from_numpy(START[e.slice].copy()).view(e.shape).requires_grad_()
        for e in LAYOUT.entries
    }
    shares = {entry.name: keep for entry, keep in zip(LAYERS, KEEP, strict=True)}

    def masked(name):
        weight = weights[name]
        if name not in shares:
            return weight
        mask = HandThrough.apply(weight.detach().abs(), shares[name], threshold)
        return weight + (weight * mask - weight).detach()

    for batch in drawn(3):
        logits = functional_call(MODEL, {name: masked(name) for name in weights}, (images(batch),))
        F.cross_entropy(logits, DATA.train_labels[batch]).backward()
        with torch.no_grad():
            for weight in weights.values():
                weight -= 0.1 * (weight.grad + 0.01 * weight)
                weight.grad = None
    for entry in LAYOUT.entries:
        np.testing.assert_allclose(
            result.vector[entry.slice], weights[entry.name].detach().flatten(), atol=1e-6
        )
        kept = (masked(entry.name) != 0).flatten().numpy()
        assert np.array_equal(result.mask[entry.slice], kept | (entry.name not in shares))
    assert result.steps == 3
    assert result.loss > 0


def test_shares_of_the_wrong_number():
    with pytest.raises(
        InputError, match="a mask needs one fraction for each of 4 tensors of weights, got 2"
    ):
        ours(phase(keep=(0.5, 0.5)))


def test_the_layout_is_that_of_the_model():
    assert [entry.name for entry in LAYERS] == [
        "conv1.weight",
        "conv2.weight",
        "fc1.weight",
        "fc2.weight",
    ]
    assert Layout.of(MODEL) == LAYOUT
