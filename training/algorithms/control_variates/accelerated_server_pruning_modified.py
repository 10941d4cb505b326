"""Accelerated-Server-Pruning with control variates of the dense mean ([SPS] Appendix D)."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import Sparse
from training.sparsity.prox import TopK


@dataclass(frozen=True, kw_only=True)
class AcceleratedServerPruningModified(ControlVariateBased):
    """`accelerated-server-pruning` with [SPS] Algorithm 1, line 12 before line 11.

    [SPS] Appendix D; Meinhardt, Yi, Condat, Richtarik, "Prune at the clients, not the server:
    Accelerated sparse training in federated learning", arXiv 2405.20623. h_i <- h_i + (p / gamma)
    (w_bar - wh_i) with the mean w_bar, so sum_i h_i = 0; then clients continue from TopK(w_bar).
    Uploads are dense, the downlink has K weights in addition to the mean.

    **Differs:** clients need the mean itself for line 12, and [SPS] counts no downlink: here, that
    of the pruned model alone is counted.

    Attributes:
        sparse: Sparsity of the model, and encoding of its indices.
    """

    sparse: Sparse = field(default_factory=Sparse)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        rules = UpdateRules(server=TopK, control_after_server=False)
        return self.sparse.method(self.task, self.descent, rules)
