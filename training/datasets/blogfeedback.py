"""BlogFeedback: the number of comments on a blog post, a regression."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from training.arrays import Vector
from training.data import npz as _npz
from training.data.card import Card
from training.data.dataset import Dataset, Samples
from wirelessfl.errors import InputError, check_count

FEATURES = 280
CLIENT_COLUMNS = 50
VALIDATION_FRACTION = 0.1


@dataclass(frozen=True)
class BlogFeedback:
    """BlogFeedback (UCI): 52,397 rows of 280 features and a number.

    floor(0.9 x 52,397) = 47,157 rows are for training; the other 5,240, drawn by `split_seed`, are
    for validation; 7,624 later rows are for testing. Features are scaled to [0, 1] by the range of
    the training rows, (x - low) / (high - low), without clipping of the others, and 0 for a column
    that is constant there. Targets are not scaled. The natural clients are the 554 blogs,
    identified by the first 50 columns: [SPS] Appendix B.

    Attributes:
        split_seed: Seed of the draw of the validation rows.
        card: Size, files and origin of the data set.
    """

    split_seed: int = 0

    card: ClassVar[Card] = Card(
        name="blogfeedback",
        train=47157,
        test=7624,
        shape=(FEATURES,),
        classes=1,
        places=(("blogfeedback.npz",),),
        origin=(
            "UCI Machine Learning Repository, BlogFeedback; docs/data.md says how to make the file"
        ),
        client_train=85,  # 47,157 / 554
    )

    def __post_init__(self) -> None:
        check_count("split_seed", self.split_seed, at_least=0)

    def load(self, data_root: Path | None = None) -> Dataset:
        """Read `blogfeedback.npz`: `train` and `test`, float32 (N, 281), the target last.

        Args:
            data_root: Folder of data sets; that of WIRELESSFL_DATA if None.

        Returns:
            The data set.

        Raises:
            InputError: Files are missing or damaged.
        """
        root, place = self.card.require(data_root)
        wanted: dict[str, _npz.Wanted] = dict.fromkeys(
            ("train", "test"), ("float32", (None, FEATURES + 1))
        )
        arrays = _npz.read("blogfeedback", root / place[0], wanted)
        # A constant of the data set, like its test rows: independent of the seed of a run.
        order = np.random.default_rng(self.split_seed).permutation(len(arrays["train"]))
        kept = int(len(order) * (1 - VALIDATION_FRACTION))
        if not kept:
            raise InputError(
                f"data set 'blogfeedback': array 'train' of {root / place[0]} must have 2 rows or "
                f"more, got {len(order)}"
            )
        train = arrays["train"][np.sort(order[:kept])]
        validation = arrays["train"][np.sort(order[kept:])]
        _, client = np.unique(train[:, :CLIENT_COLUMNS], axis=0, return_inverse=True)
        low = train[:, :FEATURES].min(axis=0)
        high = train[:, :FEATURES].max(axis=0)
        return Dataset.of(
            "blogfeedback",
            train=_scaled(train, low, high),
            test=_scaled(arrays["test"], low, high),
            validation=_scaled(validation, low, high) if len(validation) else None,
            classes=1,
            train_client=torch.from_numpy(client.reshape(-1).astype(np.int64)),
        )


def _scaled(rows: Vector, low: Vector, high: Vector) -> Samples:
    """Scaled features (n, 280) and targets (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):  # `Dataset.of` checks that all are finite
        scaled = (rows[:, :FEATURES] - low) / np.where(high > low, high - low, np.float32(np.inf))
    return torch.from_numpy(scaled), torch.from_numpy(rows[:, FEATURES].copy())
