"""A data set and whose sample is whose."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class FederatedData:
    """A data set divided over K clients; every sample is stored once, clients hold row numbers.

    Images are uint8 of shape (N, C, H, W), normalised pixels are (x - mean) / std; or float32
    features (N, d), used as they are. Labels are int64 of shape (N,), or float32 targets with
    classes = 1. `train_index` are K disjoint int64 vectors of training rows, `test_index` K of test
    rows; none is empty. Clients with the same test set share one vector. `augmentation` names what
    changes images in training (`training.data.augment`).
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
    augmentation: str = "none"
    provenance: str = ""

    def label_counts(self) -> NDArray[np.int64]:
        """Training samples of each class on each client, (K, classes); of targets that are numbers
        (K, 1).
        """
        labels = self.train_labels.numpy()
        if self.train_labels.is_floating_point():
            labels = np.zeros(len(labels), dtype=np.int64)
        rows = [
            np.bincount(labels[index.numpy()], minlength=self.classes) for index in self.train_index
        ]
        return np.stack(rows).astype(np.int64)
