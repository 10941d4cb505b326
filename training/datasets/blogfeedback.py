"""How many comments a blog post will get: a regression."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import npz as _npz
from training.data.card import Card
from training.data.dataset import Dataset, Part
from wirelessfl.errors import InputError, check_count

FEATURES = 280
CLIENT_COLUMNS = 50
VALIDATION_SHARE = 0.1

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class BlogFeedback:
    """BlogFeedback (UCI): 52,397 rows of 280 features and a number; floor(0.9 x 52,397) = 47,157
    are to train.

    The other 5,240, drawn by `split_seed`, are for validation; 7,624 later rows for the test.
    Features are scaled to [0, 1] by least and greatest value of the training rows: (x - low) /
    (high - low), without clipping of the others, and 0 for a column that is constant there. Targets
    are not scaled. The natural clients are the blogs, told apart by the first 50 columns: 554 of
    them, [SPS] Appendix B.
    """

    split_seed: int = 0

    card: ClassVar[Card] = Card(
        name="blogfeedback",
        train=47157,
        test=7624,
        shape=(FEATURES,),
        classes=1,
        places=(("blogfeedback.npz",),),
        origin="UCI Machine Learning Repository, BlogFeedback; docs/data.md says how to make the file",
        client_train=85,  # 47,157 / 554
    )

    def __post_init__(self) -> None:
        check_count("split_seed", self.split_seed, at_least=0)

    def load(self, data_root: Path | None = None) -> Dataset:
        """The data set from `<data_root>/blogfeedback.npz` (`train`, `test`: float32, N x 281, the
        target last).
        """
        root, place = self.card.require(data_root)
        wanted: dict[str, _npz.Wanted] = dict.fromkeys(
            ("train", "test"), ("float32", (None, FEATURES + 1))
        )
        arrays = _npz.read("blogfeedback", root / place[0], wanted)
        # A constant of the data set, like its test rows: no run's seed moves it.
        order = np.random.default_rng(self.split_seed).permutation(len(arrays["train"]))
        kept = int(len(order) * (1 - VALIDATION_SHARE))
        if not kept:
            raise InputError(
                f"data set 'blogfeedback': array 'train' of {root / place[0]} must have 2 rows or more, "
                f"got {len(order)}"
            )
        train, validation = (
            arrays["train"][np.sort(rows)] for rows in (order[:kept], order[kept:])
        )
        _, client = np.unique(train[:, :CLIENT_COLUMNS], axis=0, return_inverse=True)
        low, high = train[:, :FEATURES].min(axis=0), train[:, :FEATURES].max(axis=0)
        return Dataset.of(
            "blogfeedback",
            train=_scaled(train, low, high),
            test=_scaled(arrays["test"], low, high),
            validation=_scaled(validation, low, high) if len(validation) else None,
            classes=1,
            train_client=torch.from_numpy(client.reshape(-1).astype(np.int64)),
        )


def _scaled(rows: Floats, low: Floats, high: Floats) -> Part:
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what is not finite then, `Dataset.of` refuses
        scaled = (rows[:, :FEATURES] - low) / np.where(high > low, high - low, np.float32(np.inf))
    return torch.from_numpy(scaled), torch.from_numpy(rows[:, FEATURES].copy())
