"""LotteryDSGD: LotteryFL (Li et al. 2021) among neighbours, a baseline of [MCE-PL]."""

from dataclasses import dataclass, field
from typing import Literal

from training.algorithms.decentralised._pruned import check_payload
from training.decentralised.lottery import Lottery
from training.decentralised.masked_weights import Payload
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import check_sgd, local_sgd
from training.task import Task
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.graph import Graph


@dataclass(frozen=True, kw_only=True)
class LotteryDsgd(PeerBased):
    """Agents prune whenever the averaged model is good enough, and begin again from the common
    first weights.

    In each round an agent measures the mean that it holds under its mask, which keeps everything at
    first. While the accuracy is above `accuracy_threshold` and its keep rate above `keep_ratio` it
    prunes the `prune_share` smallest |w| of what it still has in each tensor of weights (not of
    biases), multiplies its rate by 1 - `prune_share` and sets what it keeps to the common first
    weights. It trains what it keeps, sends it, and takes the mean of each weight over those of the
    closed neighbourhood who keep it; what nobody keeps stays. It is judged by that mean under its
    mask.

    The accuracy is that on at most `threshold_samples` samples of the agent, the same in every
    round, of its data to train or to test on (`threshold_on`). `payload` counts 32 bits for each
    weight kept (`nonzero`) or for all (`values`), biases included; `count_mask_bits` adds a bitmap.

    **Differs:** the original measures on test samples and so chooses by them: `threshold_on = "test"`. It freezes
    weights with |w| < 1e-6, here those are that the mask prunes, and has momentum 0.5, 60 local
    epochs and a server. The last step may go below `keep_ratio`, as there: 0.5 ends at 0.8^4 =
    0.41.
    """

    task: Task = field(default_factory=Task)
    graph: Graph = field(default_factory=Graph)
    learning_rate: float = 0.1
    local_steps: int = 1
    local_epochs: int | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    keep_ratio: float = 0.5
    prune_share: float = 0.2
    accuracy_threshold: float = 0.2
    threshold_on: Literal["train", "test"] = "train"
    threshold_samples: int = 80
    payload: Literal["nonzero", "values"] = "nonzero"
    count_mask_bits: bool = False

    def __post_init__(self) -> None:
        check_sgd(self)
        check_number("training.keep_ratio", self.keep_ratio, above=0, at_most=1)
        check_number("training.prune_share", self.prune_share, above=0)
        if self.prune_share >= 1:
            raise InputError(f"training.prune_share must be below 1, got {self.prune_share:g}")
        check_number("training.accuracy_threshold", self.accuracy_threshold, at_least=0, at_most=1)
        check_choice("training.threshold_on", self.threshold_on, ("train", "test"))
        check_count("training.threshold_samples", self.threshold_samples)
        check_payload(self.payload)

    @property
    def method(self) -> Lottery:
        """The algorithm as what its agents do."""
        return Lottery(
            task=self.task,
            graph=self.graph,
            program=(local_sgd(self),),
            keep_ratio=self.keep_ratio,
            prune_share=self.prune_share,
            accuracy_threshold=self.accuracy_threshold,
            threshold_on=self.threshold_on,
            threshold_samples=self.threshold_samples,
            payload=Payload(dense=self.payload == "values", bitmap=self.count_mask_bits),
        )
