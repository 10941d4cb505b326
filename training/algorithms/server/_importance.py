"""Common part of the algorithms that prune by the importance of [WFL] eq. (6)."""

from dataclasses import dataclass, field
from typing import Any

from training.engine.local_sgd import check_optimizer, check_rate, check_sgd
from training.engine.optimizer import Optimizer, Schedule
from training.engine.program import Program, Prune, shared_only
from training.server.algorithm import ServerBased
from training.server.method import ServerMethod
from wirelessfl.errors import check_count


@dataclass(frozen=True, kw_only=True)
class ImportancePruned(ServerBased):
    """Algorithm whose clients prune the shared part by the importance of its weights.

    The trial steps of the importance are plain SGD at `learning_rate`.

    Attributes:
        learning_rate: Step size of the shared part, above 0.
        optimizer: Optimiser of the steps.
        schedule: Learning rate by round.
        momentum: Heavy-ball factor of SGD within [0, 1].
        weight_decay: Factor of w that is added to every gradient, at least 0.
        importance_steps: Trial steps tau_hat_u that rank the weights; 0 for no pruning.
        count_mask_bits: Whether an upload has a bitmap of N_u bits, omitted in [WFL] eq. (14).
    """

    learning_rate: float = 0.001
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    momentum: float = 0.0
    weight_decay: float = 0.0
    importance_steps: int = 1
    count_mask_bits: bool = False

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)
        check_sgd(self.momentum, self.weight_decay)
        check_optimizer(self.optimizer, self.momentum)
        check_count("training.importance_steps", self.importance_steps, at_least=0)

    @property
    def optimisation(self) -> dict[str, Any]:
        """Settings of the optimiser that all phases of training have in common."""
        return {
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
        }

    def pruning(self) -> Program:
        """The pruning phase, [WFL] eq. (6) and (9); no phase without importance steps."""
        if not self.importance_steps:
            return ()
        phase = Prune(
            steps=self.importance_steps,
            learning_rate=self.learning_rate,
            stream="batches/importance",
        )
        return (phase,)

    def personalised(self, program: Program) -> ServerMethod:
        """The method of clients that keep the personal part of the model.

        Args:
            program: Local training of a client on both parts.

        Returns:
            The method; with `personal = "none"` the whole model is shared, and steps on the
            personal part are omitted.
        """
        divided = self.task.personalises
        return ServerMethod(
            task=self.task,
            program=program if divided else shared_only(program),
            personalised=divided,
            count_mask_bits=self.count_mask_bits,
            upload=self.upload,
        )
