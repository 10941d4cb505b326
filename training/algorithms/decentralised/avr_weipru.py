"""avr-weipru: pruned weights, averaged over neighbours ([MCE-PL])."""

from dataclasses import dataclass, field
from typing import Literal

from training.algorithms.decentralised._pruned import check_payload, check_pruned, pruned_weights
from training.decentralised.pruned_weights import PrunedWeights, average
from training.decentralised.retention import Retention
from training.decentralised.trainer import PeerBased
from training.task import Task
from wirelessfl.graph import Graph


@dataclass(frozen=True, kw_only=True)
class AvrWeipru(PeerBased):
    """Agents train and prune weights and average the pruned models of their neighbourhood:
    [MCE-PL] M-4.

    Local SGD as in `ind-weipru`, the largest weights of each layer are sent, w_i <- (w_i + sum_j
    w_j m_j) / (|N_i| + 1) over all entries, zeros included, then the agent prunes again and is
    judged. `payload` counts 32 bits for each weight kept (`nonzero`) or for all (`values`), biases
    included; `count_mask_bits` adds a bitmap.

    **Differs:** whether an agent is in its own mean is not said; it is, with all of its weights
    under `pruning = "straight-through"` (so that without neighbours this is `ind-weipru`), with the
    kept ones under `hard`.
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
            self, average, payload=self.payload, count_mask_bits=self.count_mask_bits
        )
