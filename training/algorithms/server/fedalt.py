"""FedAlt with partial pruning: [WFL] Algorithm 1; without pruning its Only Personalisation."""

from dataclasses import dataclass, field

from training.engine.local_sgd import check_rate, check_steps
from training.engine.program import Program, Prune, Train
from training.server.method import ServerMethod
from training.server.trainer import ServerBased
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class FedAlt(ServerBased):
    """Alternating updates of a personal part v (convolutions) and a pruned shared part u (fully
    connected layers).

    In a round client k takes `personal_steps` on v_k with u fixed ([WFL] eq. (8)),
    `importance_steps` trial steps on u that rank its weights by |u' - u| ([WFL] eq. (6)), prunes
    the ceil(rho_k N_u) least important ones ([WFL] eq. (9)), and takes `shared_steps` on what is
    left with v_k fixed ([WFL] eq. (10)). The server averages every weight over its holders
    ([WFL] eq. (15)).

    `importance_steps = 0` is Only Personalisation: nothing is pruned, and a pruning ratio between 0
    and 1 is an `InputError`. `personal_learning_rate` is `learning_rate` unless given.
    `count_mask_bits` adds N_u bits to an upload: the bitmap that [WFL] eq. (14) leaves out.

    A round asks for tau_v N_v + tau_hat_u N_u fixed weight updates, and for tau_u N_u updates and
    32 N_u bits that shrink with the ratio.

    **Differs:** the ranking runs over all tensors of u, biases included, at the dense u; the paper
    does not say.
    """

    task: Task = field(default_factory=Task)
    learning_rate: float = 0.001
    personal_learning_rate: float | None = None
    personal_steps: int = 5
    shared_steps: int = 5
    importance_steps: int = 1
    count_mask_bits: bool = False

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)
        check_rate("personal_learning_rate", self.personal_learning_rate)
        check_steps(self, "personal_steps", "shared_steps", "importance_steps")

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        rate = self.learning_rate
        personal_rate = rate if self.personal_learning_rate is None else self.personal_learning_rate
        personal = Train(
            part="personal",
            steps=self.personal_steps,
            learning_rate=personal_rate,
            stream="batches/personal",
        )
        prune = Prune(steps=self.importance_steps, learning_rate=rate, stream="batches/importance")
        shared = Train(
            part="shared", steps=self.shared_steps, learning_rate=rate, stream="batches/shared"
        )
        program: Program = (
            (personal, prune, shared) if self.importance_steps else (personal, shared)
        )
        return ServerMethod(
            task=self.task, program=program, personalised=True, count_mask_bits=self.count_mask_bits
        )
