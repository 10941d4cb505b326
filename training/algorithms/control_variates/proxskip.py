"""ProxSkip, also called Scaffnew: local steps with control variates (Mishchenko et al. 2022)."""

from dataclasses import dataclass

from training.control_variates.algorithm import ControlVariateBased
from training.control_variates.method import ControlVariateMethod, UpdateRules


@dataclass(frozen=True, kw_only=True)
class Proxskip(ControlVariateBased):
    """Gradient steps corrected by h_i, communication with probability p.

    Mishchenko, Malinovsky, Stich, Richtarik, "ProxSkip: Yes! Local gradient steps provably lead to
    communication acceleration! Finally!", ICML 2022; [SPS] Algorithm 1 without lines 7, 9, 11.
    Client i takes w_i <- w_i - gamma (g_i(w_i) - h_i). When the common coin shows heads the server
    averages, w_bar = (1/N) sum_j w_j, and h_i <- h_i + (p / gamma) (w_bar - w_i), so that sum_i h_i
    = 0. On strongly convex objectives gamma < 2 / L converges to the optimum, with p near sqrt(mu /
    L) in O(sqrt(kappa)) communications; p = 1 is gradient descent. Nothing is pruned: 32 bits for
    each weight, up and down. Every client counts once.
    """

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as rules of the meta-algorithm."""
        return ControlVariateMethod(task=self.task, descent=self.descent, rules=UpdateRules())
