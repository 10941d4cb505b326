"""DapperFL: clients train, fuse, prune by l1 norms and go on with a penalty on features (Jia et al.
2024).
"""

from dataclasses import dataclass, field

from training.engine.local_sgd import check_momentum, check_sgd, local_sgd
from training.server.time_model import TimeModel
from training.submodels.bandit import Bandit
from training.submodels.fusion import Fusion
from training.submodels.ratios import FilterRatios
from training.submodels.scores import FilterScore
from training.submodels.trainer import SubModelBased, SubModelMethod
from training.task import Task
from wirelessfl import plugins
from wirelessfl.errors import InputError, check_number


@dataclass(frozen=True, kw_only=True)
class Dapperfl(SubModelBased):
    """Every client prunes a model that it has trained itself, and the server fills up what it
    prunes with w_t.

    A client gets the whole w_t, trains it for the first part of its local work, mixes the two (see
    `Fusion`), leaves out of every layer the share of filters of smallest l1 norm that its ratio
    says (`ratios`, see `FilterRatios`), trains the compact model for the rest of its work with the loss +
    `feature_penalty` x batch mean of |features|_2, and sends it. The server puts it back into w_t
    and averages by samples. The download is dense, and so is the first part's work: both are fixed.

    Without fusion and penalty (`fusion_start`, `fusion_least` and `feature_penalty` 0) it prunes
    the locally trained model; with `dense_share` 0 as well it is `fedmp`.

    **Differs:** this is the paper's description, not the published code, whose recovery is undone when PyTorch's
    pruning is removed (zeros are averaged) and whose fusion happens in the first round only.
    Filters of every declared group are pruned, also of the first convolution, and every norm counts
    the filter's bias.
    """

    task: Task = field(default_factory=Task)
    ranks: FilterRatios = field(default_factory=FilterRatios)
    bandit: Bandit = field(default_factory=Bandit)
    time: TimeModel = field(default_factory=TimeModel)
    fusion: Fusion = field(default_factory=Fusion)
    feature_penalty: float = 0.01
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
        check_number("training.feature_penalty", self.feature_penalty, at_least=0)
        if (
            self.feature_penalty
            and getattr(plugins.load("models", self.task.model), "feature_layer", None) is None
        ):
            raise InputError(
                f"training.feature_penalty must be 0 for model {self.task.model!r}, which names no feature_layer, "
                f"got {self.feature_penalty:g}"
            )

    @property
    def method(self) -> SubModelMethod:
        """The algorithm as a program for its clients and the filters that they get."""
        return SubModelMethod(
            task=self.task,
            program=(local_sgd(self, feature_penalty=self.feature_penalty),),
            ranks=self.ranks,
            score=FilterScore(score="l1", random_rounds=0),
            weighted=self.weighted,
            dense_download=True,
            bandit=self.bandit,
            time=self.time,
            fusion=self.fusion,
        )
