"""Photographs of clothing, in MNIST's format."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from training.data import idx as _idx
from training.data.card import Card
from training.data.dataset import Dataset


@dataclass(frozen=True)
class FashionMnist:
    """Fashion-MNIST (Zalando, arXiv 1708.07747): 60,000 training, 10,000 test images of 28x28
    pixels, 10 classes.
    """

    card: ClassVar[Card] = _idx.card("fashion-mnist", folder="FashionMNIST", classes=10)

    def load(self, data_root: Path | None = None) -> Dataset:
        """The data set from `<data_root>/FashionMNIST/raw`; `InputError` on missing or damaged
        files.
        """
        return _idx.load(self.card, data_root, folder="FashionMNIST")

    def fetch(self, data_root: Path) -> None:
        """Download the data set into `<data_root>/FashionMNIST/raw`."""
        _idx.fetch(data_root, folder="FashionMNIST")
