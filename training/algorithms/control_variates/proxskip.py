"""ProxSkip, also called Scaffnew: local steps with control variates (Mishchenko et al. 2022)."""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, UpdateRules
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class Proxskip(ControlVariateBased):
    """Gradient steps corrected by h_i, communication with probability p: [SPS] Algorithm 1 without
    lines 7, 9, 11.

    Client i takes w_i <- w_i - gamma (g_i(w_i) - h_i); when the common coin shows heads the server
    averages, w_bar = (1/N) sum_j w_j, and h_i <- h_i + (p / gamma) (w_bar - w_i), so that sum_i h_i
    = 0. On strongly convex objectives gamma < 2 / L converges to the optimum, with p near sqrt(mu /
    L) in O(sqrt(kappa)) communications; p = 1 is gradient descent. Nothing is pruned: 32 bits a
    weight, up and down. The steps' fields are those of `LocalDescent`; every client counts once.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        return ControlVariateMethod(task=self.task, descent=self.descent, pieces=UpdateRules())
