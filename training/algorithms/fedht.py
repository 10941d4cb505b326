"""FedHT: federated averaging with a hard threshold at the server (Tong et al. 2020)."""

from dataclasses import dataclass, field

from training.algorithms._sparse import Sparse
from training.control_trainer import ControlBased
from training.control_variates import ControlVariates, Pieces
from training.local_descent import LocalDescent
from training.prox import TopK
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class Fedht(ControlBased):
    """Local steps without control variates, and TopK of the mean: FedHT of Tong et al. 2020 as in [SPS].

    w_bar = TopK((1/N) sum_j w_j) over all weights together. Uploads are dense, the downlink has K weights. The number
    of local steps is drawn by the same coin as that of the accelerated methods, so that the work is equal. With
    sparsity 0 it is federated averaging in which every client counts once (`fedavg` with `weighted = false`), which
    takes full gradients too.

    **Differs:** the paper has a fixed number of local steps (`coin = "fixed"`) and weights by samples.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparse: Sparse = field(default_factory=Sparse)

    @property
    def method(self) -> ControlVariates:
        """The algorithm as pieces of the meta-algorithm."""
        return self.sparse.method(self.task, self.descent, Pieces(server=TopK, control=False))
