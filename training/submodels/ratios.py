"""Pruning ratios of the filters of each client: fixed, drawn by bandits, or the allocation's."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.text import in_full
from wirelessfl.values import Array

Ratios = Literal["allocation", "uniform", "rank-0", "rank-1", "rank-2", "rank-3", "given", "bandit"]

_RANKS = {
    "rank-0": (0.25, 0.0),
    "rank-1": (0.25, 0.5),
    "rank-2": (0.5, 0.75),
    "rank-3": (0.75, 0.9),
}


@dataclass(frozen=True, kw_only=True)
class FilterRatios:
    """The fraction of the filters of every layer that each client omits.

    `uniform`: `filter_ratio` for all. `rank-0` to `rank-3` of [CA-HFP]: (25 %, 0), (25 %, 50 %),
    (50 %, 75 %), (75 %, 90 %); the first half of the clients has the first value, the others the
    second (of an odd number the middle client has the first). `given`: `filter_ratios`.
    `allocation`: the pruning ratios of the network in every round. `bandit`: one `Bandit` for each
    client.

    A fraction of the filters is not that fraction of the weights: half of the filters of VGG16 hold
    74 % of its weights.

    The ResNet row of [CA-HFP] Table I has the size of ResNet-32 without half of the filters
    within every block but two of 32: `whole_groups`.

    **Differs:** the paper does not say which of its ten clients has which ratio; the order is ours.

    Attributes:
        ratios: Source of the ratios.
        filter_ratio: Ratio of all clients with `uniform`, in [0, 1).
        filter_ratios: Ratio of each client with `given`, in [0, 1), (K,).
        whole_groups: Groups of filters that no client prunes.
    """

    ratios: Ratios = "allocation"
    filter_ratio: float = 0.5
    filter_ratios: tuple[float, ...] | None = None
    whole_groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice("training.ratios", self.ratios, get_args(Ratios))
        _check_ratio("training.filter_ratio", self.filter_ratio)
        if self.filter_ratios is None and self.ratios == "given":
            raise InputError(
                "training.filter_ratios must be given with training.ratios 'given', got none"
            )
        if self.filter_ratios is not None and self.ratios != "given":
            raise InputError(
                "training.filter_ratios must be left out unless training.ratios is 'given', "
                f"got ratios {self.ratios!r}"
            )
        for ratio in self.filter_ratios or ():
            _check_ratio("training.filter_ratios", ratio)

    def of(self, clients: int) -> Array | None:
        """Ratios of the clients where they are constant.

        Args:
            clients: Number of clients K.

        Returns:
            Ratios (K,); None where they change from round to round.

        Raises:
            InputError: If `filter_ratios` has another length than K.
        """
        if self.ratios in ("allocation", "bandit"):
            return None
        if self.filter_ratios is not None:
            if len(self.filter_ratios) != clients:
                raise InputError(
                    f"training.filter_ratios must have one ratio for each of {clients} clients, "
                    f"got {len(self.filter_ratios)}"
                )
            return np.array(self.filter_ratios, dtype=np.float64)
        first, second = _RANKS.get(self.ratios, (self.filter_ratio, self.filter_ratio))
        return np.where(2 * np.arange(clients) < clients, first, second)


def _check_ratio(field: str, ratio: float) -> None:
    check_number(field, ratio, at_least=0)
    if ratio >= 1:
        raise InputError(
            f"{field} must be below 1, got {in_full(ratio)}: every layer keeps a filter"
        )
