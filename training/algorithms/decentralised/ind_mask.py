"""ind-mask: every agent learns a mask for itself ([MCE-PL])."""

from dataclasses import dataclass, field

from training.algorithms.decentralised._masks import check_masks, mask_learning
from training.decentralised.initialisation import WeightInit
from training.decentralised.mask_learning import MaskLearning
from training.decentralised.retention import Retention
from training.decentralised.trainer import PeerBased
from training.task import Task
from wirelessfl.graph import Graph


@dataclass(frozen=True, kw_only=True)
class IndMask(PeerBased):
    """Straight-through training of scores z of the common fixed weights w, without neighbours:
    [MCE-PL] M-2.

    m = Fil[Thres(z)], z <- z - `learning_rate` dL/dv w sign(z) ([MCE-PL] eq. (14)-(15)): `mce-pl`
    without an exchange, whose fields it has. Nothing is sent; the `graph` is that of the methods it
    is compared with.
    """

    task: Task = field(default_factory=Task)
    graph: Graph = field(default_factory=Graph)
    keep: Retention = field(default_factory=Retention)
    learning_rate: float = 1.0
    local_steps: int = 1
    local_epochs: int | None = None
    weight_decay: float = 0.0
    group_lasso: float = 0.0
    weight_init: WeightInit = "fan-in"

    def __post_init__(self) -> None:
        check_masks(self)

    @property
    def method(self) -> MaskLearning:
        """The algorithm as what its agents do."""
        return mask_learning(self)
