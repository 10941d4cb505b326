"""Sparse-ProxSkip-Local: the local model is pruned after every step ([SPS] Algorithm 1)."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import SparseUpload
from training.sparsity.prox import TopK
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class SparseProxskipLocal(ControlVariateBased):
    """`proxskip` whose clients prune after every local step, w_i <- TopK(w_i - gamma (g_i - h_i)):
    [SPS] Algorithm 1, line 7.

    So a local model has K weights at any time, gradients and h_i are dense. What is sent has K
    weights as well, and line 12 keeps sum_i h_i = 0. With p = 1 it is `sparse-proxskip`.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparse: SparseUpload = field(default_factory=SparseUpload)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        return self.sparse.method(self.task, self.descent, UpdateRules(every_step=TopK))
