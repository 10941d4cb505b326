"""The value that a data set's `load` gives."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wirelessfl.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Labelled images: uint8 of shape (N, C, H, W), int64 labels of shape (N,) in 0 .. classes - 1.

    `mean` and `std` are those of all training pixels, in units of the uint8 values: (x - mean) / std is normalised.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int
    mean: float
    std: float

    @classmethod
    def of(cls, name: str, *, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], classes: int) -> "Dataset":
        """The data set `name` from (images, labels) of both parts; `InputError` if they do not fit together."""
        for part, (images, labels) in (("train", train), ("test", test)):
            _check_part(f"data set {name!r}, {part} part", images, labels, classes)
        if train[0].shape[1:] != test[0].shape[1:]:
            sizes = f"{tuple(train[0].shape[1:])} and {tuple(test[0].shape[1:])}"
            raise InputError(f"data set {name!r}: train and test images must have one shape, got {sizes}")
        mean, std = _mean_and_std(train[0])
        if std == 0:
            raise InputError(f"data set {name!r}, train part: all pixels must not be equal, got {mean:g} everywhere")
        return cls(
            train_images=train[0],
            train_labels=train[1],
            test_images=test[0],
            test_labels=test[1],
            classes=classes,
            mean=mean,
            std=std,
        )


def _check_part(where: str, images: Tensor, labels: Tensor, classes: int) -> None:
    if images.ndim != 4 or images.dtype != torch.uint8 or labels.ndim != 1 or labels.dtype != torch.int64:
        got = f"{images.dtype} {tuple(images.shape)} and {labels.dtype} {tuple(labels.shape)}"
        raise InputError(f"{where}: must be uint8 images (N, C, H, W) and int64 labels (N,), got {got}")
    if len(images) != len(labels) or len(images) == 0:
        raise InputError(f"{where}: must hold as many labels as images, got {len(labels)} and {len(images)}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(f"{where}: labels must be 0 to {classes - 1}, got {low} to {high}")


def _mean_and_std(images: Tensor) -> tuple[float, float]:
    # Whole-number sums: the same to the last bit for any number of threads, unlike a float reduction.
    total = int(images.sum(dtype=torch.int64))
    squares = sum(int(chunk.int().square().sum(dtype=torch.int64)) for chunk in images.split(4096))
    count = images.numel()
    return total / count, (squares * count - total**2) ** 0.5 / count
