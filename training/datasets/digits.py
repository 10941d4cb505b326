"""Digits: the embedded data set, without download or file."""

import gzip
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.card import Card
from training.data.dataset import Dataset
from wirelessfl.errors import InputError

TEST_EVERY = 5
FILE = Path("datasets", "data", "digits.csv.gz")  # in the package of scikit-learn


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
        class_names=tuple("0123456789"),
    )

    def load(self, data_root: Path | None = None) -> Dataset:
        """Load the data set.

        Args:
            data_root: Without effect.

        Returns:
            The data set.

        Raises:
            InputError: scikit-learn is not installed or lacks the file.
        """
        table = _table()
        images = torch.from_numpy(table[:, :-1].reshape(-1, 1, 8, 8).copy())
        labels = torch.from_numpy(table[:, -1].astype(np.int64))
        is_test = torch.zeros(len(labels), dtype=torch.bool)
        for label in range(10):
            is_test[(labels == label).nonzero().flatten()[TEST_EVERY - 1 :: TEST_EVERY]] = True
        train = (images[~is_test], labels[~is_test])
        test = (images[is_test], labels[is_test])
        return Dataset.of("digits", train=train, test=test, classes=10)


def _table() -> NDArray[np.uint8]:
    """64 pixels and the label of every image, (1797, 65).

    The file is read without importing scikit-learn, which takes a second.
    """
    package = find_spec("sklearn")
    places = [] if package is None else list(package.submodule_search_locations or [])
    files = [Path(place) / FILE for place in places]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise InputError(f"data set 'digits' needs scikit-learn with its file {FILE}: install it")
    with gzip.open(file, "rt", encoding="ascii") as lines:
        return np.loadtxt(lines, delimiter=",").astype(np.uint8)
