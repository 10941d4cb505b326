"""Common part of the algorithms that train weights and prune them."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from training.algorithms.decentralised._payload import SparsePayload
from training.decentralised.pruned_weights import Combine, PrunedWeights
from training.decentralised.retention import Retention
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import LocalSteps
from training.engine.program import TrainPruned
from wirelessfl.errors import check_choice, check_number

Pruning = Literal["straight-through", "hard"]


@dataclass(frozen=True, kw_only=True)
class PrunedWeightsBased(LocalSteps, PeerBased):
    """Algorithm that trains weights of which each agent keeps the largest.

    With `straight-through` pruning, as in the official code of [MCE-PL], the loss is that of w m
    and its gradient updates all weights: pruned weights can return. With `hard` pruning they are
    overwritten by 0 after the local work of each round, the paper's "after each iteration, each
    agent prunes".

    Attributes:
        keep: Fraction of the weights that an agent keeps.
        local_steps: Mini-batch steps in a round, at least 0.
        weight_decay: Factor of w that is added to every gradient, at least 0.
        pruning: Whether pruned weights are trained.
    """

    keep: Retention = field(default_factory=Retention)
    local_steps: int = 1
    weight_decay: float = 0.0
    pruning: Pruning = "straight-through"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("training.weight_decay", self.weight_decay, at_least=0)
        check_choice("training.pruning", self.pruning, get_args(Pruning))

    @property
    def method(self) -> PrunedWeights:
        """The algorithm without an exchange of models."""
        train = TrainPruned(
            keep=(),
            steps=self.phase_steps,
            epochs=self.local_epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            filter_threshold=self.keep.filter_threshold,
            stream="batches/shared",
        )
        return PrunedWeights(
            task=self.task,
            graph=self.graph,
            train=train,
            keep=self.keep,
            combine=None,
            hard=self.pruning == "hard",
        )


@dataclass(frozen=True, kw_only=True)
class ExchangedPrunedWeights(SparsePayload, PrunedWeightsBased):
    """Algorithm that exchanges pruned models with the neighbours."""

    def __post_init__(self) -> None:
        PrunedWeightsBased.__post_init__(self)
        self.check_payload()

    def exchanging(self, combine: Combine) -> PrunedWeights:
        """The algorithm with an exchange of models.

        Args:
            combine: Next vector from the vector, mask and inbox of an agent.

        Returns:
            Method whose agents send their pruned models.
        """
        return replace(super().method, combine=combine, payload=self.counted)
