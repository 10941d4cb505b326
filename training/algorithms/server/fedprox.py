"""FedProx: federated averaging with a proximal term and unequal work (Li et al. 2020)."""

from dataclasses import dataclass, replace

from training.algorithms.server.fedavg import FedAvg
from training.server.method import ServerMethod
from wirelessfl.errors import InputError, check_number


@dataclass(frozen=True, kw_only=True)
class FedProx(FedAvg):
    """Federated averaging in which client k minimises F_k(w) + (mu / 2) |w - w_t|^2 inexactly.

    Algorithm 2 of Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith, "Federated optimization in
    heterogeneous networks", MLSys 2020: mu (w - w_t) is added to every gradient. In each round a
    client draws the fraction of its local training that it does, rounded to steps, at least one.
    The draw is a function of seed, round and client, and the demand of a round is that of the work
    drawn, so the cell sees which clients finish early. The demand without data is the expected one.
    With mu = 0 and the fractions (1,) it equals `fedavg` bit for bit.

    [CA-HFP] Table I charges FedProx half of the work of federated averaging: `work_fractions =
    [0.25, 0.5, 0.75]`.

    **Differs:** the paper states neither mu nor the draw; 0.01 and these fractions are our reading.
    A fraction of an epoch consists of full batches.

    Attributes:
        proximal_mu: Factor mu of the proximal term, at least 0.
        work_fractions: Fractions of the local training in (0, 1], drawn with equal probabilities.
    """

    proximal_mu: float = 0.01
    work_fractions: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("training.proximal_mu", self.proximal_mu, at_least=0)
        if not self.work_fractions:
            raise InputError("training.work_fractions must have at least one number, got none")
        check_number("training.work_fractions", self.work_fractions, above=0, at_most=1)

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        return replace(
            super().method,
            program=(self.phase(proximal=self.proximal_mu),),
            work_fractions=self.work_fractions,
        )
