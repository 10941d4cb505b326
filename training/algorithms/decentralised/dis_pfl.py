"""Dis-PFL: decentralised sparse training with personal masks that move (Dai et al. 2022)."""

from dataclasses import dataclass, field
from typing import Literal

from training.algorithms.decentralised._pruned import check_payload
from training.decentralised.mask_search import MaskSearch
from training.decentralised.masked_weights import Payload
from training.decentralised.retention import Retention
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import check_sgd, local_sgd
from training.engine.program import Accumulate
from training.task import Task
from wirelessfl.errors import check_choice, check_count, check_number
from wirelessfl.graph import Graph


@dataclass(frozen=True, kw_only=True)
class DisPfl(PeerBased):
    """Every agent trains its own sparse model, averages it over who has a weight, and moves its
    mask.

    A round of Algorithm 1 of Dai et al. 2022: SGD on what the mask keeps, at `learning_rate` x
    `learning_rate_decay`^t; the trained model is sent and judged. Of each layer's ones the ceil(d
    n) smallest |w| go, d = `drop_share` / 2 (1 + cos(pi t / `anneal_rounds`)), and as many come
    where the mask had none: drawn, or with `regrow = "gradient"` those of the largest gradient of
    one more mini-batch. The next round begins with the mean of each weight over those of the closed
    neighbourhood who trained it, under the new mask; what nobody trained begins at 0.

    The first masks are drawn for each agent, with `keep_ratio` (`keep_ratios`: one for each agent)
    of all weights and the layers' shares by the Erdos-Renyi-kernel rule; a layer's number of ones
    never changes. `payload` counts 32 bits for each weight kept (`nonzero`) or for all (`values`),
    biases included; `count_mask_bits` adds a bitmap.

    **Differs:** a round is one mini-batch, as in [MCE-PL], for five epochs of 128 in the original; `anneal_rounds`
    stands for its number of rounds. With `move_every` masks move in every so manyth round alone, so
    that as much is trained in between as in the original; models are exchanged in all. What has
    just gone cannot come again in the same round, so the move is smaller where a layer has too few
    empty places, and there is none in a dense one.
    """

    task: Task = field(default_factory=Task)
    graph: Graph = field(default_factory=Graph)
    keep_ratio: float = 0.5
    keep_ratios: tuple[float, ...] | None = None
    learning_rate: float = 0.1
    learning_rate_decay: float = 0.998
    local_steps: int = 1
    local_epochs: int | None = None
    momentum: float = 0.0
    weight_decay: float = 5e-4
    clip_norm: float | None = 10.0
    drop_share: float = 0.5
    anneal_rounds: int = 400
    move_every: int = 1
    regrow: Literal["random", "gradient"] = "random"
    payload: Literal["nonzero", "values"] = "nonzero"
    count_mask_bits: bool = False

    def __post_init__(self) -> None:
        check_sgd(self)
        check_number("training.learning_rate_decay", self.learning_rate_decay, above=0, at_most=1)
        check_number("training.drop_share", self.drop_share, at_least=0, at_most=1)
        for name in ("anneal_rounds", "move_every"):
            check_count(f"training.{name}", getattr(self, name))
        check_choice("training.regrow", self.regrow, ("random", "gradient"))
        check_payload(self.payload)
        Retention(keep_ratio=self.keep_ratio, keep_ratios=self.keep_ratios)

    @property
    def method(self) -> MaskSearch:
        """The algorithm as what its agents do."""
        look = Accumulate(stream="batches/regrow", steps=1) if self.regrow == "gradient" else None
        return MaskSearch(
            task=self.task,
            graph=self.graph,
            train=local_sgd(self),
            look=look,
            keep=Retention(keep_ratio=self.keep_ratio, keep_ratios=self.keep_ratios),
            drop_share=self.drop_share,
            anneal_rounds=self.anneal_rounds,
            move_every=self.move_every,
            learning_rate_decay=self.learning_rate_decay,
            payload=Payload(dense=self.payload == "values", bitmap=self.count_mask_bits),
        )
