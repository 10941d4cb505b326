"""FedAlt with partial pruning: [WFL] Algorithm 1; without pruning its Only Personalisation."""

from dataclasses import dataclass, replace

from training.algorithms.server._importance import ImportancePruned
from training.engine.local_sgd import check_rate
from training.engine.program import Train
from training.server.method import ServerMethod
from wirelessfl.errors import check_count


@dataclass(frozen=True, kw_only=True)
class FedAlt(ImportancePruned):
    """Alternating updates of a personal part v (convolutions) and a pruned shared part u.

    In a round client k takes `personal_steps` on v_k with u fixed, [WFL] eq. (8), then
    `importance_steps` trial steps on u that rank its weights by |u' - u|, [WFL] eq. (6), prunes the
    ceil(rho_k N_u) least important ones, [WFL] eq. (9), and takes `shared_steps` on the rest with
    v_k fixed, [WFL] eq. (10). The server averages every weight over its holders, [WFL] eq. (15).

    `importance_steps = 0` is Only Personalisation: nothing is pruned, and a pruning ratio between 0
    and 1 is an `InputError`.

    A round demands tau_v N_v + tau_hat_u N_u fixed weight updates, and tau_u N_u updates and
    32 N_u bits that shrink with the ratio.

    Liu, Ratnarajah, "Computation and communication efficient federated learning over wireless
    networks" ([WFL]).

    **Differs:** the ranking runs over all tensors of u, biases included, at the dense u; the paper
    does not say.

    Attributes:
        personal_learning_rate: Step size of v, at least 0; `learning_rate` if None.
        personal_steps: Steps tau_v on the personal part, at least 0.
        shared_steps: Steps tau_u on the shared part, at least 0.
        bound_every: Rounds between two measurements of the constants of [WFL] eq. (31); 0 for no
            measurement, which takes seconds for each client (see `docs/convergence.md`).
    """

    personal_learning_rate: float | None = None
    personal_steps: int = 5
    shared_steps: int = 5
    bound_every: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate("personal_learning_rate", self.personal_learning_rate)
        check_count("training.personal_steps", self.personal_steps, at_least=0)
        check_count("training.shared_steps", self.shared_steps, at_least=0)
        check_count("training.bound_every", self.bound_every, at_least=0)

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        rate = self.learning_rate
        personal = Train(
            part="personal",
            steps=self.personal_steps,
            learning_rate=rate
            if self.personal_learning_rate is None
            else self.personal_learning_rate,
            stream="batches/personal",
            **self.optimisation,
        )
        shared = Train(
            part="shared",
            steps=self.shared_steps,
            learning_rate=rate,
            stream="batches/shared",
            **self.optimisation,
        )
        method = self.personalised((personal, *self.pruning(), shared))
        return replace(method, bound_every=self.bound_every)
