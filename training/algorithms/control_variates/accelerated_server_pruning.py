"""Accelerated-Server-Pruning: ProxSkip whose server prunes the mean (baseline of [SPS])."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.control_variates.sparsity_settings import Sparse
from training.sparsity.prox import TopK
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class AcceleratedServerPruning(ControlVariateBased):
    """`proxskip` whose server prunes the mean to TopK before the control variates use it:
    [SPS] Algorithm 1, line 11.

    After one round sum_i h_i = (N p / gamma) (TopK(w_bar) - w_bar): on a pruned coordinate the mean
    of the h_i goes to that of the gradients, which then tends to stay pruned; on one that is kept
    it stays as it is, so a coordinate that comes back descends with a bias. Uploads are dense, the
    downlink has K weights.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparse: Sparse = field(default_factory=Sparse)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        return self.sparse.method(self.task, self.descent, UpdateRules(server=TopK))
