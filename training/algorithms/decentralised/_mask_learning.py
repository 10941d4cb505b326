"""Common part of the algorithms that learn masks."""

from dataclasses import dataclass, field
from typing import get_args

from training.decentralised.initialisation import WeightInit
from training.decentralised.mask_learning import MaskLearning
from training.decentralised.retention import Retention
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import LocalSteps
from training.engine.program import TrainMask
from wirelessfl.errors import check_choice, check_number


@dataclass(frozen=True, kw_only=True)
class MaskLearningBased(LocalSteps, PeerBased):
    """Algorithm that learns masks of constant weights by straight-through training of scores.

    Attributes:
        keep: Fraction of the weights that an agent keeps.
        learning_rate: Step size of the scores, above 0.
        local_steps: Mini-batch steps in a round, at least 0.
        weight_decay: Factor of z that is added to every gradient of the scores, at least 0.
        group_lasso: Factor of the sum of the norms of filters, [MCE-PL] eq. (5)-(9), at least 0.
        weight_init: Distribution of the weights w.
    """

    keep: Retention = field(default_factory=Retention)
    learning_rate: float = 1.0
    local_steps: int = 1
    weight_decay: float = 0.0
    group_lasso: float = 0.0
    weight_init: WeightInit = "fan-in"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("training.weight_decay", self.weight_decay, at_least=0)
        check_number("training.group_lasso", self.group_lasso, at_least=0)
        check_choice("training.weight_init", self.weight_init, get_args(WeightInit))

    @property
    def method(self) -> MaskLearning:
        """The algorithm without an exchange of masks."""
        train = TrainMask(
            keep=(),
            steps=self.phase_steps,
            epochs=self.local_epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            group_lasso=self.group_lasso,
            filter_threshold=self.keep.filter_threshold,
            stream="batches/shared",
        )
        return MaskLearning(
            task=self.task,
            graph=self.graph,
            train=train,
            keep=self.keep,
            exchange=False,
            fine_tune_rate=0.0,
            payload="entry",
            weight_init=self.weight_init,
            initial_neighbour_keep=0.0,
            initial_neighbour_fc_keep=0.0,
        )
