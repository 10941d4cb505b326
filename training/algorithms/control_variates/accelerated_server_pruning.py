"""Accelerated-Server-Pruning: ProxSkip whose server prunes the mean (baseline of [SPS])."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import Sparse
from training.sparsity.prox import TopK


@dataclass(frozen=True, kw_only=True)
class AcceleratedServerPruning(ControlVariateBased):
    """`proxskip` whose server prunes the mean before the control variates use it.

    [SPS] Algorithm 1, line 11; Meinhardt, Yi, Condat, Richtarik, "Prune at the clients, not the
    server: Accelerated sparse training in federated learning", arXiv 2405.20623. After one round
    sum_i h_i = (N p / gamma) (TopK(w_bar) - w_bar): on a pruned coordinate the mean of the h_i goes
    to that of the gradients, which then tends to stay pruned; on one that is kept it does not
    change, so a coordinate that returns descends with a bias. Uploads are dense, the downlink has K
    weights.

    Attributes:
        sparse: Sparsity of the model, and encoding of its indices.
    """

    sparse: Sparse = field(default_factory=Sparse)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        return self.sparse.method(self.task, self.descent, UpdateRules(server=TopK))
