"""DSGD: decentralised SGD of whole models on a graph."""

from dataclasses import dataclass
from typing import get_args

from training.decentralised.averaging import Averaging
from training.decentralised.neighbours import Mixing
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import LocalSgd
from wirelessfl.errors import check_choice


@dataclass(frozen=True, kw_only=True)
class Dsgd(LocalSgd, PeerBased):
    """Every agent averages the models of its closed neighbourhood and adds its gradient step.

    w_i <- sum_j W_ij w_j - eta g_i(w_i), Algorithm 1 of Lian, Zhang, Zhang, Hsieh, Zhang, Liu, "Can
    decentralized algorithms outperform centralized algorithms?", NeurIPS 2017; with several local
    steps eta g_i is the sum of their updates. Agents send w_i, 32 bits for each value; running
    statistics of batch norm are averaged with the weights. Idle agents (ratio 1 or
    non-participating) keep their model; a lost message is excluded from the mean.

    **Differs:** [MCE-PL] compares with it and states no mixing weights; uniform ones are our
    choice.

    Attributes:
        local_steps: Mini-batch steps in a round, at least 0.
        mixing: Weights W_ij, see `Peers.mixing_weights`.
    """

    local_steps: int = 1
    mixing: Mixing = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("training.mixing", self.mixing, get_args(Mixing))

    @property
    def method(self) -> Averaging:
        """The algorithm as the behaviour of its agents."""
        return Averaging(
            task=self.task, graph=self.graph, program=(self.phase(),), mixing=self.mixing
        )
