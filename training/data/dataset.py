"""A data set in memory."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wirelessfl.errors import InputError

Samples = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Inputs and targets: N rows for training, others for testing.

    Attributes:
        train_images: Images (N, C, H, W) uint8, normalised to (x - mean) / std in training; or
            features (N, d) float32 or tokens (N, length) int64, used unchanged.
        train_labels: Labels (N,) int64 in 0 .. classes - 1; or numbers (N,) float32.
        test_images: Test inputs, as `train_images`.
        test_labels: Test targets, as `train_labels`.
        classes: Number of classes; 1 for numeric targets.
        mean: Mean of all training pixels; 0 for features.
        std: Standard deviation of all training pixels; 1 for features.
        train_client: Natural client of each training row, (N,) int64 in 0 .. n - 1; None without.
        test_client: Natural client of each test row; None where they are other clients.
        validation: Inputs and targets held out for choosing settings; None without.
        provenance: Description of data that may differ from the published ones.
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
    validation: Samples | None = None
    provenance: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        *,
        train: Samples,
        test: Samples,
        classes: int,
        train_client: Tensor | None = None,
        test_client: Tensor | None = None,
        validation: Samples | None = None,
        provenance: str = "",
    ) -> "Dataset":
        """The data set from its parts, with mean and standard deviation of its pixels.

        Args:
            name: Name of the data set, for messages.
            train: Training inputs and targets.
            test: Test inputs and targets.
            classes: Number of classes; 1 for numeric targets.
            train_client: Natural client of each training row.
            test_client: Natural client of each test row.
            validation: Inputs and targets held out for choosing settings.
            provenance: Description of data that may differ from the published ones.

        Returns:
            The data set.

        Raises:
            InputError: Types, shapes or values are invalid or do not fit each other.
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
        """True if targets are classes."""
        return not self.train_labels.is_floating_point()


def _check_part(where: str, images: Tensor, labels: Tensor, classes: int) -> None:
    """Raise `InputError` unless inputs and targets are valid."""
    input_kinds = ((torch.uint8, 4), (torch.float32, 2), (torch.int64, 2))
    target_kinds = ((torch.int64, 1), (torch.float32, 1))
    if (images.dtype, images.ndim) not in input_kinds or (
        labels.dtype,
        labels.ndim,
    ) not in target_kinds:
        got = f"{images.dtype} {tuple(images.shape)} and {labels.dtype} {tuple(labels.shape)}"
        raise InputError(
            f"{where}: must be uint8 images (N, C, H, W), float32 features (N, d) or int64 tokens "
            f"(N, length), and int64 labels or float32 targets (N,), got {got}"
        )
    if len(images) != len(labels) or len(images) == 0:
        raise InputError(
            f"{where}: must hold as many labels as images, got {len(labels)} and {len(images)}"
        )
    if images.numel() == 0:
        raise InputError(f"{where}: images must have pixels, got {tuple(images.shape)}")
    if images.dtype == torch.int64 and int(images.min()) < 0:
        raise InputError(f"{where}: tokens must be at least 0, got {int(images.min())}")
    for what, values in (("features", images), ("targets", labels)):
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise InputError(
                f"{where}: {what} must be finite, got {float(values[~values.isfinite()][0])}"
            )
    if labels.is_floating_point():
        if classes != 1:
            raise InputError(f"{where}: classes of float32 targets must be 1, got {classes}")
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(f"{where}: labels must be 0 to {classes - 1}, got {low} to {high}")


def _check_clients(
    where: str,
    train: Samples,
    test: Samples,
    train_client: Tensor | None,
    test_client: Tensor | None,
) -> None:
    """Raise `InputError` unless the numbers of the natural clients are valid."""
    for part, rows, client in (("train", train, train_client), ("test", test, test_client)):
        if client is None:
            continue
        if client.dtype != torch.int64 or client.shape != rows[1].shape or int(client.min()) < 0:
            got = f"{client.dtype} {tuple(client.shape)}"
            raise InputError(
                f"{where}, {part} part: client ids must be one int64 from 0 on for each row, "
                f"got {got}"
            )
        present = torch.unique(client)
        if train_client is None or not torch.equal(
            present, torch.arange(int(train_client.max()) + 1)
        ):
            raise InputError(
                f"{where}, {part} part: every client must have a row, got {len(present)} clients"
            )


def _mean_and_std(images: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of all pixels; 0 and 1 for features."""
    if images.dtype != torch.uint8:
        return 0.0, 1.0
    # Integer sums are the same for any number of threads, unlike a float reduction.
    total = int(images.sum(dtype=torch.int64))
    chunks = torch.split(images, 4096)
    squares = sum(int(chunk.int().square().sum(dtype=torch.int64)) for chunk in chunks)
    count = images.numel()
    return total / count, (squares * count - total**2) ** 0.5 / count
