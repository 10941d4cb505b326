"""Sparse-ProxSkip-Local: the local model is pruned after every step (Algorithm 1 of [SPS])."""

from dataclasses import dataclass, field

from training.algorithms._sparse import SparseUpload
from training.control_trainer import ControlBased
from training.control_variates import ControlVariates, Pieces
from training.local_descent import LocalDescent
from training.prox import TopK
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class SparseProxskipLocal(ControlBased):
    """`proxskip` whose clients prune after every local step, w_i <- TopK(w_i - gamma (g_i - h_i)): line 7 of [SPS].

    So a local model has K weights at any time, gradients and h_i are dense. What is sent has K weights as well, and
    line 12 keeps sum_i h_i = 0. With p = 1 it is `sparse-proxskip`.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparse: SparseUpload = field(default_factory=SparseUpload)

    @property
    def method(self) -> ControlVariates:
        """The algorithm as pieces of the meta-algorithm."""
        return self.sparse.method(self.task, self.descent, Pieces(every_step=TopK))
