"""Accelerated-Server-Pruning whose control variates see the mean before it is pruned
([SPS] Appendix D).
"""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import Sparse
from training.sparsity.prox import TopK
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class AcceleratedServerPruningModified(ControlVariateBased):
    """`accelerated-server-pruning` with [SPS] Algorithm 1, line 12 before line 11:
    [SPS] Appendix D.

    h_i <- h_i + (p / gamma) (w_bar - wh_i) with the mean w_bar, so sum_i h_i = 0; then clients go
    on from TopK(w_bar). Uploads are dense, the downlink has K weights besides the mean.

    **Differs:** clients need the mean itself for line 12, and [SPS] counts no downlink: as there,
    that of the pruned model is counted alone.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparse: Sparse = field(default_factory=Sparse)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        pieces = UpdateRules(server=TopK, control_after_server=False)
        return self.sparse.method(self.task, self.descent, pieces)
