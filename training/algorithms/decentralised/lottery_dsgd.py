"""LotteryDSGD: LotteryFL (Li et al. 2021) among neighbours, a baseline of [MCE-PL]."""

from dataclasses import dataclass
from typing import get_args

from training.algorithms.decentralised._payload import SparsePayload
from training.decentralised.lottery import Lottery, ThresholdData
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import LocalSgd
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.text import in_full


@dataclass(frozen=True, kw_only=True)
class LotteryDsgd(SparsePayload, LocalSgd, PeerBased):
    """Agents prune whenever the averaged model is accurate, and restart from common weights.

    Li, Sun, Wang, Duan, Li, Chen, Li, "LotteryFL: Empower edge intelligence with personalized and
    communication-efficient federated learning", SEC 2021. In each round an agent measures its mean
    under its mask, which keeps everything at first. While the accuracy is above
    `accuracy_threshold` and its retention rate above `keep_ratio` it prunes the smallest |w| of its
    remaining weights in each tensor (not of biases), multiplies its rate by 1 - `prune_share` and
    resets the weights that it keeps to the common initial ones. It trains the weights that it
    keeps, sends them, and takes the mean of each weight over its holders in the closed
    neighbourhood; a weight without a holder does not change. It is evaluated by that mean under its
    mask.

    **Differs:** the original measures on test samples and so uses them to choose: `threshold_on =
    "test"`. It freezes weights with |w| < 1e-6, here the frozen weights are those that the mask
    prunes, and has momentum 0.5, 60 local epochs and a server. The last step may go below
    `keep_ratio`, as there: 0.5 ends at 0.8^4 = 0.41.

    Attributes:
        learning_rate: Step size, above 0.
        local_steps: Mini-batch steps in a round, at least 0.
        keep_ratio: Retention rate below which an agent does not prune any more, in (0, 1].
        prune_share: Fraction of a tensor's remaining weights that is pruned at once, in (0, 1).
        accuracy_threshold: Accuracy above which an agent prunes, in [0, 1].
        threshold_on: Samples of the agent on which that accuracy is measured.
        threshold_samples: Largest number of these samples, the same in every round, at least 1.
    """

    learning_rate: float = 0.1
    local_steps: int = 1
    keep_ratio: float = 0.5
    prune_share: float = 0.2
    accuracy_threshold: float = 0.2
    threshold_on: ThresholdData = "train"
    threshold_samples: int = 80

    def __post_init__(self) -> None:
        LocalSgd.__post_init__(self)
        check_number("training.keep_ratio", self.keep_ratio, above=0, at_most=1)
        check_number("training.prune_share", self.prune_share, above=0)
        if self.prune_share >= 1:
            raise InputError(
                f"training.prune_share must be below 1, got {in_full(self.prune_share)}"
            )
        check_number("training.accuracy_threshold", self.accuracy_threshold, at_least=0, at_most=1)
        check_choice("training.threshold_on", self.threshold_on, get_args(ThresholdData))
        check_count("training.threshold_samples", self.threshold_samples)
        self.check_payload()

    @property
    def method(self) -> Lottery:
        """The algorithm as the behaviour of its agents."""
        return Lottery(
            task=self.task,
            graph=self.graph,
            program=(self.phase(),),
            keep_ratio=self.keep_ratio,
            prune_fraction=self.prune_share,
            accuracy_threshold=self.accuracy_threshold,
            threshold_on=self.threshold_on,
            threshold_samples=self.threshold_samples,
            payload=self.counted,
        )
