"""FEMNIST: handwritten digits and letters by writer, from LEAF's files."""

import json
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from training.data.card import Card, one_line
from training.data.dataset import Dataset, Samples
from wirelessfl.errors import InputError

CLASSES = 62
SIDE = 28
FOLDERS = ("femnist/train/", "femnist/test/")


@dataclass(frozen=True)
class Femnist:
    """FEMNIST in the files of LEAF (arXiv 1812.01097): 28x28 pixels, 62 classes, split by writer.

    All files `*.json` of both folders are read: `users`, and `user_data` with `x` (784 pixels in 0
    .. 1) and `y` (labels) of each. Pixels are bytes divided by 255 and become bytes again. Where
    every training user has test images (LEAF's `-t sample`), a client is tested on its own; else on
    all of them.

    Attributes:
        card: Size, files and origin of the data set.
    """

    card: ClassVar[Card] = Card(
        name="femnist",
        train=None,
        test=None,
        shape=(1, SIDE, SIDE),
        classes=CLASSES,
        places=(FOLDERS,),
        origin="made by LEAF's data/femnist/preprocess.sh; put its data/train and data/test there",
        class_names=tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase),
        client_train=204,  # LEAF's 805,263 images by 3,550 users, 9 of 10 for training
    )

    def load(self, data_root: Path | None = None) -> Dataset:
        """Read `femnist/train` and `femnist/test`.

        Args:
            data_root: Folder of data sets; that of WIRELESSFL_DATA if None.

        Returns:
            The data set.

        Raises:
            InputError: Files are missing or damaged.
        """
        root, _ = self.card.require(data_root)
        train, train_users = _read(root / FOLDERS[0])
        test, test_users = _read(root / FOLDERS[1])
        known = {user: number for number, user in enumerate(dict.fromkeys(train_users))}
        own = known.keys() == set(test_users)
        return Dataset.of(
            "femnist",
            train=train,
            test=test,
            classes=CLASSES,
            train_client=torch.tensor([known[user] for user in train_users]),
            test_client=torch.tensor([known[user] for user in test_users]) if own else None,
        )


def _read(folder: Path) -> tuple[Samples, list[str]]:
    """Images and labels of all files of a folder, and the user of every row."""
    pixels, labels, users = [], [], []
    files = sorted(folder.glob("*.json"))
    for file in files:
        for user, x, y in _users(file):
            pixels.append(x)
            labels.append(y)
            users += [user] * len(y)
    if not users:
        raise InputError(
            f"data set 'femnist': {folder} must hold json files with images, got {len(files)} files"
        )
    images = torch.from_numpy(np.concatenate(pixels).reshape(-1, 1, SIDE, SIDE))
    return (images, torch.from_numpy(np.concatenate(labels))), users


def _users(file: Path) -> list[tuple[str, Any, Any]]:
    """Users of a file with their pixels and labels; `InputError` for another file."""
    try:
        content = json.loads(file.read_bytes())
        found = [(user, *_user(content["user_data"][user])) for user in content["users"]]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        reason = f"no key {error}" if isinstance(error, KeyError) else one_line(error)
        raise InputError(
            f"data set 'femnist': {file} must be a json file of LEAF, got {reason}"
        ) from error
    return [(user, x, y) for user, x, y in found if len(y)]


def _user(data: dict[str, Any]) -> tuple[Any, Any]:
    """Pixels as bytes (n, 784) and labels (n,) of a user; `ValueError` for invalid ones."""
    grey = np.array(data["x"], dtype=np.float64)
    labels = np.array(data["y"], dtype=np.int64)
    if not np.array_equal(labels, np.array(data["y"], dtype=np.float64)):
        raise ValueError("labels that are no whole numbers")
    grey = grey.reshape(len(labels), -1 if grey.size else SIDE * SIDE)
    if grey.shape != (len(labels), SIDE * SIDE):
        raise ValueError(f"{grey.shape[1]} pixels an image for {SIDE * SIDE}")
    if not np.all((grey >= 0) & (grey <= 1)):
        raise ValueError("pixels outside 0 to 1")
    return np.rint(255 * grey).astype(np.uint8), labels
