"""Sparse-ProxSkip with control variates that ignore the pruning ([SPS] Appendix D)."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import SparseUpload
from training.sparsity.prox import TopK


@dataclass(frozen=True, kw_only=True)
class SparseProxskipModified(ControlVariateBased):
    """`sparse-proxskip` with h_i <- h_i + (p / gamma) (w_bar - wh_i), wh_i before TopK.

    A counterexample, [SPS] Appendix D; Meinhardt, Yi, Condat, Richtarik, "Prune at the clients, not
    the server: Accelerated sparse training in federated learning", arXiv 2405.20623. The mean is
    that of the pruned models, so sum_i h_i is no longer 0 as soon as a weight is pruned: the
    clients descend with a bias.

    **Differs:** taken literally, the line that the appendix changes has no effect, as [SPS]
    Algorithm 1, line 10 overwrites its result; averaging TopK(wh_i) and keeping wh_i in line 12 is
    our reading, which breaks the sum as the figure shows.

    Attributes:
        sparse: Sparsity of the uploads, its source, and encoding of their indices.
    """

    sparse: SparseUpload = field(default_factory=SparseUpload)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        rules = UpdateRules(upload=TopK, control_after_upload=False)
        return self.sparse.method(self.task, self.descent, rules)
