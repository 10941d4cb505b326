"""Sparse-ProxSkip: pruned uploads, which the control variates take into account ([SPS])."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import SparseUpload
from training.sparsity.prox import TopK


@dataclass(frozen=True, kw_only=True)
class SparseProxskip(ControlVariateBased):
    """`proxskip` whose clients send TopK(wh_i): [SPS] Algorithm 1, line 9.

    Meinhardt, Yi, Condat, Richtarik, "Prune at the clients, not the server: Accelerated sparse
    training in federated learning", arXiv 2405.20623. Exactly K of all weights are sent, among
    equals those of lowest index; the mean w_bar has up to min(d, N K), so the downlink is less
    sparse. [SPS] Algorithm 1, line 12 uses the upload, h_i <- h_i + (p / gamma) (w_bar -
    TopK(wh_i)), which keeps sum_i h_i = 0. Local models, gradients and h_i are dense: bits shrink,
    computing and memory do not. The evaluated model is TopK(w_bar).

    Attributes:
        sparse: Sparsity of the uploads, its source, and encoding of their indices.
    """

    sparse: SparseUpload = field(default_factory=SparseUpload)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        return self.sparse.method(self.task, self.descent, UpdateRules(upload=TopK))
