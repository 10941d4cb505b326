"""FedIterHT: federated averaging with a hard threshold after every local step (Tong et al. 2020)."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import SparseUpload
from training.sparsity.prox import TopK
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class Fediht(ControlVariateBased):
    """Local steps without control variates, each followed by TopK: w_i <- TopK(w_i - gamma
    g_i(w_i)).

    Uploads have K weights. Without `server_threshold` their mean, of up to min(d, N K), is where
    clients go on, as the results of [SPS] suggest (App. A: FedIHT "usually yields 70-90 %" at a
    sparsity of 90 %); with it TopK of the mean, as in Tong et al. 2020. What is evaluated is TopK
    of the mean in both cases.

    **Differs:** as `fedht` does from Tong et al.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparse: SparseUpload = field(default_factory=SparseUpload)
    server_threshold: bool = False

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        pieces = UpdateRules(
            every_step=TopK, server=TopK if self.server_threshold else None, control=False
        )
        return self.sparse.method(self.task, self.descent, pieces)
