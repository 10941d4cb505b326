"""Final-TopK: ProxSkip, pruned when it is done (baseline of [SPS])."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, UpdateRules, check_sparsity
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class FinalTopk(ControlVariateBased):
    """`proxskip` whose model is pruned to K = floor((1 - `sparsity`) d) weights for every
    evaluation, and at the end.

    Training knows nothing of it: 32 bits a weight, up and down.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparsity: float = 0.9

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        return ControlVariateMethod(
            task=self.task, descent=self.descent, pieces=UpdateRules(), sparsity=self.sparsity
        )
