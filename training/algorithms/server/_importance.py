"""Common part of the algorithms that prune by the importance of [WFL] eq. (6)."""

from dataclasses import dataclass

from training.engine.local_sgd import check_rate
from training.engine.program import Program, Prune
from training.server.trainer import ServerBased
from wirelessfl.errors import check_count


@dataclass(frozen=True, kw_only=True)
class ImportancePruned(ServerBased):
    """Algorithm whose clients prune the shared part by the importance of its weights.

    Attributes:
        learning_rate: Step size of the shared part, above 0.
        importance_steps: Trial steps tau_hat_u that rank the weights; 0 for no pruning.
        count_mask_bits: Whether an upload has a bitmap of N_u bits, omitted in [WFL] eq. (14).
    """

    learning_rate: float = 0.001
    importance_steps: int = 1
    count_mask_bits: bool = False

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)
        check_count("training.importance_steps", self.importance_steps, at_least=0)

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
