"""Final-TopK: ProxSkip, pruned when it is done (baseline of [SPS])."""

from dataclasses import dataclass, field

from training.control_trainer import ControlBased
from training.control_variates import ControlVariates, Pieces, check_sparsity
from training.local_descent import LocalDescent
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class FinalTopk(ControlBased):
    """`proxskip` whose model is pruned to K = floor((1 - `sparsity`) d) weights for every evaluation, and at the end.

    Training knows nothing of it: 32 bits a weight, up and down.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparsity: float = 0.9

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)

    @property
    def method(self) -> ControlVariates:
        """The algorithm as pieces of the meta-algorithm."""
        return ControlVariates(task=self.task, descent=self.descent, pieces=Pieces(), sparsity=self.sparsity)
