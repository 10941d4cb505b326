"""Pruning without personalisation: the scheme "FL in [14]" of [WFL]."""

from dataclasses import dataclass

from training.algorithms.server._importance import ImportancePruned
from training.engine.program import Train
from training.server.method import ServerMethod
from wirelessfl.errors import check_count


@dataclass(frozen=True, kw_only=True)
class PruningOnly(ImportancePruned):
    """Federated averaging of the whole model w, pruned by each client: [WFL] with w for u.

    In a round client k ranks all N = N_u + N_v weights by `importance_steps` trial steps, [WFL]
    eq. (6), prunes the ceil(rho_k N) least important ones, [WFL] eq. (9), and takes `local_steps`
    on the rest, [WFL] eq. (10). The server averages over holders, [WFL] eq. (15). Nothing is
    personal; the accuracy is that of the dense global model on the test samples of each client.
    With `importance_steps = 0` it is plain federated averaging. A round demands tau_hat N fixed
    weight updates, and tau N updates and 32 N bits that shrink with the ratio.

    Liu, Ratnarajah, "Computation and communication efficient federated learning over wireless
    networks" ([WFL]).

    Attributes:
        local_steps: Steps tau on the pruned model, at least 0.
    """

    local_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("training.local_steps", self.local_steps, at_least=0)

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        train = Train(
            part="shared",
            steps=self.local_steps,
            learning_rate=self.learning_rate,
            stream="batches/shared",
            **self.optimisation,
        )
        return ServerMethod(
            task=self.task,
            program=(*self.pruning(), train),
            personalised=False,
            count_mask_bits=self.count_mask_bits,
            upload=self.upload,
        )
