"""Parts of a data set: fewer rows of it, fewer rows of each client."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from training.data.counts import Index, apportion, deal
from training.data.dataset import Dataset
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams


def subset(dataset: Dataset, train: int | None, test: int | None, streams: Streams) -> Dataset:
    """Random rows of a data set; its mean and standard deviation stay.

    Each class keeps its fraction of the rows to within one row. The training rows do not depend on
    the number of test rows.

    Args:
        dataset: The data set.
        train: Number of training rows; all if None.
        test: Number of test rows; all if None.
        streams: Random streams of the draws.

    Returns:
        The smaller data set.

    Raises:
        InputError: The data set has fewer rows.
    """
    if train is not None:
        rows = _rows(
            "train_samples",
            dataset.train_labels,
            train,
            dataset.classes,
            streams.generator("train-samples"),
        )
        owner = None if dataset.train_client is None else dataset.train_client[rows]
        images, labels = dataset.train_images[rows], dataset.train_labels[rows]
        dataset = replace(dataset, train_images=images, train_labels=labels, train_client=owner)
    if test is not None:
        rows = _rows(
            "test_samples",
            dataset.test_labels,
            test,
            dataset.classes,
            streams.generator("test-samples"),
        )
        owner = None if dataset.test_client is None else dataset.test_client[rows]
        images, labels = dataset.test_images[rows], dataset.test_labels[rows]
        dataset = replace(dataset, test_images=images, test_labels=labels, test_client=owner)
    return dataset


def first_fraction(labels: Tensor, index: Sequence[Index], fraction: float) -> list[Index]:
    """The first int(n x fraction) of each client's n rows of each class, at least one.

    The official code of [MCE-PL] trains on a fifth of each agent's rows, by class, in the order of
    the data set.

    Args:
        labels: Targets of all rows, (N,).
        index: Rows of each client.
        fraction: Fraction to keep, within (0, 1].

    Returns:
        Rows of each client; `index` itself for 1.
    """
    if fraction == 1:
        return list(index)
    targets: Index = (
        np.zeros(len(labels), np.int64) if labels.is_floating_point() else labels.numpy()
    )
    kept = []
    for rows in index:
        own = [rows[targets[rows] == label] for label in np.unique(targets[rows])]
        kept.append(np.sort(np.concatenate([part[: _first(len(part), fraction)] for part in own])))
    return kept


def _first(count: int, fraction: float) -> int:
    """int(count x fraction), at least 1; 0.29 of 100 are 29, despite rounding of the product."""
    return max(1, int(count * fraction * (1.0 + 1e-12)))


def _rows(
    field: str, targets: Tensor, wanted: int, classes: int, rng: np.random.Generator
) -> Tensor:
    """Random rows with each class's fraction of them."""
    if wanted > len(targets):
        raise InputError(
            f"training.{field} must be at most {len(targets)} (rows of the data set), got {wanted}"
        )
    labels: Index = (
        np.zeros(len(targets), np.int64) if targets.is_floating_point() else targets.numpy()
    )
    totals = np.bincount(labels, minlength=classes)
    counts = apportion(totals[None, :].astype(np.float64), np.array([wanted])).T
    return torch.from_numpy(np.sort(deal(labels, counts, rng)[0]))
