"""A data set and whose sample is whose."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class FederatedData:
    """A data set divided over K clients; every sample is stored once, clients hold row numbers.

    Images are uint8 of shape (N, C, H, W), labels int64 of shape (N,); normalised pixels are (x - mean) / std.
    `train_index` are K disjoint int64 vectors of training rows, `test_index` K of test rows; none is empty. Clients
    with the same test set share one vector.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: float
    std: float
    classes: int
    train_index: tuple[Tensor, ...]
    test_index: tuple[Tensor, ...]
