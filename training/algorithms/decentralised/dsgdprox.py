"""DSGDProx: decentralised SGD near a held mean of the neighbourhood ([MCE-PL])."""

from dataclasses import dataclass, replace
from typing import ClassVar

from training.algorithms.decentralised.dsgd import Dsgd
from training.decentralised.averaging import Averaging
from training.engine.local_sgd import MOST_RATE
from wirelessfl.errors import check_number


@dataclass(frozen=True, kw_only=True)
class Dsgdprox(Dsgd):
    """DSGD on F_i(w) + (mu / 2) |w - w_bar_i|^2, with w_bar_i a mean of the neighbourhood of i.

    As `dsgd`, but mu (w - w_bar_i) is added to every gradient. The anchor w_bar_i is the mean of
    the exchange in the last round whose number `anchor_rounds` divides, counted from 1; until then
    it is the common initial model, and an idle agent keeps its own. With mu = 0 the method equals
    `dsgd` bit for bit.
    `clip_norm` bounds the gradient with mu (w - w_i), w_i the model of the round's start; mu (w_i -
    w_bar_i) is added afterwards.

    Tian, Zhang, Li, Bennis, "Communication-efficient personalized distributed learning with data
    and node heterogeneity", IEEE Trans. Cogn. Commun. Netw., 2025 ([MCE-PL]).

    **Differs:** [MCE-PL] names the method and states neither mu nor w_bar_i; both are our reading.
    With an anchor of the previous round and one local step, w_i - w_bar_i is that step alone, and
    the term a fraction eta mu of a gradient; a held anchor makes it a proximal term.

    Attributes:
        proximal_mu: Factor mu of the proximal term, at least 0.
        anchor_rounds: Rounds for which an anchor is held, at least 1.
    """

    revision: ClassVar[int] = 2  # before: mu = 0.01 and an anchor of one round

    proximal_mu: float = 0.1
    anchor_rounds: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("training.proximal_mu", self.proximal_mu, at_least=0, at_most=MOST_RATE)
        check_number("training.anchor_rounds", self.anchor_rounds, at_least=1)

    @property
    def method(self) -> Averaging:
        """The algorithm as the behaviour of its agents."""
        return replace(
            super().method,
            program=(self.phase(proximal=self.proximal_mu),),
            proximal_mu=self.proximal_mu,
            anchor_rounds=self.anchor_rounds,
        )
