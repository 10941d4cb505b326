"""Scaffold: local steps corrected by control variates of client and server (Karimireddy et al.
2020).
"""

from dataclasses import dataclass, field

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import ControlVariateMethod, UpdateRules, check_sparsity
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class Scaffold(ControlVariateBased):
    """Algorithm 1 of Karimireddy et al. 2020, option II, with global step size 1, in terms of h_i =
    c_i - c.

    After L steps c_i <- c_i - c + (w - wh_i) / (L gamma) and c <- mean of the c_i; with all clients
    that is h_i <- h_i + (w_bar - wh_i) / (L gamma): ProxSkip's line 12 with 1 / L for p, which is
    the same where L is fixed (`coin = "fixed"`, 1/p whole). Model and control variate go up and
    down, 64 bits a weight. `sparsity` is that of the model that is evaluated.

    **Differs:** L is drawn by the coin as in the methods that it is compared with. Of clients that are not delivered
    the server's c keeps nothing: the h_i of the others move by their distance from their own mean.
    """

    task: Task = field(default_factory=Task)
    descent: LocalDescent = field(default_factory=LocalDescent)
    sparsity: float = 0.0

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        pieces = UpdateRules(counted_steps=True, uploads=2)
        return ControlVariateMethod(
            task=self.task, descent=self.descent, pieces=pieces, sparsity=self.sparsity
        )
