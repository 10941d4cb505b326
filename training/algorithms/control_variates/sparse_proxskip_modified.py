"""Sparse-ProxSkip whose control variates do not know of the pruning: a counterexample
([SPS] Appendix D).
"""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import SparseUpload
from training.sparsity.prox import TopK
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class SparseProxskipModified(ControlVariateBased):
    """`sparse-proxskip` with h_i <- h_i + (p / gamma) (w_bar - wh_i), wh_i as it was before TopK:
    [SPS] Appendix D.

    The mean is that of the pruned models, so sum_i h_i is 0 no longer as soon as something is
    pruned: the clients descend with a bias.

    **Differs:** taken literally, the line that the appendix changes has no effect, as
    [SPS] Algorithm 1, line 10 overwrites what it makes; averaging TopK(wh_i) and keeping wh_i in
    line 12 is our reading, which breaks the sum as the figure shows.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparse: SparseUpload = field(default_factory=SparseUpload)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        pieces = UpdateRules(upload=TopK, control_after_upload=False)
        return self.sparse.method(self.task, self.descent, pieces)
