"""DSGDProx: decentralised SGD near the last mean of the neighbourhood ([MCE-PL])."""

from dataclasses import dataclass, replace

from training.algorithms.decentralised.dsgd import Dsgd
from training.decentralised.averaging import Averaging
from training.engine.local_sgd import MOST_RATE
from wirelessfl.errors import check_number


@dataclass(frozen=True, kw_only=True)
class Dsgdprox(Dsgd):
    """DSGD on F_i(w) + (mu / 2) |w - w_bar_i|^2, with w_bar_i the last mean of agent i.

    As `dsgd`, but mu (w - w_bar_i) is added to every gradient; in the first round w_bar_i is the
    common initial model, and an idle agent keeps its own. With mu = 0 it equals `dsgd` bit for bit.
    `clip_norm` bounds the gradient with mu (w - w_i), w_i the model of the round's start; mu (w_i -
    w_bar_i) is added afterwards.

    Tian, Zhang, Li, Bennis, "Communication-efficient personalized distributed learning with data
    and node heterogeneity", IEEE Trans. Cogn. Commun. Netw., 2025 ([MCE-PL]).

    **Differs:** [MCE-PL] names the method and states neither mu nor w_bar_i; both are our reading.
    After one local step w_i - w_bar_i is that step alone: the term pulls back the agent's last
    step.

    Attributes:
        proximal_mu: Factor mu of the proximal term, at least 0.
    """

    proximal_mu: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("training.proximal_mu", self.proximal_mu, at_least=0, at_most=MOST_RATE)

    @property
    def method(self) -> Averaging:
        """The algorithm as the behaviour of its agents."""
        return replace(
            super().method,
            program=(self.phase(proximal=self.proximal_mu),),
            proximal_mu=self.proximal_mu,
        )
