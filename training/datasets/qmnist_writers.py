"""MNIST by writer, with the labels of QMNIST."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from training.data import idx as _idx
from training.data.card import Card, fetched
from training.data.dataset import Dataset
from training.data.torchvision_shim import torchvision
from wirelessfl.errors import InputError

LABELS = "QMNIST/raw/qmnist-train-labels-idx2-int"
CLASS_COLUMN, WRITER_COLUMN, COLUMNS = 0, 2, 8


@dataclass(frozen=True)
class QmnistWriters:
    """MNIST's images, divided over their 539 writers by QMNIST's labels (arXiv 1905.10498).

    A writer has 19 to 131 training images, 111 on average. MNIST's test images are by other
    writers, so that every client is tested on all of them.

    Attributes:
        card: Size, files and origin of the data set.
    """

    card: ClassVar[Card] = Card(
        name="qmnist-writers",
        train=60000,
        test=10000,
        shape=(1, 28, 28),
        classes=10,
        places=((*_idx.card("", folder="MNIST", classes=10).places[0], LABELS),),
        origin=fetched("qmnist-writers"),
        client_train=111,  # 60,000 / 539
        class_names=_idx.DIGITS,
    )

    def load(self, data_root: Path | None = None) -> Dataset:
        """Read `MNIST/raw` and `QMNIST/raw`.

        Args:
            data_root: Folder of data sets; that of WIRELESSFL_DATA if None.

        Returns:
            The data set.

        Raises:
            InputError: Files are missing or damaged.
        """
        train, test = _idx.parts(self.card, data_root, folder="MNIST")
        file = self.card.root(data_root) / LABELS
        table = _idx.read("qmnist-writers", file, kind=_idx.INTEGERS, dimensions=2)
        if table.shape != (len(train[1]), COLUMNS):
            raise InputError(
                f"data set 'qmnist-writers': {file} must have shape ({len(train[1])}, {COLUMNS}), "
                f"got {tuple(table.shape)}"
            )
        differs = (table[:, CLASS_COLUMN] != train[1]).nonzero()
        if len(differs):
            row = int(differs[0])
            raise InputError(
                f"data set 'qmnist-writers': {file} must have MNIST's labels, "
                f"got {int(table[row, CLASS_COLUMN])} for {int(train[1][row])} in row {row}"
            )
        _, writer = torch.unique(table[:, WRITER_COLUMN], return_inverse=True)
        return Dataset.of("qmnist-writers", train=train, test=test, classes=10, train_client=writer)

    def fetch(self, data_root: Path) -> None:
        """Download the data set into `<data_root>/MNIST/raw` and `<data_root>/QMNIST/raw`.

        Args:
            data_root: Folder of data sets.
        """
        _idx.fetch(data_root, folder="MNIST")
        datasets = torchvision().datasets
        url, md5 = datasets.QMNIST.resources["train"][1]
        raw = data_root / "QMNIST" / "raw"
        datasets.utils.download_and_extract_archive(
            url, str(raw), filename=url.rpartition("/")[2], md5=md5
        )
