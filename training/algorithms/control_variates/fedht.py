"""FedHT: federated averaging with a hard threshold at the server (Tong et al. 2020)."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import Sparse
from training.sparsity.prox import TopK


@dataclass(frozen=True, kw_only=True)
class Fedht(ControlVariateBased):
    """Local steps without control variates, and TopK of the mean, as in [SPS].

    Tong, Liang, Zhu, Bi, "Federated nonconvex sparse learning", arXiv 2101.00052, 2020: w_bar =
    TopK((1/N) sum_j w_j) over all weights together. Uploads are dense, the downlink has K weights.
    The number of local steps is drawn by the same coin as that of the accelerated methods, so that
    the work is equal. With sparsity 0 it is federated averaging in which every client counts once
    (`fedavg` with `weighted = false`), with full gradients as an option.

    **Differs:** the paper has a fixed number of local steps (`coin = "fixed"`) and weights by
    samples.

    Attributes:
        sparse: Sparsity of the model, and encoding of its indices.
    """

    sparse: Sparse = field(default_factory=Sparse)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        return self.sparse.method(self.task, self.descent, UpdateRules(server=TopK, control=False))
