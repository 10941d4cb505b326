"""Alternatives that a user would write: loops over clients."""

import numpy as np
import torch


def _tensors(data, dtype=torch.float64):
    """Inputs (n, p) and targets (n,) of every client, as the models see them."""
    inputs = (data.train_images.flatten(1).to(dtype) - data.mean) / data.std
    targets = (
        data.train_labels.to(dtype) if data.train_labels.is_floating_point() else data.train_labels
    )
    return [(inputs[rows], targets[rows]) for rows in data.train_index]


def autograd_round(data, model, prox, steps, rate, *, ridge=500.0, l2=1e-3):
    """A call that gives weights (K, d) after `steps` local steps of one run."""
    own = _tensors(data)
    samples = sum(map(len, data.train_index))
    clients = len(own)
    classes = data.classes
    size = (own[0][0].shape[1] + 1) * classes
    rng = np.random.default_rng(0)
    start = torch.from_numpy(0.1 * rng.normal(size=size))
    control = torch.from_numpy(rng.normal(size=(clients, size)))

    def loss(weights, inputs, targets):
        matrix = weights[:-classes].view(classes, -1)
        bias = weights[-classes:]
        output = torch.nn.functional.linear(inputs, matrix, bias)
        if model == "linear":
            return (
                0.5 * (output[:, 0] - targets).square().sum()
                + ridge / (2 * clients) * weights.square().sum()
            )
        cross_entropy = torch.nn.functional.cross_entropy(output, targets, reduction="sum")
        return clients / samples * cross_entropy + l2 / 2 * weights.square().sum()

    def call():
        ends = []
        for (inputs, targets), held in zip(own, control, strict=True):
            weights = start.clone().requires_grad_(True)
            for _ in range(steps):
                weights.grad = None
                loss(weights, inputs, targets).backward()
                with torch.no_grad():
                    weights -= rate * (weights.grad - held)
                    if prox is not None:
                        weights.copy_(prox(weights, rate))
            ends.append(weights.detach())
        return torch.stack(ends).numpy()

    return call


def forms(data, runs, dtype):
    """One gradient of all clients for `runs` runs, client by client, in several forms.

    Returns:
        Name -> a call that computes the gradients.
    """
    own = [
        (np.concatenate([inputs.numpy(), np.ones((len(inputs), 1))], axis=1), targets.numpy())
        for inputs, targets in _tensors(data)
    ]
    weights = np.random.default_rng(0).normal(size=(runs, own[0][0].shape[1])).astype(dtype)
    rows = [(inputs.astype(dtype), targets.astype(dtype)) for inputs, targets in own]
    grams = [
        ((inputs.T @ inputs).astype(dtype), (inputs.T @ targets).astype(dtype))
        for inputs, targets in own
    ]
    factors = [
        (_factor(inputs).astype(dtype), moment)
        for (inputs, _), (_, moment) in zip(own, grams, strict=True)
    ]
    calls = {
        "rows": lambda: [(weights @ inputs.T - targets) @ inputs for inputs, targets in rows],
        "Gram": lambda: [weights @ gram - moment for gram, moment in grams],
        "low rank": lambda: [(weights @ factor) @ factor.T - moment for factor, moment in factors],
    }
    first, *others = (call() for call in calls.values())
    for other in others:
        for one, two in zip(first, other, strict=True):
            assert (
                np.abs(one - two).max()
                <= (1e-3 if dtype == np.float32 else 1e-9) * np.abs(one).max()
            )
    return calls


def _factor(inputs):
    """U (d, r) with U U^T = A^T A."""
    _, singular, vectors = np.linalg.svd(inputs, full_matrices=False)
    rank = np.count_nonzero(singular > singular[0] * 1e-12)
    return (singular[:rank, None] * vectors[:rank]).T
