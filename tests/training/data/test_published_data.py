"""The real files against what is published about them; skipped for what WIRELESSFL_DATA does not
hold.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from training.task import Task
from wirelessfl import plugins

MNIST = (
    [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
)
HISTOGRAMS = {
    "mnist": MNIST,
    "qmnist-writers": MNIST,
    "fashion-mnist": ([6000] * 10, [1000] * 10),
    "cifar10": ([5000] * 10, [1000] * 10),
    "cifar100": ([500] * 100, [100] * 100),
}
# Mean and deviation of all training pixels over 255, as commonly printed.
PIXELS = {"mnist": (0.1307, 0.3081), "fashion-mnist": (0.2860, 0.3530), "cifar10": (0.4734, 0.2516)}


def _root(name: str) -> Path:
    root = Path(os.environ.get("WIRELESSFL_DATA", ""))
    if (
        not os.environ.get("WIRELESSFL_DATA")
        or plugins.load("datasets", name).card.found(root) is None
    ):
        pytest.skip(f"WIRELESSFL_DATA holds no {name}")
    return root


def _load(name: str):
    root = _root(name)
    return plugins.load("datasets", name)().load(root)


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_counts_and_labels(name):
    dataset = _load(name)
    card = plugins.load("datasets", name).card
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (card.train, card.test)
    assert dataset.train_labels.bincount().tolist() == HISTOGRAMS[name][0]
    assert dataset.test_labels.bincount().tolist() == HISTOGRAMS[name][1]
    if name in PIXELS:
        assert (dataset.mean / 255, dataset.std / 255) == pytest.approx(PIXELS[name], abs=6e-5)


def test_the_writers_of_mnist():
    dataset = _load("qmnist-writers")
    sizes = dataset.train_client.bincount()
    assert (len(sizes), int(sizes.min()), int(sizes.max())) == (539, 19, 131)
    task = Task(dataset="qmnist-writers", model="logistic", partition="natural")
    drawn = [
        sum(map(len, task.load(clients=100, seed=seed, data_root=_root("mnist")).train_index))
        for seed in range(3)
    ]
    # 100 of 539 writers, without replacement.
    error = float(sizes.double().std()) * (100 * (1 - 100 / 539)) ** 0.5
    assert all(abs(count - 60000 * 100 / 539) < 4 * error for count in drawn)


@pytest.fixture(scope="module")
def blogs():
    return _load("blogfeedback")


def test_the_blogs(blogs):
    assert blogs.train_images.shape == (47157, 280)
    assert len(blogs.validation[1]) == 5240
    assert blogs.test_images.shape == (7624, 280)
    assert int(blogs.train_client.max()) + 1 == 554


def test_the_ridge_optimum_of_the_blogs(blogs):
    """rho = 500 over all clients: loss 2.327e7, with the ridge 2.444e7, R^2 0.271."""
    a, test = (
        torch.cat([rows, torch.ones(len(rows), 1)], 1).double().numpy()
        for rows in (blogs.train_images, blogs.test_images)
    )
    b, y = blogs.train_labels.double().numpy(), blogs.test_labels.double().numpy()
    w = np.linalg.solve(a.T @ a + 500 * np.eye(281), a.T @ b)
    loss = 0.5 * np.square(a @ w - b).sum()
    assert loss == pytest.approx(2.327e7, abs=5e3)
    assert loss + 250 * w @ w == pytest.approx(2.444e7, abs=5e3)
    assert 1 - np.square(test @ w - y).sum() / np.square(y - y.mean()).sum() == pytest.approx(
        0.271, abs=5e-4
    )
