"""FedIterHT: federated averaging with a hard threshold after every local step."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import SparseUpload
from training.sparsity.prox import TopK


@dataclass(frozen=True, kw_only=True)
class Fediht(ControlVariateBased):
    """Local steps without control variates, each with TopK: w_i <- TopK(w_i - gamma g_i(w_i)).

    Tong, Liang, Zhu, Bi, "Federated nonconvex sparse learning", arXiv 2101.00052, 2020. Uploads
    have K weights. Without a threshold at the server clients continue from their mean, of up to
    min(d, N K) weights, as the results of [SPS] suggest ([SPS] Appendix A: FedIHT "usually yields
    70-90 %" at a sparsity of 90 %); with it from TopK of the mean, as in Tong et al. 2020. The
    evaluated model is TopK of the mean in both cases.

    **Differs:** from Tong et al. as `fedht` does.

    Attributes:
        sparse: Sparsity of the uploads, and encoding of their indices.
        server_threshold: Whether the server prunes the mean.
    """

    sparse: SparseUpload = field(default_factory=SparseUpload)
    server_threshold: bool = False

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        rules = UpdateRules(
            every_step=TopK, server=TopK if self.server_threshold else None, control=False
        )
        return self.sparse.method(self.task, self.descent, rules)
