"""Final-TopK: ProxSkip, pruned after training (baseline of [SPS])."""

from dataclasses import dataclass

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules, check_sparsity


@dataclass(frozen=True, kw_only=True)
class FinalTopk(ControlVariateBased):
    """`proxskip` whose model is pruned to K = floor((1 - `sparsity`) d) weights for evaluation.

    Training does not depend on it: 32 bits for each weight, up and down. Meinhardt, Yi, Condat,
    Richtarik, "Prune at the clients, not the server: Accelerated sparse training in federated
    learning", arXiv 2405.20623.

    Attributes:
        sparsity: Fraction of the weights that the evaluated model prunes, in [0, 1).
    """

    sparsity: float = 0.9

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        return ControlVariateMethod(
            task=self.task, descent=self.descent, rules=UpdateRules(), sparsity=self.sparsity
        )
