"""CIFAR-100: small colour photographs of 100 classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from training.data import cifar as _cifar
from training.data import npz as _npz
from training.data.card import Card, fetched
from training.data.dataset import Dataset, Samples

ORIGINAL = ("cifar-100-python/train", "cifar-100-python/test")
ARRAYS = ("cifar100.npz",)


@dataclass(frozen=True)
class Cifar100:
    """CIFAR-100 (Krizhevsky 2009): 50,000 training and 10,000 test images of 3x32x32, 100 classes.

    The classes are the fine ones. The original files are identified by their MD5. Without them
    `cifar100.npz` is read: arrays `train_images`, `test_images` (uint8, N x 32 x 32 x 3) and
    `train_fine_labels`, `test_fine_labels` (int64). Its pixels may have passed through a lossy
    format: `provenance` says so, and so should results.

    Attributes:
        card: Size, files and origin of the data set.
    """

    card: ClassVar[Card] = Card(
        name="cifar100",
        train=50000,
        test=10000,
        shape=(3, 32, 32),
        classes=100,
        places=(ORIGINAL, ARRAYS),
        origin=fetched("cifar100"),
    )

    def load(self, data_root: Path | None = None) -> Dataset:
        """Read the data set.

        Args:
            data_root: Folder of data sets; that of WIRELESSFL_DATA if None.

        Returns:
            The data set.

        Raises:
            InputError: Files are missing or damaged.
        """
        root, place = self.card.require(data_root)
        if place == ORIGINAL:
            train, test = _cifar.parts("cifar100", root, which="CIFAR100")
            return Dataset.of("cifar100", train=train, test=test, classes=100)
        train, test = _from_arrays(root / ARRAYS[0])
        provenance = "cifar100.npz, not the original files: pixels may be lossy, the order another"
        return Dataset.of("cifar100", train=train, test=test, classes=100, provenance=provenance)

    def fetch(self, data_root: Path) -> None:
        """Download the data set into `<data_root>/cifar-100-python`.

        Args:
            data_root: Folder of data sets.
        """
        _cifar.fetch(data_root, which="CIFAR100")


def _from_arrays(file: Path) -> tuple[Samples, Samples]:
    """Training and test samples of `cifar100.npz`."""
    wanted: dict[str, _npz.Wanted] = {}
    for part in ("train", "test"):
        wanted[f"{part}_images"] = ("uint8", (None, 32, 32, 3))
        wanted[f"{part}_fine_labels"] = ("int64", (None,))
    arrays = _npz.read("cifar100", file, wanted)
    parts = []
    for part in ("train", "test"):
        images = np.ascontiguousarray(arrays[f"{part}_images"].transpose(0, 3, 1, 2))
        labels = arrays[f"{part}_fine_labels"]
        parts.append((torch.from_numpy(images), torch.from_numpy(labels)))
    train, test = parts
    return train, test
