"""RandProx-l1: ProxSkip for an objective with an l1 norm (Condat and Richtarik 2023)."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, SoftThresholdRule, UpdateRules
from training.control_variates.sparsity_settings import Sparse
from wirelessfl.errors import check_number


@dataclass(frozen=True, kw_only=True)
class RandproxL1(ControlVariateBased):
    """Local steps with soft thresholding, w_i <- soft(w_i - gamma (g_i - h_i), gamma lambda).

    Condat, Richtarik, "RandProx: Primal-dual optimization algorithms with randomized proximal
    updates", ICLR 2023; [SPS] Algorithm 1, line 7. Converges to the minimum of (1/N) sum_i f_i(w) +
    lambda |w|_1, with lambda = 0 as `proxskip`. The sparsity of the uploads follows from lambda and
    is counted as it occurs; the demand of a round is estimated by the uploads of the round before.
    The evaluated model is TopK of the mean; choose lambda so that about K weights are left in the
    end.

    **Differs:** the objective of [SPS] is printed without lambda; here it multiplies |w|_1 next to
    the mean of the f_i.

    Attributes:
        sparse: Sparsity of the evaluated model, and encoding of the indices.
        l1: Coefficient lambda of the l1 norm, at least 0.
    """

    sparse: Sparse = field(default_factory=Sparse)
    l1: float = 0.001

    def __post_init__(self) -> None:
        check_number("training.l1", self.l1, at_least=0)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        rules = UpdateRules(every_step=SoftThresholdRule(self.l1))
        return self.sparse.method(self.task, self.descent, rules)
