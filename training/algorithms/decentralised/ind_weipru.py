"""ind-weipru: every agent trains and prunes weights alone ([MCE-PL])."""

from dataclasses import dataclass, replace
from typing import get_args

from training.algorithms.decentralised._pruned_weights import PrunedWeightsBased
from training.decentralised.initialisation import WeightInit
from training.decentralised.pruned_weights import PrunedWeights
from wirelessfl.errors import check_choice


@dataclass(frozen=True, kw_only=True)
class IndWeipru(PrunedWeightsBased):
    """SGD on weights of which the largest of each layer are kept, without neighbours: [MCE-PL] M-3.

    Nothing is sent; the `graph` is that of the methods with which it is compared. With `keep_ratio
    = 1` it is SGD alone.

    Tian, Zhang, Li, Bennis, "Communication-efficient personalized distributed learning with data
    and node heterogeneity", IEEE Trans. Cogn. Commun. Netw., 2025.

    Attributes:
        weight_init: Distribution of the initial weights as in `ind-mask`; [MCE-PL] compares with
            U(-1, 1).
    """

    weight_init: WeightInit = "fan-in"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("training.weight_init", self.weight_init, get_args(WeightInit))

    @property
    def method(self) -> PrunedWeights:
        """The algorithm as the behaviour of its agents."""
        return replace(super().method, weight_init=self.weight_init)
