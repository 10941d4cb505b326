"""FedSim with partial pruning: both parts of the model are updated by the same gradient."""

from dataclasses import dataclass

from training.algorithms.server._importance import ImportancePruned
from training.engine.local_sgd import check_rate
from training.engine.program import Train
from training.server.method import ServerMethod
from wirelessfl.errors import check_count


@dataclass(frozen=True, kw_only=True)
class FedSim(ImportancePruned):
    """Simultaneous updates of a personal part v and a pruned shared part u: [WFL] Fig. 3.

    In a round client k ranks u by `importance_steps` trial steps, [WFL] eq. (6), prunes the
    ceil(rho_k N_u) least important weights, [WFL] eq. (9), and takes `local_steps` in which u
    (masked) and v_k are updated by one gradient at (u, v_k). The server averages every weight of u
    over its holders, [WFL] eq. (15).

    `personal_learning_rate = 0` is federated averaging of u with v fixed. With as many steps on
    each part, FedAlt evaluates twice as many gradients. A round demands tau N_v + tau_hat_u N_u
    fixed weight updates, and tau N_u updates and 32 N_u bits that shrink with the ratio.

    Liu, Ratnarajah, "Computation and communication efficient federated learning over wireless
    networks" ([WFL]).

    Attributes:
        personal_learning_rate: Step size of v, at least 0; `learning_rate` if None.
        local_steps: Steps tau on both parts, at least 0.
    """

    personal_learning_rate: float | None = None
    local_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate("personal_learning_rate", self.personal_learning_rate)
        check_count("training.local_steps", self.local_steps, at_least=0)

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        both = Train(
            part="all",
            steps=self.local_steps,
            learning_rate=self.learning_rate,
            personal_learning_rate=self.personal_learning_rate,
            stream="batches/shared",
            **self.optimisation,
        )
        return self.personalised((*self.pruning(), both))
