"""FedMP: sub-models by the l1 norm of filters, put back into the whole model (Jiang et al. 2022)."""

from dataclasses import dataclass, field

from training.engine.local_sgd import check_momentum, check_sgd, local_sgd
from training.server.time_model import TimeModel
from training.submodels.bandit import Bandit
from training.submodels.ratios import FilterRatios
from training.submodels.scores import FilterScore
from training.submodels.trainer import SubModelBased, SubModelMethod
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class Fedmp(SubModelBased):
    """Every client trains the filters of largest l1 norm; what it did not get is filled up with w_t
    and averaged.

    In every layer a client loses the share of filters that its ratio says (`ratios`, see `FilterRatios`),
    those with the smallest sum of |w| in the global model, their bias included. The residual
    recovery R2SP, trained sub-model + (w_t - m_k w_t), is the reconstruction of `ca-hfp`: with the
    same filters the two are the same.

    `ratios = "bandit"` is the original's choice of ratios by E-UCB, see `Bandit`: each client has
    its own, rewarded by the decrease of the loss over the gap |T_k - mean T|. T_k is that of the
    stated `TimeModel` for the FLOPs and bits of the round, as training does not see the cell's
    seconds.

    **Differs:** models are averaged by samples, as the other methods of [CA-HFP] are; the original's plain mean is
    `weighted = false`. No official code was found; this follows the published description.
    """

    task: Task = field(default_factory=Task)
    ranks: FilterRatios = field(default_factory=FilterRatios)
    bandit: Bandit = field(default_factory=Bandit)
    time: TimeModel = field(default_factory=TimeModel)
    learning_rate: float = 0.01
    local_steps: int = 5
    local_epochs: int | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    weighted: bool = True

    def __post_init__(self) -> None:
        check_sgd(self)
        check_momentum(self.momentum)

    @property
    def method(self) -> SubModelMethod:
        """The algorithm as a program for its clients and the filters that they get."""
        return SubModelMethod(
            task=self.task,
            program=(local_sgd(self),),
            ranks=self.ranks,
            score=FilterScore(score="l1", random_rounds=0),
            weighted=self.weighted,
            bandit=self.bandit,
            time=self.time,
        )
