"""FedSim with partial pruning: both parts of the model move by the same gradient."""

from dataclasses import dataclass, field

from training.engine.local_sgd import check_rate, check_steps
from training.engine.program import Program, Prune, Train
from training.server.method import ServerMethod
from training.server.trainer import ServerBased
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class FedSim(ServerBased):
    """Simultaneous updates of a personal part v and a pruned shared part u ([WFL] Fig. 3).

    In a round client k ranks u by `importance_steps` trial steps ([WFL] eq. (6)), prunes the
    ceil(rho_k N_u) least important weights ([WFL] eq. (9)), and takes `local_steps` in which u
    (masked) and v_k move by one gradient at (u, v_k). The server averages every weight of u over
    its holders ([WFL] eq. (15)). The other fields are those of `FedAlt`.

    `personal_learning_rate = 0` is federated averaging of u with v fixed. With as many steps on
    each part, FedAlt evaluates twice as many gradients. A round asks for tau N_v + tau_hat_u N_u
    fixed weight updates, and for tau N_u updates and 32 N_u bits that shrink with the ratio.
    """

    task: Task = field(default_factory=Task)
    learning_rate: float = 0.001
    personal_learning_rate: float | None = None
    local_steps: int = 5
    importance_steps: int = 1
    count_mask_bits: bool = False

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)
        check_rate("personal_learning_rate", self.personal_learning_rate)
        check_steps(self, "local_steps", "importance_steps")

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        prune = Prune(
            steps=self.importance_steps,
            learning_rate=self.learning_rate,
            stream="batches/importance",
        )
        both = Train(
            part="all",
            steps=self.local_steps,
            learning_rate=self.learning_rate,
            personal_learning_rate=self.personal_learning_rate,
            stream="batches/shared",
        )
        program: Program = (prune, both) if self.importance_steps else (both,)
        return ServerMethod(
            task=self.task, program=program, personalised=True, count_mask_bits=self.count_mask_bits
        )
