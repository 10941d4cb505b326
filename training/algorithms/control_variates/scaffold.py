"""Scaffold: local steps corrected by control variates of client and server."""

from dataclasses import dataclass

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules, check_sparsity


@dataclass(frozen=True, kw_only=True)
class Scaffold(ControlVariateBased):
    """Scaffold, option II with global step size 1, in terms of h_i = c_i - c.

    Algorithm 1 of Karimireddy, Kale, Mohri, Reddi, Stich, Suresh, "SCAFFOLD: Stochastic controlled
    averaging for federated learning", ICML 2020. After L steps c_i <- c_i - c + (w - wh_i) /
    (L gamma) and c <- mean of the c_i; with all clients that is h_i <- h_i + (w_bar - wh_i) /
    (L gamma): [SPS] Algorithm 1, line 12 with 1 / L for p, which is equal where L is fixed (`coin =
    "fixed"`, 1/p whole). Model and control variate are sent up and down, 64 bits for each weight.

    **Differs:** L is drawn by the coin as in the methods with which it is compared. The server's c
    excludes clients whose upload is not delivered: the h_i of the others move by their distance
    from their own mean.

    Attributes:
        sparsity: Fraction of the weights that the evaluated model prunes, in [0, 1).
    """

    sparsity: float = 0.0

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        rules = UpdateRules(counted_steps=True, uploads=2)
        return ControlVariateMethod(
            task=self.task, descent=self.descent, rules=rules, sparsity=self.sparsity
        )
