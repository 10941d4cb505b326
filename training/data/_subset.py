"""A data set of fewer rows, with the shares of its classes."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from training.data._counts import Index, deal, shares
from training.data._dataset import Dataset
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams


def subset(dataset: Dataset, train: int | None, test: int | None, streams: Streams) -> Dataset:
    """`train` and `test` random rows of the data set, all where None; its mean and standard deviation stay.

    Each class keeps its share of the rows to within one row. The training rows do not depend on how many test rows
    are asked for. `InputError` for more rows than there are.
    """
    if train is not None:
        rows = _rows("train_samples", dataset.train_labels, train, dataset.classes, streams.generator("train-samples"))
        owner = None if dataset.train_client is None else dataset.train_client[rows]
        images, labels = dataset.train_images[rows], dataset.train_labels[rows]
        dataset = replace(dataset, train_images=images, train_labels=labels, train_client=owner)
    if test is not None:
        rows = _rows("test_samples", dataset.test_labels, test, dataset.classes, streams.generator("test-samples"))
        owner = None if dataset.test_client is None else dataset.test_client[rows]
        images, labels = dataset.test_images[rows], dataset.test_labels[rows]
        dataset = replace(dataset, test_images=images, test_labels=labels, test_client=owner)
    return dataset


def _rows(field: str, targets: Tensor, wanted: int, classes: int, rng: np.random.Generator) -> Tensor:
    if wanted > len(targets):
        raise InputError(f"training.{field} must be at most {len(targets)} (rows of the data set), got {wanted}")
    labels: Index = np.zeros(len(targets), np.int64) if targets.is_floating_point() else targets.numpy()
    totals = np.bincount(labels, minlength=classes)
    counts = shares(totals[None, :].astype(np.float64), np.array([wanted])).T
    return torch.from_numpy(np.sort(deal(labels, counts, rng)[0]))
