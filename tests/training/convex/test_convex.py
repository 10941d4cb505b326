"""Kernels of full local gradients against plain loops, closed forms, scikit-learn and published
facts.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.synthetic import write_femnist
from sklearn.linear_model import LogisticRegression, Ridge

from training.convex.factory import full_gradients
from training.convex.full_gradients import passes
from training.data.federated import FederatedData
from training.engine.program import EvaluationWork
from training.engine.spec import EngineSpec
from training.sparsity.prox import SoftThreshold, TopK
from training.structure.form import Form
from training.task import Task
from wirelessfl import plugins
from wirelessfl.errors import InputError

RIDGE, L2 = 3.0, 0.05
SIZES = (1, 4, 30, 2, 9, 17, 3, 6, 5, 12, 8)  # two blocks, ranks below and at d


def regression(features=12, seed=0):
    """Clients with a column that is constant within each, a column of zeros, and targets."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(SIZES)), SIZES)
    inputs = rng.random((len(owner), features)).astype(np.float32)
    inputs[:, 0], inputs[:, 3] = rng.random(len(SIZES)).astype(np.float32)[owner], 0
    targets = (inputs @ rng.normal(size=features) + rng.normal(size=len(owner))).astype(np.float32)
    return federated(inputs, targets, owner, classes=1, test=40)


def classification(classes=4, seed=0):
    """Images of one channel in few classes, whose brightest pixel tells the class now and then."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(SIZES)), SIZES)
    labels = rng.integers(0, classes, len(owner))
    images = rng.integers(0, 200, (len(owner), 1, 4, 5)).astype(np.uint8)
    images[np.arange(len(owner)), 0, 0, labels] = 255
    return federated(images, labels, owner, classes=classes, test=40)


def federated(inputs, targets, owner, *, classes, test):
    images, labels = torch.from_numpy(inputs), torch.from_numpy(targets)
    pixels = images.numpy().astype(np.float64)
    return FederatedData(
        train_images=images,
        train_labels=labels,
        test_images=images[:test],
        test_labels=labels[:test],
        mean=float(pixels.mean()) if images.ndim == 4 else 0.0,
        std=float(pixels.std()) if images.ndim == 4 else 1.0,
        classes=classes,
        train_index=tuple(
            torch.from_numpy(np.flatnonzero(owner == client)) for client in range(len(SIZES))
        ),
        test_index=(torch.arange(test),) * len(SIZES),
    )


def rows_of(data, client):
    """A client's inputs with a column of ones, and its targets."""
    index = data.train_index[client].numpy()
    inputs = (
        data.train_images.numpy()[index].reshape(len(index), -1).astype(np.float64) - data.mean
    ) / data.std
    return np.concatenate([inputs, np.ones((len(index), 1))], axis=1), data.train_labels.numpy()[
        index
    ]


def ridge_gradient(data, client, weights):
    rows, target = rows_of(data, client)
    return rows.T @ (rows @ weights - target) + RIDGE / len(SIZES) * weights


def logistic_gradient(data, client, weights):
    rows, labels = rows_of(data, client)
    wide = weights.size // data.classes
    whole = np.column_stack(
        [weights[: -data.classes].reshape(data.classes, wide - 1), weights[-data.classes :]]
    )
    logits = rows @ whole.T
    error = (
        np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - np.eye(data.classes)[labels]
    )
    gradient = len(SIZES) / sum(SIZES) * error.T @ rows
    return np.concatenate([gradient[:, :-1].ravel(), gradient[:, -1]]) + L2 * weights


KINDS = {
    "linear": (regression, ridge_gradient, 0.02),
    "logistic": (classification, logistic_gradient, 0.3),
}
PROXES = [
    None,
    TopK(5),
    SoftThreshold(0.7),
    [SoftThreshold(0.2), SoftThreshold(0.9), SoftThreshold(0.0)],
]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def plain(data, gradient, start, control, rate, steps, prox):
    """The definition, client by client and step by step."""
    result = np.empty((len(steps), len(SIZES), start.shape[-1]))
    for run, count in enumerate(steps):
        operator = prox[run] if isinstance(prox, list) else prox
        for client in range(len(SIZES)):
            weights = start[run, client] if start.ndim == 3 else start[run]
            for _ in range(count):
                force = gradient(data, client, weights) - (
                    0 if control is None else control[run, client]
                )
                weights = weights - rate[run] * force
                weights = weights if operator is None else operator(weights, rate[run])
            result[run, client] = weights
    return result


@pytest.mark.parametrize("prox", PROXES, ids=str)
@pytest.mark.parametrize("own_start", [False, True])
@pytest.mark.parametrize("controlled", [False, True])
def test_local_steps_are_those_of_the_definition(kind, prox, own_start, controlled):
    make, gradient, rate = KINDS[kind]
    data = make()
    task = full_gradients(data, kind, ridge=RIDGE, l2=L2)
    rng = np.random.default_rng(1)
    start = rng.normal(size=(3, task.clients, task.size) if own_start else (3, task.size))
    control = rng.normal(size=(3, task.clients, task.size)) if controlled else None
    rates, steps = rate * np.array([1.0, 0.5, 0.1]), np.array([3, 7, 1])
    before = start.copy()
    made = task.local_steps(start, control, rate=rates, steps=steps, prox=prox)
    expected = plain(data, gradient, start, control, rates, steps, prox)
    assert made.shape == (3, task.clients, task.size)
    assert np.abs(made - expected).max() <= 1e-10 * np.abs(expected).max()
    assert np.array_equal(start, before)


@pytest.mark.parametrize("prox", [None, TopK(5), SoftThreshold(0.7)], ids=str)
def test_runs_of_a_stack_are_the_runs_alone(kind, prox):
    data = KINDS[kind][0]()
    task = full_gradients(data, kind, ridge=RIDGE, l2=L2)
    rng = np.random.default_rng(2)
    start, control = rng.normal(size=(4, task.size)), rng.normal(size=(4, task.clients, task.size))
    rate, steps = 0.01 * np.array([1.0, 2.0, 0.5, 1.5]), np.array([5, 2, 9, 5])
    together = task.local_steps(start, control, rate=rate, steps=steps, prox=prox)
    for run in range(4):
        only = slice(run, run + 1)
        alone = task.local_steps(
            start[only], control[only], rate=rate[only], steps=steps[only], prox=prox
        )
        assert np.abs(together[run] - alone[0]).max() <= 1e-11 * np.abs(alone).max()


def test_float32_is_float64_to_its_digits(kind):
    data, _, rate = (KINDS[kind][0](), *KINDS[kind][1:])
    exact, fast = (
        full_gradients(data, kind, ridge=RIDGE, l2=L2, precision=name)
        for name in ("float64", "float32")
    )
    rng = np.random.default_rng(3)
    start, control = (
        rng.normal(size=(2, exact.size)),
        rng.normal(size=(2, exact.clients, exact.size)),
    )
    settings = {"rate": np.full(2, rate), "steps": np.array([20, 40])}
    for prox in (None, SoftThreshold(0.1)):
        wanted, got = (
            task.local_steps(start, control, **settings, prox=prox) for task in (exact, fast)
        )
        assert (wanted.dtype, got.dtype) == (np.float64, np.float32)
        assert np.abs(wanted - got).max() <= 2e-5 * np.abs(wanted).max()
    assert fast.loss(start.astype(np.float32)) == pytest.approx(exact.loss(start), rel=1e-5)


def test_many_steps_without_ridge_keep_what_no_sample_sees():
    """Along a direction without data nothing but the force moves the weights: by rate x steps x
    force.
    """
    data = regression()
    task = full_gradients(data, "linear", ridge=0.0)
    start, control = np.ones((1, task.size)), np.zeros((1, task.clients, task.size))
    control[..., 3] = 2.0  # the column of zeros
    made = task.local_steps(start, control, rate=np.array([1e-3]), steps=np.array([5000]))
    assert made[0, :, 3] == pytest.approx(np.full(task.clients, 11.0), rel=1e-10)


def test_the_closed_form_holds_for_step_sizes_that_overshoot_and_that_diverge():
    data = regression()
    task = full_gradients(data, "linear", ridge=RIDGE)
    start = np.random.default_rng(4).normal(size=(2, task.size))
    largest = max(np.linalg.norm(rows_of(data, client)[0], 2) ** 2 for client in range(len(SIZES)))
    rate, steps = np.array([1.9, 2.5]) / largest, np.array([9, 9])
    made = task.local_steps(start, None, rate=rate, steps=steps)
    expected = plain(data, ridge_gradient, start, None, rate, steps, None)
    assert np.abs(made - expected).max() <= 1e-10 * np.abs(expected).max()


def test_one_step_from_zero_moves_no_weight_whose_gradient_is_zero():
    data = regression()
    data.train_labels[:] = 0
    first = data.train_index[4][:2]  # a client whose moment is not 0 in a single column only
    data.train_images[data.train_index[4]] = torch.rand(len(data.train_index[4]), 12)
    data.train_labels[first] = torch.tensor([1.0, -1.0])
    data.train_images[first[0]] = data.train_images[first[1]]
    data.train_images[first[0], 7] += 1.0
    task = full_gradients(data, "linear", ridge=RIDGE)
    start, rate = np.zeros((2, task.size)), np.array([0.02, 0.03])
    found = task.local_steps(start, None, rate=rate, steps=np.array([1, 1]))
    for client in range(len(SIZES)):
        gradient = ridge_gradient(data, client, start[0])
        assert ((found[:, client] != 0) == (gradient != 0)).all()
        np.testing.assert_allclose(found[:, client], -rate[:, None] * gradient, rtol=1e-12)


def test_ridge_descent_ends_at_the_optimum_of_scikit_learn():
    data = regression()
    task = full_gradients(data, "linear", ridge=RIDGE)
    rows, targets = (
        np.concatenate(part)
        for part in zip(*(rows_of(data, i) for i in range(len(SIZES))), strict=True)
    )
    best = Ridge(alpha=RIDGE, fit_intercept=False, solver="cholesky").fit(rows, targets).coef_
    value = 0.5 * np.square(rows @ best - targets).sum() + 0.5 * RIDGE * best @ best
    assert task.loss(best[None])[0] == pytest.approx(value, rel=1e-12)
    nearby = best + 1e-3 * np.random.default_rng(5).normal(size=(20, task.size))
    assert (task.loss(nearby) > task.loss(best[None])).all()
    weights = np.zeros((1, task.size))
    for _ in range(3000):  # one step between two means is gradient descent on the sum
        weights = task.local_steps(weights, None, rate=np.array([0.05]), steps=np.array([1])).mean(
            axis=1
        )
    assert weights[0] == pytest.approx(best, abs=1e-9)


def test_the_logistic_objective_is_the_pooled_one_of_scikit_learn():
    data = classification()
    task = full_gradients(data, "logistic", l2=L2)
    rows, labels = (
        np.concatenate(part)
        for part in zip(*(rows_of(data, i) for i in range(len(SIZES))), strict=True)
    )
    pooled = LogisticRegression(
        C=1 / (L2 * len(rows)), fit_intercept=False, tol=1e-12, max_iter=10000
    )
    found = pooled.fit(rows, labels).coef_
    best = np.concatenate([found[:, :-1].ravel(), found[:, -1]])
    logits = rows @ found.T
    log_probability = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    value = -log_probability[np.arange(len(rows)), labels].mean() + 0.5 * L2 * best @ best
    assert task.loss(best[None])[0] / task.clients == pytest.approx(value, rel=1e-12)
    mean = np.mean([logistic_gradient(data, client, best) for client in range(len(SIZES))], axis=0)
    assert np.abs(mean).max() < 1e-6
    step = task.local_steps(best[None], None, rate=np.array([1.0]), steps=np.array([1])).mean(
        axis=1
    )
    assert step[0] == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_score_is_what_the_engine_evaluates(name):
    if name == "linear":
        data = regression(features=280)
        form = Form()
    else:
        data = classification()
        images = torch.zeros(len(data.train_images), 1, 28, 28, dtype=torch.uint8)
        images[:, :, :4, :5] = data.train_images
        data = replace(data, train_images=images, test_images=images[:40])
        form = Form(classes=4)
    spec = EngineSpec(model=name, personalised=False, batch_size=8, device="cpu", form=form)
    task = full_gradients(data, name)
    weights = (0.1 * np.random.default_rng(6).normal(size=task.size)).astype(np.float32)
    engine = spec.build(data)
    wanted = engine.evaluate(EvaluationWork(client=0, vector=weights))
    assert task.score(np.stack([weights, 0 * weights]))[0] == pytest.approx(wanted, abs=1e-5)


def test_a_target_that_is_the_same_everywhere_has_no_score():
    data = replace(regression(), test_labels=torch.ones(40))
    assert full_gradients(data, "linear").score(np.ones((2, 13))).tolist() == [0.0, 0.0]


def test_passes_let_go_of_runs_that_are_done():
    order, stages = passes(np.array([3, 0, 5, 3]))
    assert order.tolist() == [2, 0, 3, 1]
    assert stages == [(3, 3), (1, 2)]


def test_users_of_leaf_have_full_gradients(tmp_path):
    write_femnist(tmp_path)
    data = Task(dataset="femnist", model="logistic", partition="natural").load(
        clients=3, seed=0, data_root=tmp_path
    )
    task = full_gradients(data, "logistic")
    assert (task.clients, task.size) == (3, 48670)
    made = task.local_steps(
        np.zeros((1, task.size)), None, rate=np.array([0.1]), steps=np.array([1]), prox=TopK(4867)
    )
    assert (np.count_nonzero(made, axis=-1) <= 4867).all()


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (
            "cnn",
            {},
            "training.model must be linear or logistic for full local gradients, got 'cnn'",
        ),
        ("linear", {"ridge": -1.0}, "training.ridge must be at least 0, got -1"),
        ("logistic", {"l2": float("nan")}, "training.l2 must be finite, got nan"),
        (
            "linear",
            {"precision": "int8"},
            "training.precision must be one of float32, float64; got 'int8'",
        ),
    ],
)
def test_bad_settings_are_one_line(model, settings, message):
    with pytest.raises(InputError) as error:
        full_gradients(regression(), model, **settings)
    assert str(error.value) == message


def _published(name, **task):
    root = Path(os.environ.get("WIRELESSFL_DATA", ""))
    if (
        not os.environ.get("WIRELESSFL_DATA")
        or plugins.load("datasets", name).card.found(root) is None
    ):
        pytest.skip(f"WIRELESSFL_DATA holds no {name}")
    return lambda clients: Task(dataset=name, partition="natural", **task).load(
        clients=clients, seed=0, data_root=root
    )


@pytest.fixture(scope="module")
def blogs():
    return _published("blogfeedback", model="linear")(554)


def _threshold(task, data, kept, ridge, steps=3000):
    """Centralised iterative hard thresholding from TopK of the ridge optimum."""
    rows = np.concatenate(
        [data.train_images.double().numpy(), np.ones((len(data.train_labels), 1))], axis=1
    )
    gram = rows.T @ rows + ridge * np.eye(task.size)
    moment = rows.T @ data.train_labels.double().numpy()
    rate, best = 1.0 / np.linalg.eigvalsh(gram)[-1], np.linalg.solve(gram, moment)
    current = TopK(kept)(best)
    for _ in range(steps):
        current = TopK(kept)(current - rate * (gram @ current - moment))
    return best, current


# The task of [SPS] Section 4.1: R^2 of the dense optimum, of its TopK, of iterative hard
# thresholding.
OPTIMA = {
    500: (0.271, (0.274, 0.267, 0.249), (0.275, 0.272, 0.276)),
    1000: (0.255, (0.256, 0.254, 0.219), (0.257, 0.257, 0.258)),
}


@pytest.mark.parametrize("ridge", OPTIMA)
def test_reference_optima_of_blogfeedback(blogs, ridge):
    task = full_gradients(blogs, "linear", ridge=ridge)
    assert (task.clients, task.size) == (554, 281)
    dense, top_k, hard = OPTIMA[ridge]
    found = {kept: _threshold(task, blogs, kept, ridge) for kept in (56, 28, 14)}
    best = found[56][0]
    assert task.score(best[None])[0] == pytest.approx(dense, abs=1e-3)
    if ridge == 500:
        assert task.loss(best[None])[0] == pytest.approx(2.444e7, rel=5e-4)
        assert task.loss(best[None])[0] - 250 * best @ best == pytest.approx(2.327e7, rel=5e-4)
    for kept, wanted in zip((56, 28, 14), top_k, strict=True):
        assert task.score(TopK(kept)(best)[None])[0] == pytest.approx(wanted, abs=1e-3)
    for kept, wanted in zip((56, 28, 14), hard, strict=True):
        assert task.score(found[kept][1][None])[0] == pytest.approx(wanted, abs=2e-3)
    step = task.local_steps(best[None], None, rate=np.array([1e-5]), steps=np.array([1])).mean(
        axis=1
    )
    assert step[0] == pytest.approx(best, abs=1e-9)


def test_rows_and_largest_curvature_of_blogfeedback(blogs):
    assert [len(part) for part in (blogs.train_labels, blogs.test_labels)] == [47157, 7624]
    assert (
        len(_published("blogfeedback", model="linear", evaluate_on="validation")(554).test_labels)
        == 5240
    )
    task = full_gradients(blogs, "linear")
    curvature = np.concatenate([block.spectrum.max(axis=(1, 2)) for block in task._blocks])
    assert curvature.max() == pytest.approx(2.5e4, rel=0.02)
    assert np.median(curvature) == pytest.approx(2.0e2, rel=0.05)


def test_a_hundred_writers_have_about_as_many_images_as_in_the_paper():
    load = _published("qmnist-writers", model="logistic")
    data = load(100)
    count = sum(map(len, data.train_index))
    assert count == pytest.approx(11152, abs=500)
    task = full_gradients(data, "logistic", precision="float32")
    assert (task.clients, task.size) == (100, 7850)
    zero = np.zeros((1, task.size), np.float32)
    assert task.loss(zero)[0] / 100 == pytest.approx(np.log(10), rel=1e-6)
