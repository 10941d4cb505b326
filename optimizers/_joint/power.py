"""Transmit powers, bands and CPU frequencies of least energy, and powers in the joint problem.

A client that uploads q bits in tau seconds over a fraction b of the band B needs the power

    p = (N / h) (2^y - 1),    y = q / (b B tau),

with noise of a fixed power N. Its energy, kappa c max(f_min, c / (T - tau))^2 + tau p, is convex in
(b, tau): tau (2^y - 1) is the perspective of a convex function of q / b, itself convex in b. With
L = ln(1 + SNR) at the highest power P and z = b tau / (s x) the stretch of the upload over that at
full power, p = P (e^(L/z) - 1) / (e^L - 1), and a single price of the band separates the clients.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizers._joint.curve import JointCurve
from optimizers._joint.energy import UploadTimes, checked_ratio, minimise_energy
from optimizers._joint.problem import JointAllocation, JointProblem
from optimizers._joint.solve import solve_joint
from optimizers._waterfilling.root_finding import bracket, share_band
from wirelessfl.allocation.problem import Array
from wirelessfl.errors import check_count, check_number

ROUNDED = 1.0 + 1e-9  # a limit passed by less is met
_STEADY = 1e-9  # relative gain of kept weight below which the alternation has ended


@dataclass(frozen=True, kw_only=True, eq=False)
class PowerControl:
    """Answer of `control_power` and of `solve_joint_power`.

    Attributes:
        allocation: Bands, ratios and frequencies, optimal at the powers of its `problem`.
        bound: Least energy in J of any bands, frequencies and powers at these ratios; (...,). inf
            where no powers meet the limits.
        kept_weight: Kept weight after each step of the alternation; empty at given ratios.
    """

    allocation: JointAllocation
    bound: Array
    kept_weight: tuple[float, ...] = ()

    @property
    def power_w(self) -> Array:
        """Transmit powers in W; (..., K)."""
        return np.asarray(self.allocation.problem.power_w)

    @property
    def gap(self) -> Array:
        """Energy beyond the bound, relative to it; (...,)."""
        spent_j = self.allocation.energy_j.sum(axis=-1)
        usable = (self.bound > 0) & np.isfinite(self.bound)
        bound = np.where(usable, self.bound, 1.0)
        over = np.maximum(np.where(usable, spent_j, 1.0) / bound - 1.0, 0.0)
        return np.where(self.bound == np.inf, np.inf, over)


def control_power(
    problem: JointProblem, pruning_ratio: ArrayLike, *, bandwidth_hz: float
) -> PowerControl:
    """Minimise the energy of all clients over bands, CPU frequencies and transmit powers.

    Args:
        problem: The joint problem, arrays (..., K); `power_w` is the highest power, at which
            `rate_bps` is Shannon's rate with noise of a fixed power.
        pruning_ratio: rho within [0, 1], a number or an array that broadcasts to (..., K).
        bandwidth_hz: The whole band B in Hz.

    Returns:
        The allocation at the best powers, with the bound that certifies them. Where the limits
        cannot be met it is that of `minimise_energy` at the highest powers.

    Raises:
        InputError: Ratios or bandwidth outside their ranges.
    """
    check_number("bandwidth_hz", bandwidth_hz, above=0)
    kept = 1.0 - checked_ratio(pruning_ratio, problem.shape)
    uploads = _Controlled(problem, kept, bandwidth_hz)
    place, level = share_band(uploads.places, uploads.bands, uploads.levels, uploads.uses_band)
    stretch = np.where(uploads.fits[..., None], uploads.stretch(place), 1.0)
    power_w = np.asarray(problem.power_w) * uploads.relative_power(stretch)
    rate_bps = np.asarray(problem.rate_bps) / stretch
    found = minimise_energy(replace(problem, power_w=power_w, rate_bps=rate_bps), pruning_ratio)
    best = uploads.places(level)
    price = np.where(uploads.uses_band.any(axis=-1, keepdims=True), np.exp(level), 0.0)
    least_j = (uploads.energy_j(best) + price * uploads.bands(best)).sum(axis=-1) - price[..., 0]
    return PowerControl(allocation=found, bound=np.where(uploads.fits, least_j, np.inf))


def solve_joint_power(
    problem: JointProblem, *, bandwidth_hz: float, steps: int = 50
) -> PowerControl:
    """Keep the most weight, with transmit powers as variables, by alternation.

    `solve_joint` at given powers, then `control_power` at its ratios, whose lower energies leave
    room in the budgets, and so on until the kept weight grows by less than 1e-9 of itself. It never
    falls. The fixed point is optimal in the powers at its ratios, to `gap`, and in the ratios at
    its powers, to `duality_gap`; a better one elsewhere is not excluded.

    Args:
        problem: One joint problem, arrays (K,); `power_w` is the highest power.
        bandwidth_hz: The whole band in Hz.
        steps: Largest number of steps.

    Returns:
        The fixed point, with the kept weight after each step.

    Raises:
        InputError: A bandwidth or number of steps outside its range.
    """
    check_count("steps", steps)
    weight = np.asarray(problem.weight)
    best = solve_joint(problem)
    controlled = control_power(problem, best.pruning_ratio, bandwidth_hz=bandwidth_hz)
    values = [float(weight @ best.kept_fraction)]
    for _ in range(steps - 1):
        better = solve_joint(controlled.allocation.problem)
        value = float(weight @ better.kept_fraction)
        if value <= values[-1] * (1.0 + _STEADY):
            break
        best = better
        values.append(value)
        controlled = control_power(problem, best.pruning_ratio, bandwidth_hz=bandwidth_hz)
    return replace(controlled, kept_weight=tuple(values))


@dataclass(frozen=True, eq=False)
class _Controlled:
    """Clients at given kept fractions whose powers are free; arrays (..., K).

    The best use of a shrinking band is a path: the exponent y of the power rises to L while the
    upload lasts as long as its derivative says, P ((y - 1) e^y + 1) / (e^L - 1) = 2 kappa f^3, and
    at full power the upload lasts longer, up to its limit. A place on the path is a number from 0
    to 2; bands fall and energies and prices rise along it.

    Attributes:
        problem: The joint problem at the highest powers.
        kept: Kept fractions.
        bandwidth_hz: The whole band.
    """

    problem: JointProblem
    kept: Array
    bandwidth_hz: float

    @cached_property
    def _full(self) -> UploadTimes:
        """Uploads at the highest powers, without energy budgets."""
        free = replace(self.problem, energy_budget_j=np.inf)
        return UploadTimes(JointCurve(free), self.kept)

    @cached_property
    def uses_band(self) -> NDArray[np.bool_]:
        """Clients that upload."""
        return self._full.uses_band

    @cached_property
    def nats(self) -> Array:
        """L = ln(1 + SNR) at the highest power; 1 for clients that upload nothing."""
        nats = np.asarray(self.problem.rate_bps) * np.log(2.0) / self.bandwidth_hz
        return np.where(self.uses_band, nats, 1.0)

    @cached_property
    def first(self) -> Array:
        """Place at which a client has the whole band."""
        return self._place(lambda place: self.bands(place) - 1.0, np.zeros(self.problem.shape))

    @cached_property
    def last(self) -> Array:
        """Place at which a client just meets its deadline and its energy budget."""
        budget_j = np.asarray(self.problem.energy_budget_j)
        return self._place(lambda place: budget_j - self.energy_j(place), self.first)

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """True where all clients meet their limits together; (...,)."""
        over = self.energy_j(self.first) > np.asarray(self.problem.energy_budget_j) * ROUNDED
        blocked = (self._full.hopeless | over).any(axis=-1)
        return np.asarray(~blocked & (self.bands(self.last).sum(axis=-1) <= ROUNDED))

    @cached_property
    def levels(self) -> Array:
        """Log prices at which each client has the whole band and its least one; (2, ..., K)."""
        return np.stack([self._worth(self.first), self._worth(self.last)])

    def places(self, level: Array) -> Array:
        """Places at the logarithm of a price of the band."""
        return self._place(lambda place: level - self._worth(place), self.first, self.last)

    def bands(self, place: Array) -> Array:
        """Bands b = L s x / (y tau)."""
        exponent, time_s = self._point(place)
        band = self.nats * self._full.shortest_s / (exponent * time_s)
        return np.where(self.uses_band, band, 0.0)

    def stretch(self, place: Array) -> Array:
        """Stretch z = L / y of an upload over that at full power, at least 1."""
        return np.where(self.uses_band, self.nats / self._point(place)[0], 1.0)

    def relative_power(self, stretch: Array) -> Array:
        """Power p / P = (e^(L/z) - 1) / (e^L - 1) relative to the highest."""
        return np.asarray(np.expm1(self.nats / stretch) / np.expm1(self.nats))

    def energy_j(self, place: Array) -> Array:
        """Energy of a client."""
        time_s = np.where(self.uses_band, self._point(place)[1], 0.0)
        share = self.relative_power(self.stretch(place))
        sent = replace(self.problem, power_w=np.asarray(self.problem.power_w) * share)
        return sent.energy_j(self.kept, time_s)

    @cached_property
    def _unit_w(self) -> Array:
        return np.asarray(self.problem.power_w) / np.expm1(self.nats)

    def _point(self, place: Array) -> tuple[Array, Array]:
        """Exponents y and upload times tau in s at a place."""
        exponent = self.nats * np.clip(place, np.finfo(np.float64).eps, 1.0)
        saved_w = self._unit_w * ((exponent - 1.0) * np.exp(exponent) + 1.0)
        problem = self.problem
        cycles = problem.cycles(self.kept)
        doubled = 2.0 * np.asarray(problem.capacitance)
        free = doubled == 0  # computation costs nothing: at the highest frequency
        slowest_hz = np.where(free, np.inf, np.cbrt(saved_w / np.where(free, 1.0, doubled)))
        hz = np.clip(slowest_hz, problem.cpu_min_hz, problem.cpu_max_hz)
        room_s = np.asarray(problem.deadline_s) - problem.waiting_s(self.kept)
        longest_s = self._full.longest_s
        least_s = np.finfo(np.float64).eps * longest_s
        time_s = np.clip(room_s - cycles / hz, least_s, longest_s)
        longer = np.clip(place - 1.0, 0.0, 1.0)
        return exponent, np.where(self.uses_band, time_s + longer * (longest_s - time_s), 1.0)

    def _worth(self, place: Array) -> Array:
        """Logarithm of the price -dE/db at a place."""
        exponent, time_s = self._point(place)
        free_w = self._unit_w * exponent * np.exp(exponent)
        full_w = np.asarray(self.problem.power_w) + self._full.stiffness_w(time_s)
        marginal_w = np.where(place > 1.0, full_w, free_w)
        band = np.where(self.uses_band, self.bands(place), 1.0)
        return np.log(np.where(self.uses_band, marginal_w * time_s / band, 1.0))

    def _place(
        self, falling: Callable[[Array], Array], low: Array, high: Array | None = None
    ) -> Array:
        """Place at which a function that falls along the path is 0, within its bounds."""
        last = np.full(self.problem.shape, 2.0) if high is None else high

        def of_uploads(place: Array) -> Array:
            return np.where(self.uses_band, falling(place), 0.0)

        return bracket(of_uploads, low, last)[0]
