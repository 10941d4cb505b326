"""Pruning without personalisation: the scheme "FL in [14]" of [WFL]."""

from dataclasses import dataclass, field

from training.engine.local_sgd import check_rate, check_steps
from training.engine.program import Program, Prune, Train
from training.server.method import ServerMethod
from training.server.trainer import ServerBased
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class PruningOnly(ServerBased):
    """Federated averaging of the whole model w, pruned per client: [WFL] eq. (6), (9), (10), (15)
    with w for u.

    In a round client k ranks all N = N_u + N_v weights by `importance_steps` trial steps, prunes
    the ceil(rho_k N) least important ones and takes `local_steps` on the rest. Nothing is personal;
    the accuracy is that of the dense global model on each client's test samples. With
    `importance_steps = 0` it is plain federated averaging. A round asks for tau_hat N fixed weight
    updates, and for tau N updates and 32 N bits that shrink with the ratio.
    """

    task: Task = field(default_factory=Task)
    learning_rate: float = 0.001
    local_steps: int = 5
    importance_steps: int = 1
    count_mask_bits: bool = False

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)
        check_steps(self, "local_steps", "importance_steps")

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        prune = Prune(
            steps=self.importance_steps,
            learning_rate=self.learning_rate,
            stream="batches/importance",
        )
        train = Train(
            part="shared",
            steps=self.local_steps,
            learning_rate=self.learning_rate,
            stream="batches/shared",
        )
        program: Program = (prune, train) if self.importance_steps else (train,)
        return ServerMethod(
            task=self.task,
            program=program,
            personalised=False,
            count_mask_bits=self.count_mask_bits,
        )
