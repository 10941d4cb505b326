"""A data set divided over the clients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class FederatedData:
    """A data set divided over K clients; every sample is stored once, clients hold row numbers.

    Attributes:
        train_images: Images (N, C, H, W) uint8, normalised to (x - mean) / std in training; or
            features (N, d) float32, used unchanged.
        train_labels: Labels (N,) int64; or numbers (N,) float32 with `classes` = 1.
        test_images: Test inputs, as `train_images`.
        test_labels: Test targets, as `train_labels`.
        mean: Mean of all training pixels; 0 for features.
        std: Standard deviation of all training pixels; 1 for features.
        classes: Number of classes; 1 for numeric targets.
        train_index: Disjoint training rows of each client, int64, none empty.
        test_index: Test rows of each client, int64, none empty; one tensor for clients with the
            same test set.
        augmentation: Augmentation of images in training, a key of `AUGMENTATIONS`.
        provenance: Description of data that may differ from the published ones.
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
        """Training samples of each class on each client.

        Returns:
            Numbers (K, classes); (K, 1) for numeric targets.
        """
        labels = self.train_labels.numpy()
        if self.train_labels.is_floating_point():
            labels = np.zeros(len(labels), dtype=np.int64)
        rows = [
            np.bincount(labels[index.numpy()], minlength=self.classes) for index in self.train_index
        ]
        return np.stack(rows).astype(np.int64)
