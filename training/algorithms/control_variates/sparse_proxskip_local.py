"""Sparse-ProxSkip-Local: the local model is pruned after every step ([SPS] Algorithm 1)."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import SparseUpload
from training.sparsity.prox import TopK


@dataclass(frozen=True, kw_only=True)
class SparseProxskipLocal(ControlVariateBased):
    """`proxskip` whose clients prune after each step, w_i <- TopK(w_i - gamma (g_i - h_i)).

    [SPS] Algorithm 1, line 7; Meinhardt, Yi, Condat, Richtarik, "Prune at the clients, not the
    server: Accelerated sparse training in federated learning", arXiv 2405.20623. A local model has
    K weights at any time, gradients and h_i are dense. Uploads have K weights as well, and [SPS]
    Algorithm 1, line 12 keeps sum_i h_i = 0. With p = 1 it is `sparse-proxskip`.

    Attributes:
        sparse: Sparsity of the models, its source, and encoding of their indices.
    """

    sparse: SparseUpload = field(default_factory=SparseUpload)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        return self.sparse.method(self.task, self.descent, UpdateRules(every_step=TopK))
