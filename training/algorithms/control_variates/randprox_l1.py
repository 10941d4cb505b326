"""RandProx-l1: ProxSkip for an objective with an l1 norm (Condat and Richtarik 2023)."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, SoftThresholdRule, UpdateRules
from training.control_variates.sparsity_settings import Sparse
from training.task import Task
from wirelessfl.errors import check_number


@dataclass(frozen=True, kw_only=True)
class RandproxL1(ControlVariateBased):
    """Local steps followed by soft thresholding, w_i <- soft(w_i - gamma (g_i - h_i), gamma
    lambda): [SPS] Algorithm 1, line 7.

    Converges to the minimum of (1/N) sum_i f_i(w) + lambda |w|_1 with lambda = `l1`, with `l1 = 0`
    as `proxskip`. The uploads are as sparse as they happen to be and are counted so; the demand of
    a round is by those of the round before. What is evaluated is TopK of the mean; choose `l1` so
    that about K weights are left in the end.

    **Differs:** the objective of [SPS] is printed without lambda; here it multiplies |w|_1 beside
    the mean of the f_i.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparse: Sparse = field(default_factory=Sparse)
    l1: float = 0.001

    def __post_init__(self) -> None:
        check_number("training.l1", self.l1, at_least=0)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        return self.sparse.method(
            self.task, self.descent, UpdateRules(every_step=SoftThresholdRule(self.l1))
        )
