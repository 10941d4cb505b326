"""MCE-PL: personalised learning of binary masks that neighbours exchange ([MCE-PL])."""

from dataclasses import dataclass, field
from typing import Literal

from training.algorithms.decentralised._masks import check_masks, mask_learning
from training.decentralised.initialisation import WeightInit
from training.decentralised.mask_learning import MaskLearning
from training.decentralised.retention import Retention
from training.decentralised.trainer import PeerBased
from training.engine.local_sgd import MOST_RATE
from training.task import Task
from wirelessfl.errors import check_choice, check_number
from wirelessfl.graph import Graph

PAYLOADS = ("entry", "ones", "entropy")  # of a mask


@dataclass(frozen=True, kw_only=True)
class McePl(PeerBased):
    """Every agent learns which of the common fixed random weights w to keep, guided by its
    neighbours' masks.

    [MCE-PL] Algorithm 1: an agent trains scores z by straight-through steps on w m
    ([MCE-PL] eq. (14)-(15)), sends the mask m of y = agg(z, M) under the *old* masks M of its
    neighbours ([MCE-PL] eq. (16)), hears their new ones, takes one more step by the *stored*
    gradient where neighbours keep weights, z <- z - `fine_tune_rate` G M ([MCE-PL] eq. (17)), and
    has the mask of agg(z, M) ([MCE-PL] eq. (18)-(19)), by which it is judged. `fine_tune_rate` is
    the learning rate unless given; that step has no decay.

    w is one array for all agents, drawn by `weight_init`; z starts the same for all, and so do the
    neighbours' masks, one Bernoulli sample with `initial_neighbour_keep` in convolutions and
    `initial_neighbour_fc_keep` in fully connected layers. `payload` counts the bits of a mask (see
    `training.mask_bits`). An agent that sits out keeps its state; neighbours go on with the mask
    that they last had from it.

    **Differs:** R(z) of [MCE-PL] eq. (5)-(9), `group_lasso` times the sum of the norms of filters,
    is 0 unless given, as in the official code, which has `weight_decay` 5e-4 and rates of 10 in its
    place: presets `mce-pl-paper`, `mce-pl-code`.
    """

    task: Task = field(default_factory=Task)
    graph: Graph = field(default_factory=Graph)
    keep: Retention = field(default_factory=Retention)
    learning_rate: float = 1.0
    fine_tune_rate: float | None = None
    local_steps: int = 1
    local_epochs: int | None = None
    weight_decay: float = 0.0
    group_lasso: float = 0.0
    weight_init: WeightInit = "fan-in"
    initial_neighbour_keep: float = 0.3
    initial_neighbour_fc_keep: float = 0.9
    payload: Literal["entry", "ones", "entropy"] = "entry"

    def __post_init__(self) -> None:
        check_masks(self)
        if self.fine_tune_rate is not None:
            check_number(
                "training.fine_tune_rate", self.fine_tune_rate, at_least=0, at_most=MOST_RATE
            )
        for name in ("initial_neighbour_keep", "initial_neighbour_fc_keep"):
            check_number(f"training.{name}", getattr(self, name), at_least=0, at_most=1)
        check_choice("training.payload", self.payload, PAYLOADS)

    @property
    def method(self) -> MaskLearning:
        """The algorithm as what its agents do."""
        return mask_learning(
            self,
            exchange=True,
            fine_tune_rate=self.learning_rate
            if self.fine_tune_rate is None
            else self.fine_tune_rate,
            payload=self.payload,
            initial_neighbour_keep=self.initial_neighbour_keep,
            initial_neighbour_fc_keep=self.initial_neighbour_fc_keep,
        )
