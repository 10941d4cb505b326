"""Sparse-ProxSkip: what is uploaded is pruned, and the control variates know it
([SPS] Algorithm 1).
"""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import SparseUpload
from training.sparsity.prox import TopK
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class SparseProxskip(ControlVariateBased):
    """`proxskip` whose clients send TopK(wh_i): [SPS] Algorithm 1, line 9.

    Exactly K of all weights go up, among equals those of lowest index; the mean w_bar has up to
    min(d, N K), so the downlink is less sparse. Line 12 uses what was sent, h_i <- h_i + (p /
    gamma) (w_bar - TopK(wh_i)), which keeps sum_i h_i = 0. Local models, gradients and h_i are
    dense: bits shrink, computing and memory do not. What is evaluated is TopK(w_bar).
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparse: SparseUpload = field(default_factory=SparseUpload)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        return self.sparse.method(self.task, self.descent, UpdateRules(upload=TopK))
