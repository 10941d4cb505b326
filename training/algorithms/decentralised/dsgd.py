"""DSGD: decentralised SGD of whole models on a graph."""

from dataclasses import dataclass, field

from training.decentralised.averaging import Averaging
from training.decentralised.neighbours import MIXINGS, Mixing
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import check_sgd, local_sgd
from training.task import Task
from wirelessfl.errors import check_choice
from wirelessfl.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Dsgd(PeerBased):
    """Every agent averages its neighbours' models with its own and adds its own gradient step.

    w_i <- sum_j W_ij w_j - eta g_i(w_i) over the closed neighbourhood (Lian et al. 2017, Algorithm
    1); with more than one local step eta g_i is what these steps take off. `mixing` is `uniform`,
    W_ij = 1 / (d_i + 1), or `metropolis`. Agents send w_i, 32 bits a number; running statistics of
    batch norm are averaged with the weights. Who sits out (ratio 1 or not here) keeps its model; a
    message that does not arrive is left out of the mean.

    **Differs:** [MCE-PL] compares with it and gives no mixing weights; uniform ones are our choice.
    """

    task: Task = field(default_factory=Task)
    graph: Graph = field(default_factory=Graph)
    learning_rate: float = 0.01
    local_steps: int = 1
    local_epochs: int | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    mixing: Mixing = "uniform"

    def __post_init__(self) -> None:
        check_sgd(self)
        check_choice("training.mixing", self.mixing, MIXINGS)

    @property
    def method(self) -> Averaging:
        """The algorithm as what its agents do."""
        return Averaging(
            task=self.task, graph=self.graph, program=(local_sgd(self),), mixing=self.mixing
        )
