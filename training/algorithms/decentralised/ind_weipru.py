"""ind-weipru: every agent trains and prunes weights for itself ([MCE-PL])."""

from dataclasses import dataclass, field
from typing import Literal

from training.algorithms.decentralised._pruned import check_pruned, pruned_weights
from training.decentralised.initialisation import WEIGHT_INITS, WeightInit
from training.decentralised.pruned_weights import PrunedWeights
from training.decentralised.retention import Retention
from training.decentralised.trainer import PeerBased
from training.task import Task
from wirelessfl.errors import check_choice
from wirelessfl.graph import Graph


@dataclass(frozen=True, kw_only=True)
class IndWeipru(PeerBased):
    """SGD on weights of which each layer's largest are kept, without neighbours: [MCE-PL] M-3.

    With `pruning = "straight-through"`, as in the official code, the loss sees w m and its gradient
    moves all weights: what is pruned can come back. `hard` overwrites what is pruned by 0 after the
    local work of each round, the paper's "after each iteration, each agent prunes". Nothing is
    sent; the `graph` is that of the methods it is compared with. With `keep_ratio = 1` it is SGD
    alone. `weight_init` is as in `ind-mask`, where [MCE-PL] compares with U(-1, 1).
    """

    task: Task = field(default_factory=Task)
    graph: Graph = field(default_factory=Graph)
    keep: Retention = field(default_factory=Retention)
    learning_rate: float = 0.01
    local_steps: int = 1
    local_epochs: int | None = None
    weight_decay: float = 0.0
    pruning: Literal["straight-through", "hard"] = "straight-through"
    weight_init: WeightInit = "fan-in"

    def __post_init__(self) -> None:
        check_pruned(self)
        check_choice("training.weight_init", self.weight_init, WEIGHT_INITS)

    @property
    def method(self) -> PrunedWeights:
        """The algorithm as what its agents do."""
        return pruned_weights(self, weight_init=self.weight_init)
