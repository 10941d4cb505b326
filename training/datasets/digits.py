"""Digits: the embedded data set, without download or file."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from training.data.card import Card
from training.data.dataset import Dataset

TEST_EVERY = 5


@dataclass(frozen=True)
class Digits:
    """scikit-learn's digits: 1,797 images of 8x8 pixels with values 0 to 16, 10 classes.

    Every fifth image of each class is a test image (1,442 for training, 355 for testing): a split
    that is the same for every seed and every version of scikit-learn.

    Attributes:
        card: Size, files and origin of the data set.
    """

    card: ClassVar[Card] = Card(
        name="digits",
        train=1442,
        test=355,
        shape=(1, 8, 8),
        classes=10,
        origin="embedded: it comes with scikit-learn",
    )

    def load(self, data_root: Path | None = None) -> Dataset:
        """Load the data set.

        Args:
            data_root: Without effect.

        Returns:
            The data set.
        """
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = torch.from_numpy(digits.images.astype(np.uint8)).unsqueeze(1)
        labels = torch.from_numpy(digits.target.astype(np.int64))
        is_test = torch.zeros(len(labels), dtype=torch.bool)
        for label in range(10):
            is_test[(labels == label).nonzero().flatten()[TEST_EVERY - 1 :: TEST_EVERY]] = True
        train = (images[~is_test], labels[~is_test])
        test = (images[is_test], labels[is_test])
        return Dataset.of("digits", train=train, test=test, classes=10)
