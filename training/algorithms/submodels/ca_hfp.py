"""CA-HFP: curvature-aware heterogeneous federated pruning with model reconstruction ([CA-HFP])."""

from dataclasses import dataclass, field

from training.engine.local_sgd import check_momentum, check_sgd, local_sgd
from training.engine.program import Accumulate, Program
from training.server.time_model import TimeModel
from training.submodels.bandit import Bandit
from training.submodels.ratios import FilterRatios
from training.submodels.scores import FilterScore
from training.submodels.trainer import Reconstruct, SubModelBased, SubModelMethod
from training.task import Task
from wirelessfl.errors import check_choice


@dataclass(frozen=True, kw_only=True)
class CaHfp(SubModelBased):
    """Every client trains a compact model of the filters that matter; the server puts it back into
    the whole one.

    In round t the server scores the filters of w_t (`score` and its kin, see `FilterScore`), leaves
    out of every layer the lowest share that client k's ratio says (`ratios`, see `FilterRatios`),
    kept = max(1, round((1 - rho) O)), and sends the compact model: the filters kept, of the next
    layer the channels that read them, their batch norm. The client takes `local_steps` or
    `local_epochs` of SGD on it ([CA-HFP] eq. (3)) and sends it back; `reconstruct` says how the
    models are averaged: `residual` fills them up with w_t ([CA-HFP] eq. (4)), so that w_{t+1} = w_t
    + sum_k p_k m_k Delta_k, `holders` and `zero-fill` are the two readings of "without
    reconstruction".

    With `ratios = "allocation"` the pruning ratio of the network is a share of bits and cycles, not
    of filters: a client gets the largest uniform structure of which both fit. With ratios of its
    own the network sees fixed bits.

    **Differs:** the theory of [CA-HFP] has an error e_t ([CA-HFP] eq. (13)) of numbers set to 0;
    with reconstruction it cancels. The momentum starts at 0 in every round, and running statistics
    of batch norm are averaged like weights; the paper says neither.
    """

    task: Task = field(default_factory=Task)
    ranks: FilterRatios = field(default_factory=FilterRatios)
    score: FilterScore = field(default_factory=FilterScore)
    reconstruct: Reconstruct = "residual"
    learning_rate: float = 0.01
    local_steps: int = 5
    local_epochs: int | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    weighted: bool = True
    dense_download: bool = False
    bandit: Bandit = field(default_factory=Bandit)
    time: TimeModel = field(default_factory=TimeModel)

    def __post_init__(self) -> None:
        check_sgd(self)
        check_momentum(self.momentum)
        check_choice("training.reconstruct", self.reconstruct, ("residual", "holders", "zero-fill"))

    @property
    def method(self) -> SubModelMethod:
        """The algorithm as a program for its clients and the filters that they get."""
        train = local_sgd(self)
        program: Program = (train,)
        if self.score.asks_clients:
            measure = Accumulate(
                part="shared", steps=train.steps, epochs=train.epochs, stream="batches/score"
            )
            program = (measure, train)
        return SubModelMethod(
            task=self.task,
            program=program,
            ranks=self.ranks,
            score=self.score,
            reconstruct=self.reconstruct,
            weighted=self.weighted,
            dense_download=self.dense_download,
            bandit=self.bandit,
            time=self.time,
        )
