"""The value that a data set's `load` gives."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wirelessfl.errors import InputError

Part = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Inputs and targets: N rows to train, others to test.

    Inputs are uint8 images (N, C, H, W), which are normalised to (x - mean) / std with the `mean`
    and `std` of all training pixels, or float32 features (N, d), which are used as they are (mean
    0, std 1). Targets are int64 labels (N,) in 0 .. classes - 1, or float32 numbers (N,) with
    classes = 1.

    `train_client` (N,) int64 in 0 .. n - 1 says which of n natural clients each training row comes
    from, `test_client` the same of the test rows, if they come from the same clients. `validation`
    are rows (inputs, targets) held out for choosing settings. `provenance` says what the data are
    where they may not be the published ones.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int
    mean: float
    std: float
    train_client: Tensor | None = None
    test_client: Tensor | None = None
    validation: Part | None = None
    provenance: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        *,
        train: Part,
        test: Part,
        classes: int,
        train_client: Tensor | None = None,
        test_client: Tensor | None = None,
        validation: Part | None = None,
        provenance: str = "",
    ) -> "Dataset":
        """The data set `name` from (inputs, targets) of its parts; `InputError` if they do not fit
        together.
        """
        where = f"data set {name!r}"
        for part, rows in (("train", train), ("test", test), ("validation", validation)):
            if rows is not None:
                _check_part(f"{where}, {part} part", *rows, classes)
        for part, other in (("test", test), ("validation", validation)):
            if other is not None and train[0].shape[1:] != other[0].shape[1:]:
                sizes = f"{tuple(train[0].shape[1:])} and {tuple(other[0].shape[1:])}"
                raise InputError(
                    f"{where}: train and {part} images must have one shape, got {sizes}"
                )
        _check_clients(where, train, test, train_client, test_client)
        mean, std = _mean_and_std(train[0])
        if std == 0:
            raise InputError(
                f"{where}, train part: all pixels must not be equal, got {mean:g} everywhere"
            )
        return cls(
            train_images=train[0],
            train_labels=train[1],
            test_images=test[0],
            test_labels=test[1],
            classes=classes,
            mean=mean,
            std=std,
            train_client=train_client,
            test_client=test_client,
            validation=validation,
            provenance=provenance,
        )

    @property
    def is_labelled(self) -> bool:
        """Whether targets are classes."""
        return not self.train_labels.is_floating_point()


def _check_part(where: str, images: Tensor, labels: Tensor, classes: int) -> None:
    inputs, targets = (images.dtype, images.ndim), (labels.dtype, labels.ndim)
    kinds = ((torch.uint8, 4), (torch.float32, 2)), ((torch.int64, 1), (torch.float32, 1))
    if inputs not in kinds[0] or targets not in kinds[1]:
        got = f"{images.dtype} {tuple(images.shape)} and {labels.dtype} {tuple(labels.shape)}"
        raise InputError(
            f"{where}: must be uint8 images (N, C, H, W) or float32 features (N, d), and int64 labels or float32 "
            f"targets (N,), got {got}"
        )
    if len(images) != len(labels) or len(images) == 0:
        raise InputError(
            f"{where}: must hold as many labels as images, got {len(labels)} and {len(images)}"
        )
    if images.numel() == 0:
        raise InputError(f"{where}: images must have pixels, got {tuple(images.shape)}")
    for what, numbers in (("features", images), ("targets", labels)):
        if numbers.is_floating_point() and not bool(numbers.isfinite().all()):
            raise InputError(
                f"{where}: {what} must be finite, got {float(numbers[~numbers.isfinite()][0])}"
            )
    if labels.is_floating_point():
        if classes != 1:
            raise InputError(f"{where}: classes of float32 targets must be 1, got {classes}")
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(f"{where}: labels must be 0 to {classes - 1}, got {low} to {high}")


def _check_clients(
    where: str, train: Part, test: Part, train_client: Tensor | None, test_client: Tensor | None
) -> None:
    for part, rows, client in (("train", train, train_client), ("test", test, test_client)):
        if client is None:
            continue
        if client.dtype != torch.int64 or client.shape != rows[1].shape or int(client.min()) < 0:
            got = f"{client.dtype} {tuple(client.shape)}"
            raise InputError(
                f"{where}, {part} part: client ids must be one int64 from 0 on for each row, got {got}"
            )
        if train_client is None or not torch.equal(
            client.unique(), torch.arange(int(train_client.max()) + 1)
        ):
            raise InputError(
                f"{where}, {part} part: every client must have a row, got {len(client.unique())} clients"
            )


def _mean_and_std(images: Tensor) -> tuple[float, float]:
    if images.dtype != torch.uint8:
        return 0.0, 1.0
    # Whole-number sums: the same to the last bit for any number of threads, unlike a float
    # reduction.
    total = int(images.sum(dtype=torch.int64))
    squares = sum(int(chunk.int().square().sum(dtype=torch.int64)) for chunk in images.split(4096))
    count = images.numel()
    return total / count, (squares * count - total**2) ** 0.5 / count
