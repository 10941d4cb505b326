"""Local SGD against torch's optimiser: momentum, decay, clipping, proximal term, masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.federation import PRUNE, SPEC, engine, made_up_data, start_vector, work

from training.engine.program import Accumulate, Train
from wirelessfl.rng import Streams

START, LAYOUT = start_vector()
DATA = made_up_data(samples=40)  # batches of 16: an epoch is 16, 16, 8
CLIENT, STREAM, RATE = 1, "batches/shared", 0.05


def phase(**fields):
    return Train(**{"part": "all", "learning_rate": RATE, "stream": STREAM} | fields)


def batches(steps=None, epochs=None):
    """The mini-batches that the docstring of `Train` specifies, drawn without the engine."""
    generator = torch.Generator().manual_seed(Streams(3, 0).seed_for(STREAM, CLIENT))
    drawn = []
    while len(drawn) < (steps if epochs is None else 3 * epochs):
        order = DATA.train_index[CLIENT][torch.randperm(40, generator=generator)]
        drawn += order.split(16) if epochs is not None else (order[:16], order[16:32])
    for rows in drawn[:steps]:
        yield (DATA.train_images[rows].float() - 127.0) / 74.0, DATA.train_labels[rows]


def by_torch(
    drawn,
    start=START,
    *,
    momentum=0.0,
    decay=0.0,
    clip=None,
    proximal=0.0,
    mask=None,
    correction=None,
):
    """torch.optim.SGD on a model of its own; the vector and the mean loss."""
    model, layout = SPEC.build_model()
    vector = start.copy() if mask is None else np.where(mask, start, np.float32(0))
    entries = layout.entries
    for entry in entries:
        model.get_parameter(entry.name).data = torch.from_numpy(vector[entry.slice].copy()).view(
            entry.shape
        )
    parameters = [model.get_parameter(entry.name) for entry in entries]
    begin = [parameter.detach().clone() for parameter in parameters]
    sgd = torch.optim.SGD(parameters, lr=RATE, momentum=momentum, weight_decay=decay)
    losses = []
    for images, labels in drawn:
        sgd.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        pull = sum(((now - then) ** 2).sum() for now, then in zip(parameters, begin, strict=True))
        (loss + proximal / 2 * pull).backward()
        for parameter, entry in zip(parameters, entries, strict=True):
            if mask is not None:
                parameter.grad *= torch.from_numpy(mask[entry.slice]).view(entry.shape)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        for parameter, entry in zip(parameters, entries, strict=True):
            if correction is not None:
                added = (
                    correction[entry.slice]
                    if mask is None
                    else correction[entry.slice] * mask[entry.slice]
                )
                parameter.grad += torch.from_numpy(added).view(entry.shape)
        sgd.step()
        losses.append(loss.item())
    return layout.flatten(model).numpy(), float(np.mean(losses))


def ours(*program, **fields):
    return engine(SPEC, DATA).train(replace(work(program, client=CLIENT), **fields))


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.9},
        {"decay": 0.1},
        {"momentum": 0.9, "decay": 0.1},
        {"proximal": 2.0},
        {"clip": 0.3},
        {"momentum": 0.5, "decay": 0.01, "clip": 0.5, "proximal": 1.0},
    ],
)
def test_sgd_is_that_of_torch(settings):
    names = {
        "momentum": "momentum",
        "decay": "weight_decay",
        "clip": "clip_norm",
        "proximal": "proximal",
    }
    result = ours(phase(steps=5, **{names[name]: value for name, value in settings.items()}))
    vector, loss = by_torch(batches(steps=5), **settings)
    np.testing.assert_allclose(result.vector, vector, atol=1e-6)
    assert result.loss == pytest.approx(loss, rel=1e-5)
    assert result.steps == 5
    assert np.abs(vector - by_torch(batches(steps=5))[0]).max() > 1e-4  # the setting does something


def test_a_norm_that_is_never_reached_clips_nothing():
    assert np.array_equal(ours(phase(steps=3, clip_norm=1e6)).vector, ours(phase(steps=3)).vector)


def test_the_norm_is_that_of_what_is_trained():
    vector = ours(phase(part="shared", steps=1, clip_norm=0.01)).vector
    assert np.linalg.norm(vector - START) == pytest.approx(RATE * 0.01, rel=1e-3)


def test_a_correction_is_added_to_every_gradient():
    correction = np.random.default_rng(0).normal(size=LAYOUT.size).astype(np.float32)
    result = ours(phase(steps=4, momentum=0.9, clip_norm=0.5), correction=correction)
    expected, _ = by_torch(batches(steps=4), momentum=0.9, clip=0.5, correction=correction)
    np.testing.assert_allclose(result.vector, expected, atol=2e-6)
    once, without = ours(phase(steps=1), correction=correction).vector, ours(phase(steps=1)).vector
    np.testing.assert_allclose(once - without, -RATE * correction, atol=1e-6)


def test_momentum_lives_for_one_phase():
    together = ours(
        phase(steps=1, momentum=0.9), phase(steps=1, momentum=0.9, stream="other")
    ).vector
    plain = ours(phase(steps=1), phase(steps=1, stream="other")).vector
    np.testing.assert_allclose(together, plain, atol=1e-7)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "settings", [{}, {"momentum": 0.9, "weight_decay": 0.1, "clip_norm": 0.4, "proximal": 1.0}]
)
def test_given_masks_hold_exactly(whole, settings):
    mask = (
        np.random.default_rng(1).random(LAYOUT.parameter_size if whole else LAYOUT.shared_size)
        < 0.4
    )
    full = mask if whole else np.concatenate([np.ones(LAYOUT.personal_size, dtype=bool), mask])
    correction = np.full(LAYOUT.size, 0.1, dtype=np.float32)
    it = engine(SPEC, DATA)
    result = it.train(
        replace(
            work((phase(epochs=2, **settings),), client=CLIENT), mask=mask, correction=correction
        )
    )
    assert not np.any(result.vector[~full])
    assert not np.any(np.signbit(result.vector[~full]))
    assert not it._network.gradient.numpy()[~full].any()
    assert np.array_equal(result.mask, full[LAYOUT.shared])
    names = {"weight_decay": "decay", "clip_norm": "clip"}
    theirs = {names.get(name, name): value for name, value in settings.items()}
    expected, _ = by_torch(batches(epochs=2), mask=full, correction=correction, **theirs)
    np.testing.assert_allclose(result.vector, expected, atol=2e-6)


def test_momentum_of_what_prune_takes_is_zero():
    program = (phase(steps=2, momentum=0.9), PRUNE, phase(steps=4, momentum=0.9, weight_decay=0.1))
    result = engine(SPEC, DATA).train(work(program, client=CLIENT, ratio=0.5))
    pruned = result.vector[LAYOUT.shared][~result.mask]
    assert pruned.size == LAYOUT.shared_size // 2
    assert not np.any(pruned)
    assert not np.any(np.signbit(pruned))


@pytest.mark.parametrize("epochs", [1, 3])
def test_an_epoch_visits_every_sample_once_in_a_last_batch_that_may_be_smaller(epochs):
    result = ours(phase(epochs=epochs))
    expected, loss = by_torch(batches(epochs=epochs))
    np.testing.assert_allclose(result.vector, expected, atol=1e-6)
    assert result.steps == 3 * epochs
    assert result.loss == pytest.approx(loss, rel=1e-5)


def test_no_epoch_is_no_step():
    result = ours(phase(epochs=0))
    assert (result.loss, result.steps) == (None, 0)
    assert np.array_equal(result.vector, START)


@pytest.mark.parametrize("part", ["all", "shared", "personal"])
def test_accumulated_gradients_are_those_of_autograd(part):
    result = ours(Accumulate(epochs=1, part=part, stream=STREAM))
    model, layout = SPEC.build_model()
    total, squares = np.zeros(layout.size), np.zeros(layout.size)
    for images, labels in batches(epochs=1):
        layout.bind(model, torch.from_numpy(START.copy()), (gradient := torch.zeros(layout.size)))
        F.cross_entropy(model(images), labels).backward()
        total += gradient.numpy()
        squares += gradient.numpy() ** 2
    outside = np.ones(layout.size, dtype=bool)
    outside[layout.part(part)] = False
    total[outside] = squares[outside] = 0
    np.testing.assert_allclose(result.sums["gradient"], total, atol=1e-6)
    np.testing.assert_allclose(result.sums["squared_gradient"], squares, atol=1e-7)
    assert np.abs(total).max() > 0.01
    assert result.batches == 3
    assert (result.loss, result.steps) == (None, 0)
    assert np.array_equal(result.vector, START)


def test_what_is_pruned_has_a_gradient_too():
    mask = np.random.default_rng(1).random(LAYOUT.parameter_size) < 0.4
    result = ours(Accumulate(steps=1, stream=STREAM), mask=mask)
    assert np.array_equal(result.vector, np.where(mask, START, 0))
    assert np.count_nonzero(result.sums["gradient"][~mask]) > 100


def test_two_accumulations_add_up():
    first, second = Accumulate(steps=1, stream=STREAM), Accumulate(steps=2, stream="other")
    both = ours(first, second)
    alone = [ours(phase).sums["gradient"] for phase in (first, second)]
    np.testing.assert_allclose(both.sums["gradient"], alone[0] + alone[1], atol=1e-6)
    assert both.batches == 3


def test_gradients_along_the_way_add_up_also_where_masked():
    mask = np.random.default_rng(1).random(LAYOUT.parameter_size) < 0.4
    result = ours(phase(steps=1, sum_gradients=True, clip_norm=0.1, weight_decay=0.1), mask=mask)
    fixed = ours(Accumulate(steps=1, stream=STREAM), mask=mask)
    assert np.array_equal(result.sums["gradient"], fixed.sums["gradient"])
    two = ours(phase(steps=2, sum_gradients=True))
    np.testing.assert_allclose(two.sums["gradient"], (START - two.vector) / RATE, atol=1e-5)
    assert (two.batches, two.steps) == (2, 2)
