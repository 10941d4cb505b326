"""CIFAR-10: small colour photographs of 10 classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from training.data import cifar as _cifar
from training.data.card import Card, fetched
from training.data.dataset import Dataset

FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of 3x32x32, 10 classes.

    Attributes:
        card: Size, files and origin of the data set.
    """

    card: ClassVar[Card] = Card(
        name="cifar10",
        train=50000,
        test=10000,
        shape=(3, 32, 32),
        classes=10,
        places=(tuple(f"cifar-10-batches-py/{file}" for file in FILES),),
        origin=fetched("cifar10"),
        class_names=CLASS_NAMES,
    )

    def load(self, data_root: Path | None = None) -> Dataset:
        """Read `cifar-10-batches-py`; only files with the published MD5.

        Args:
            data_root: Folder of data sets; that of WIRELESSFL_DATA if None.

        Returns:
            The data set.

        Raises:
            InputError: Files are missing or damaged.
        """
        root, _ = self.card.require(data_root)
        train, test = _cifar.parts("cifar10", root, which="CIFAR10")
        return Dataset.of("cifar10", train=train, test=test, classes=10)

    def fetch(self, data_root: Path) -> None:
        """Download the data set into `<data_root>/cifar-10-batches-py`.

        Args:
            data_root: Folder of data sets.
        """
        _cifar.fetch(data_root, which="CIFAR10")
