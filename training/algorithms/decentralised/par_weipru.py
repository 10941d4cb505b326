"""par-weipru: pruned weights, averaged over the neighbours that hold them ([MCE-PL])."""

from dataclasses import dataclass, field
from typing import Literal

from training.algorithms.decentralised._pruned import check_payload, check_pruned, pruned_weights
from training.decentralised.pruned_weights import PrunedWeights, average_over_holders
from training.decentralised.retention import Retention
from training.decentralised.trainer import PeerBased
from training.task import Task
from wirelessfl.graph import Graph


@dataclass(frozen=True, kw_only=True)
class ParWeipru(PeerBased):
    """Agents train and prune weights and average each entry over those who keep it: [MCE-PL] M-5.

    As `avr-weipru`, but the mean of an entry is over the agents of the closed neighbourhood whose
    mask keeps it. What nobody keeps stays as it is: dense under `pruning = "straight-through"`, 0
    under `hard`. `payload` counts 32 bits for each weight kept (`nonzero`) or for all (`values`),
    biases included; `count_mask_bits` adds a bitmap.
    """

    task: Task = field(default_factory=Task)
    graph: Graph = field(default_factory=Graph)
    keep: Retention = field(default_factory=Retention)
    learning_rate: float = 0.01
    local_steps: int = 1
    local_epochs: int | None = None
    weight_decay: float = 0.0
    pruning: Literal["straight-through", "hard"] = "straight-through"
    payload: Literal["nonzero", "values"] = "nonzero"
    count_mask_bits: bool = False

    def __post_init__(self) -> None:
        check_pruned(self)
        check_payload(self.payload)

    @property
    def method(self) -> PrunedWeights:
        """The algorithm as what its agents do."""
        return pruned_weights(
            self, average_over_holders, payload=self.payload, count_mask_bits=self.count_mask_bits
        )
