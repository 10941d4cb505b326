"""CA-HFP: curvature-aware heterogeneous federated pruning with model reconstruction ([CA-HFP])."""

from dataclasses import dataclass, field
from typing import get_args

from training.algorithms.submodels._sub_model_sgd import SubModelSgd
from training.engine.program import Accumulate, Program
from training.submodels.method import Reconstruct, SubModelMethod
from training.submodels.scores import FilterScore
from wirelessfl.errors import InputError, check_choice, check_count


@dataclass(frozen=True, kw_only=True)
class CaHfp(SubModelSgd):
    """Compact models of the most important filters, reconstructed and averaged by the server.

    Hu, Teng, Wu, Ma, "CA-HFP: Curvature-aware heterogeneous federated pruning with model
    reconstruction", arXiv 2603.12591v1. In round t the server scores the filters of w_t, omits of
    every layer the fraction of lowest score that the ratio of client k states (`ratios`, see
    `FilterRatios`), kept = max(1, round((1 - rho) O)), and sends the compact model: the filters
    kept, of the next layer the channels that read them, and their batch norm. The client runs local
    SGD on it, [CA-HFP] eq. (3), and returns it. With `reconstruct = "residual"` the server fills it
    up with w_t, [CA-HFP] eq. (4), so that w_{t+1} = w_t + sum_k p_k m_k Delta_k; `holders` and
    `zero-fill` are the two readings of "without reconstruction".

    With `ratios = "allocation"` the pruning ratio of the network is a fraction of bits and cycles,
    not of filters: a client receives the largest uniform structure for which both fit. With ratios
    of its own the network sees fixed bits.

    **Differs:** the theory of [CA-HFP] has an error e_t, [CA-HFP] eq. (13), of values set to 0;
    with reconstruction it cancels. The momentum starts at 0 in every round, and running statistics
    of batch norm are averaged like weights; the paper states neither.

    Attributes:
        score: Importance of the filters.
        reconstruct: Average of models of different filters, see `SubModelMethod`.
        dense_download: Whether the whole model is sent to all clients.
        bound_every: Rounds between two measurements of the constants of [CA-HFP] eq. (10); 0 for
            no measurement, which takes seconds for each client (see `docs/convergence.md`).
    """

    score: FilterScore = field(default_factory=FilterScore)
    reconstruct: Reconstruct = "residual"
    dense_download: bool = False
    bound_every: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("training.bound_every", self.bound_every, at_least=0)
        check_choice("training.reconstruct", self.reconstruct, get_args(Reconstruct))
        if self.optimizer.adaptive and (self.score.uses_gradient or self.score.uses_curvature):
            raise InputError(
                f"training.optimizer must be 'sgd' with training.score {self.score.score!r}, whose "
                f"estimates take steps for gradients, got {self.optimizer.optimizer!r}"
            )

    @property
    def method(self) -> SubModelMethod:
        """The algorithm as a program for its clients and a score of their filters."""
        train = self.phase()
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
            bound_every=self.bound_every,
        )
