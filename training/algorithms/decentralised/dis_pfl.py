"""Dis-PFL: decentralised sparse training with personal masks that change (Dai et al. 2022)."""

from dataclasses import dataclass
from typing import Literal, get_args

from training.algorithms.decentralised._payload import SparsePayload
from training.decentralised.mask_search import MaskSearch
from training.decentralised.retention import Retention
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import LocalSgd
from training.engine.program import Accumulate
from wirelessfl.errors import check_choice, check_count, check_number

Regrowth = Literal["random", "gradient"]


@dataclass(frozen=True, kw_only=True)
class DisPfl(SparsePayload, LocalSgd, PeerBased):
    """Every agent trains a sparse model, averages it over holders, and moves its mask.

    Algorithm 1 of Dai, Shen, He, Tian, Tao, "DisPFL: Towards communication-efficient personalized
    federated learning via decentralized sparse training", ICML 2022: SGD on the weights that the
    mask keeps, at `learning_rate` x `learning_rate_decay`^t; the trained model is sent and
    evaluated. Of the n ones of each layer the ceil(d n) smallest |w| are pruned, d = `drop_share` /
    2 (1 + cos(pi t / `anneal_rounds`)), and as many pruned weights return. The next round begins
    with the mean of each weight over the agents of the closed neighbourhood that trained it, under
    the new mask; a weight that no agent trained begins at 0.

    The initial masks are drawn for each agent; the fractions of the layers follow the
    Erdos-Renyi-kernel rule, and the number of ones of a layer never changes.

    **Differs:** a round is one mini-batch, as in [MCE-PL], instead of five epochs of 128 in the
    original; `anneal_rounds` replaces its number of rounds. With `move_every` masks move less
    often, so that as much is trained in between as in the original; models are exchanged in all
    rounds. A weight that has just been pruned cannot return in the same round, so the move is
    smaller where a layer has too few empty places, and there is none in a dense layer.

    Attributes:
        keep_ratio: Fraction of all weights that an agent keeps, in (0, 1].
        keep_ratios: Fraction of each agent, in (0, 1], (K,); `keep_ratio` if None.
        learning_rate: Step size of the first round, above 0.
        learning_rate_decay: Factor of the step size in a round, in (0, 1].
        local_steps: Mini-batch steps in a round, at least 0.
        weight_decay: Factor of w that is added to every gradient, at least 0.
        clip_norm: Largest Euclidean norm of a gradient, above 0; no limit if None.
        drop_share: Twice the fraction of a layer's ones that move in the first round, in [0, 1].
        anneal_rounds: Rounds after which masks are constant, at least 1.
        move_every: Rounds between two moves, at least 1.
        regrow: Weights that return: drawn at `random`, or those of the largest `gradient` of one
            more mini-batch.
    """

    keep_ratio: float = 0.5
    keep_ratios: tuple[float, ...] | None = None
    learning_rate: float = 0.1
    learning_rate_decay: float = 0.998
    local_steps: int = 1
    weight_decay: float = 5e-4
    clip_norm: float | None = 10.0
    drop_share: float = 0.5
    anneal_rounds: int = 400
    move_every: int = 1
    regrow: Regrowth = "random"

    def __post_init__(self) -> None:
        LocalSgd.__post_init__(self)
        check_number("training.learning_rate_decay", self.learning_rate_decay, above=0, at_most=1)
        check_number("training.drop_share", self.drop_share, at_least=0, at_most=1)
        for name in ("anneal_rounds", "move_every"):
            check_count(f"training.{name}", getattr(self, name))
        check_choice("training.regrow", self.regrow, get_args(Regrowth))
        self.check_payload()
        self._retention()

    @property
    def method(self) -> MaskSearch:
        """The algorithm as the behaviour of its agents."""
        gradient = Accumulate(stream="batches/regrow", steps=1)
        return MaskSearch(
            task=self.task,
            graph=self.graph,
            train=self.phase(),
            regrowth=gradient if self.regrow == "gradient" else None,
            keep=self._retention(),
            drop_fraction=self.drop_share,
            anneal_rounds=self.anneal_rounds,
            move_every=self.move_every,
            learning_rate_decay=self.learning_rate_decay,
            payload=self.counted,
        )

    def _retention(self) -> Retention:
        return Retention(keep_ratio=self.keep_ratio, keep_ratios=self.keep_ratios)
