"""The independent reference: the same problem solved by a conic solver."""

import warnings
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from optimizers._analysis.certificate import certify
from optimizers._cones import ConeClients, Conic
from optimizers._waterfilling.curve import Curve, allocation_of
from optimizers._waterfilling.fixed_snr import Reduced, reduce
from optimizers._waterfilling.noise_psd import reduce_psd
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.errors import InputError, check_number

_ACCEPTED = 1e-6  # distance from the optimum that an exponential cone reaches without being asked
_SLACK = 100.0  # times the tolerance, which is relative to the solver's scaled values


@dataclass(frozen=True, kw_only=True)
class Cvxpy:
    """Optimum of [WFL] eq. (34) by CVXPY and Clarabel.

    In kept fractions x the problem is a second-order cone program: the smallest band that keeps x
    is

        b(x) = (A x + A0) / (S - T_c x) = A0/S + G (x + (T_c/S) x^2 / (1 - T_c x / S)),
        G = A/S + T_c A0 / S^2,

    with S, T_c, A and A0 the slack, the prunable work and the full-band upload times of prunable
    and fixed bits, so

        max sum w x   subject to   sum G (x + (T_c/S) v) <= 1 - sum A0/S,
                                   v y >= x^2,   y + T_c x / S <= 1,
                                   1 - cap <= x <= 1.

    With a noise spectral density the bands remain variables, and the first limit becomes A0/S + G
    (x + (T_c/S) v) <= v(b) per client, with the speed v(b) of `optimizers._waterfilling.noise_psd`,
    and sum b <= 1: exponential cones. Prices are the multipliers. A batch is solved problem by
    problem, a few milliseconds each. An answer that its own certificate shows to be less accurate
    than the tolerance explains is returned with a `RuntimeWarning`.

    Attributes:
        tolerance: Relative tolerance of the solver, above 0 and at most 1.
        reuse: Whether the program is compiled once per number of participating clients, in time
            quadratic in it; later problems change its values only.
    """

    optimal: ClassVar[bool] = True
    tolerance: float = 1e-8
    reuse: bool = False

    def __post_init__(self) -> None:
        check_number("tolerance", self.tolerance, above=0, at_most=1)

    def solve(self, problem: Problem) -> Allocation:
        """Solve the problem to the solver's tolerance.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The optimal allocation with its prices.

        Raises:
            InputError: The solver gives up (the message has its status), or noise has a density and
                the link is not Shannon's rate.
        """
        curve: Curve
        if isinstance(problem, NoisePsdProblem):
            if not problem.is_shannon:
                raise InputError(
                    "method cvxpy needs Shannon's rate without gap, cap or packet errors where "
                    f"noise has a density, got rate_model {problem.link.rate_model}"
                )
            curve = reduce_psd(problem)
            snr = np.asarray(problem.snr)
            line = curve.by_speed
        else:
            curve = line = reduce(problem)
            snr = None
        band = np.array(curve.floor)
        price = np.zeros(problem.shape[:-1])
        deadline_price = np.zeros(problem.shape[:-1])
        for index in np.ndindex(problem.shape[:-1]):
            row = Reduced(
                **{field.name: getattr(line, field.name)[index] for field in fields(line)}
            )
            found, price[index], deadline_price[index] = self._solve_one(
                row, None if snr is None else snr[index]
            )
            found = np.clip(found, curve.floor[index], curve.top[index])
            band[index] = found / max(found.sum(), 1.0)
        allocation = allocation_of(curve, problem, band, price)
        self._warn_of_inaccuracy(problem, allocation)
        return replace(allocation, deadline_price=deadline_price)

    def _warn_of_inaccuracy(self, problem: Problem, allocation: Allocation) -> None:
        """Warn where the certificate shows more than the solver's tolerance explains."""
        certificate = certify(problem, allocation)
        off = float(np.max([certificate.primal_residual, certificate.duality_gap]))
        if not off <= max(_ACCEPTED, _SLACK * self.tolerance):
            warnings.warn(
                f"method cvxpy: the answer may be {off:.1e} from the optimum (relative, by its own "
                f"certificate), more than the tolerance {self.tolerance:g} explains; use exact",
                RuntimeWarning,
                stacklevel=3,
            )

    def _solve_one(self, row: Reduced, snr: Array | None) -> tuple[Array, float, float]:
        """Bands (K,), the band's price and the deadline's price of one problem."""
        takes = row.uses_band | (row.floor > 0)
        band = np.zeros_like(row.floor)
        deadline_price = _price_without_band(row)
        if not takes.any():
            return band, 0.0, deadline_price
        slack_s = row.slack_s[takes]
        load = row.upload_s[takes] / slack_s
        entry = row.fixed_upload_s[takes] / slack_s
        pace = row.prunable_s[takes] / slack_s
        clients = ConeClients(
            entry=entry,
            growth=load + pace * entry,
            pace=pace,
            weight=row.weight[takes],
            least=1.0 - row.cap[takes],
        )
        conic = Conic(tolerance=self.tolerance, reuse=self.reuse)
        found = (
            conic.share_band(clients) if snr is None else conic.share_psd_band(clients, snr[takes])
        )
        band[takes] = found.band
        freed = entry + (load + 2.0 * pace * entry) * found.kept
        freed = freed + pace * (2.0 * load + 3.0 * pace * entry) * found.excess
        per_client = found.pace_price * pace * found.kept + found.speed_price * freed
        return band, found.band_price, deadline_price + float((per_client / slack_s).sum())


def _price_without_band(row: Reduced) -> float:
    """d(sum w x) / d(deadline) of clients without bits to upload: x = S / T_c where they prune."""
    alone = (row.upload_s == 0) & ~row.excluded & (row.slack_s < row.prunable_s)
    return float((row.weight[alone] / row.prunable_s[alone]).sum())
