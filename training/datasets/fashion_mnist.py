"""Fashion-MNIST: photographs of clothing, in MNIST's format."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from training.data import idx as _idx
from training.data.card import Card
from training.data.dataset import Dataset

CLASS_NAMES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


@dataclass(frozen=True)
class FashionMnist:
    """Fashion-MNIST (Zalando, arXiv 1708.07747): images of clothing, 28x28 pixels, 10 classes.

    60,000 training and 10,000 test images.

    Attributes:
        card: Size, files and origin of the data set.
    """

    card: ClassVar[Card] = _idx.card(
        "fashion-mnist", folder="FashionMNIST", classes=10, class_names=CLASS_NAMES
    )

    def load(self, data_root: Path | None = None) -> Dataset:
        """Read `FashionMNIST/raw`.

        Args:
            data_root: Folder of data sets; that of WIRELESSFL_DATA if None.

        Returns:
            The data set.

        Raises:
            InputError: Files are missing or damaged.
        """
        return _idx.load(self.card, data_root, folder="FashionMNIST")

    def fetch(self, data_root: Path) -> None:
        """Download the data set into `<data_root>/FashionMNIST/raw`.

        Args:
            data_root: Folder of data sets.
        """
        _idx.fetch(data_root, folder="FashionMNIST")
