"""DSGDProx: decentralised SGD that stays near the last mean of its neighbourhood ([MCE-PL])."""

from dataclasses import dataclass, field

from training.decentralised.averaging import Averaging
from training.decentralised.neighbours import MIXINGS, Mixing
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import MOST_RATE, check_sgd, local_sgd
from training.task import Task
from wirelessfl.errors import check_choice, check_number
from wirelessfl.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Dsgdprox(PeerBased):
    """DSGD on F_i(w) + (mu / 2) |w - w_bar_i|^2, with w_bar_i the mean that agent i made in the
    round before.

    As `dsgd`, but mu (w - w_bar_i) joins every gradient, mu = `proximal_mu`; in the first round
    w_bar_i is the common first model, and an agent that sits out keeps its own. With mu = 0 it is
    `dsgd` bit for bit. `clip_norm` bounds the gradient with mu (w - w_i), w_i the model of the
    round's start; mu (w_i - w_bar_i) comes after it.

    **Differs:** [MCE-PL] names the method and gives neither mu nor w_bar_i; both are our reading. After one local step
    w_i - w_bar_i is that step alone: what pulls is the agent's last step.
    """

    task: Task = field(default_factory=Task)
    graph: Graph = field(default_factory=Graph)
    learning_rate: float = 0.01
    proximal_mu: float = 0.01
    local_steps: int = 1
    local_epochs: int | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    mixing: Mixing = "uniform"

    def __post_init__(self) -> None:
        check_sgd(self)
        check_number("training.proximal_mu", self.proximal_mu, at_least=0, at_most=MOST_RATE)
        check_choice("training.mixing", self.mixing, MIXINGS)

    @property
    def method(self) -> Averaging:
        """The algorithm as what its agents do."""
        return Averaging(
            task=self.task,
            graph=self.graph,
            program=(local_sgd(self, proximal=self.proximal_mu),),
            mixing=self.mixing,
            proximal_mu=self.proximal_mu,
        )
