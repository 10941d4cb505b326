"""The least energy of a round at given pruning ratios, under the deadline and the band."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizers._joint.curve import JointCurve
from optimizers._joint.problem import JointAllocation, JointProblem
from optimizers._waterfilling.root_finding import bracket, mix, share_band
from wirelessfl.allocation.problem import Array
from wirelessfl.errors import InputError
from wirelessfl.text import in_full

_FITTING = 1e-9  # excess of a band that is rounding: near a limit bands are steep in the ratio
_NO_TIME = 1e-12  # an upload time that is this much (of the deadline) too short is rounding
_ASIDE = 1e-9  # relative step to either side of an upload time, where e' may jump


def minimise_energy(problem: JointProblem, pruning_ratio: ArrayLike) -> JointAllocation:
    """Minimise the energy of all clients over bands and CPU frequencies, to rounding.

    With q = s x the energy of a client that uploads for tau = q / b seconds,

        e(tau) = kappa c max(f_min, c / (T - tau))^2 + p tau,

    is convex and increasing in tau, so convex and decreasing in b: the whole band is used, and
    -de/db = e'(tau) tau^2 / q = lambda unless tau = tau*(x), the longest upload that deadline and
    energy budget leave. Weights are ignored; a ratio above its cap is infeasible. Where not all
    clients fit, bands are shared in proportion to the need of each, a client that the whole band
    cannot help gets none, `status` names the clients that fail and `duality_gap` is inf.

    Args:
        problem: The joint problem, arrays (..., K).
        pruning_ratio: rho within [0, 1], a number or an array that broadcasts to (..., K).

    Returns:
        The allocation with its prices in joules saved.

    Raises:
        InputError: Ratios outside [0, 1] or of a shape that does not fit.
    """
    times = UploadTimes(JointCurve(problem), 1.0 - checked_ratio(pruning_ratio, problem.shape))
    band, level = share_band(times.band, lambda band: band, times.levels, times.uses_band)
    needed = times.floor.sum(axis=-1, keepdims=True)
    fits = needed <= 1.0 + _FITTING
    price = np.where(fits & times.uses_band.any(axis=-1, keepdims=True), np.exp(level), 0.0)
    band = np.where(fits, band, times.floor)
    band = band / np.maximum(band.sum(axis=-1, keepdims=True), 1.0)
    best = times.band(level)
    saved_j = np.where(times.uses_band, times.energy_j(band) - times.energy_j(best), 0.0)
    gap = (saved_j - price * best).sum(axis=-1) + price[..., 0]
    served = fits[..., 0] & ~times.hopeless.any(axis=-1)
    return _allocation(times, band, price, np.where(served, np.maximum(gap, 0.0), np.inf))


def checked_ratio(pruning_ratio: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Broadcast given pruning ratios to a problem's shape.

    Args:
        pruning_ratio: rho, a number or an array.
        shape: Shape (..., K) of the problem.

    Returns:
        The ratios, (..., K).

    Raises:
        InputError: Ratios outside [0, 1] or of a shape that does not fit.
    """
    try:
        ratio = np.broadcast_to(np.asarray(pruning_ratio, dtype=np.float64), shape)
    except (TypeError, ValueError):
        raise InputError(
            f"pruning_ratio must be a number or an array {shape}, got {pruning_ratio!r}"
        ) from None
    wrong = ~((ratio >= 0) & (ratio <= 1))
    if np.any(wrong):
        raise InputError(
            f"pruning_ratio must be within [0, 1], got {in_full(ratio[wrong].flat[0])}"
        )
    return ratio


@dataclass(frozen=True, eq=False)
class UploadTimes:
    """Upload times and their energy at given kept fractions; arrays (..., K).

    Attributes:
        curve: Bands and longest uploads of the problem.
        kept: x.
    """

    curve: JointCurve
    kept: Array

    @cached_property
    def hopeless(self) -> NDArray[np.bool_]:
        """Clients that miss a limit even with the whole band."""
        asks = self.kept * (np.asarray(self.curve.problem.upload_bits) > 0) > 0
        silent = np.asarray(self.curve.problem.rate_bps) == 0
        needed_s = self.curve.whole_band_s * self.kept - _NO_TIME * np.asarray(
            self.curve.problem.deadline_s
        )
        short = self.curve.upload(self.kept).time_s < needed_s
        return np.asarray((asks & silent) | short)

    @cached_property
    def uses_band(self) -> NDArray[np.bool_]:
        """Clients that upload."""
        return (self.curve.whole_band_s * self.kept > 0) & ~self.hopeless

    @cached_property
    def shortest_s(self) -> Array:
        """q, the upload time with the whole band; 1 for clients that upload nothing."""
        return np.where(self.uses_band, self.curve.whole_band_s * self.kept, 1.0)

    @cached_property
    def longest_s(self) -> Array:
        """tau*(x), the most that deadline and energy budget leave."""
        return np.where(
            self.uses_band, np.maximum(self.curve.upload(self.kept).time_s, self.shortest_s), 1.0
        )

    @cached_property
    def floor(self) -> Array:
        """The band without which a limit is missed."""
        return np.where(self.uses_band, self.shortest_s / self.longest_s, 0.0)

    @cached_property
    def levels(self) -> Array:
        """Log prices at which each client has the whole band and its floor; (2, ..., K)."""
        return np.stack([self.worth(self.shortest_s), self.worth(self.longest_s)])

    def band(self, level: Array) -> Array:
        """Bands at a price of the band.

        Args:
            level: Logarithm of the price, (..., 1).

        Returns:
            Fractions of the band, (..., K).
        """
        shortest, longest = np.log(self.shortest_s), np.log(self.longest_s)
        log_s, _ = bracket(
            lambda log_s: np.where(self.uses_band, level - self.worth(np.exp(log_s)), 0.0),
            shortest,
            longest,
        )
        return np.where(self.uses_band, np.exp(shortest - log_s), 0.0)

    def time_s(self, band: Array) -> Array:
        """Upload time tau = q / b.

        Args:
            band: Fractions of the band, (..., K).

        Returns:
            Seconds, (..., K); inf for a client that uploads but gets no band, 0 without an upload.
        """
        idle_s = np.where(
            self.hopeless & (self.kept * np.asarray(self.curve.problem.upload_bits) > 0),
            np.inf,
            0.0,
        )
        return np.where(band > 0, self.shortest_s / np.where(band > 0, band, 1.0), idle_s)

    def energy_j(self, band: Array) -> Array:
        """Energy e(q / b).

        Args:
            band: Fractions of the band, (..., K).

        Returns:
            Joules, (..., K).
        """
        time_s = np.where(self.uses_band, self.time_s(band), 0.0)
        return self.curve.problem.energy_j(self.kept, time_s)

    def stiffness_w(self, time_s: Array) -> Array:
        """-de/dT = 2 kappa c^3 / (T - tau)^3 where the CPU runs faster than f_min, else 0.

        Args:
            time_s: Upload times tau, seconds, (..., K).

        Returns:
            Watts, (..., K).
        """
        problem = self.curve.problem
        cycles = self.curve.problem.cycles(self.kept)
        left_s = np.asarray(problem.deadline_s) - problem.waiting_s(self.kept) - time_s
        runs = (left_s > 0) & (cycles > np.asarray(problem.cpu_min_hz) * left_s)
        pace_hz = np.where(runs, cycles / np.where(runs, left_s, 1.0), 0.0)
        return np.asarray(2.0 * np.asarray(problem.capacitance) * pace_hz**3)

    def worth(self, time_s: Array) -> Array:
        """Logarithm of e'(tau) tau^2 / q, the price at which the upload takes tau.

        Args:
            time_s: Upload times tau, seconds, (..., K).

        Returns:
            Logarithms of joules per whole band, (..., K).
        """
        marginal_w = self.stiffness_w(time_s) + np.asarray(self.curve.problem.power_w)
        return np.asarray(np.log(marginal_w * time_s * (time_s / self.shortest_s)))


def _allocation(times: UploadTimes, band: Array, price: Array, gap: Array) -> JointAllocation:
    """The answer with its prices in joules saved; `price` has shape (..., 1)."""
    deadline_price, energy_price = energy_prices(times, band, price)
    return JointAllocation(
        problem=times.curve.problem,
        objective="energy",
        bandwidth_fraction=band,
        pruning_ratio=1.0 - times.kept,
        upload_s=times.time_s(band),
        bandwidth_price=price[..., 0],
        deadline_price=deadline_price,
        energy_price=energy_price,
        duality_gap=gap,
    )


def energy_prices(times: UploadTimes, band: Array, price: Array) -> tuple[Array, Array]:
    """Prices of deadline and energy budgets for the least energy, by the envelope theorem.

    Where e' jumps, its two sides count in the proportion that makes e' tau^2 / q = lambda; at tau =
    tau* the excess of lambda over e' tau^2 / q is the price of the limit.

    Args:
        times: Upload times of the problem.
        band: Fractions of the band, (..., K).
        price: Price lambda of the whole band, joules, (..., 1).

    Returns:
        Joules saved per second of deadline, (...,), and per joule of each budget, (..., K).
    """
    curve = times.curve
    power_w = np.asarray(times.curve.problem.power_w)
    time_s = times.time_s(band)
    safe_s = np.where(times.uses_band, time_s, 0.0)
    below_w, above_w = (
        times.stiffness_w(safe_s * (1 - _ASIDE)),
        times.stiffness_w(safe_s * (1 + _ASIDE)),
    )
    asked_w = np.where(
        times.uses_band, price * band / np.where(times.uses_band, time_s, 1.0), power_w + below_w
    )
    stiffness_w = np.where(at_limit := safe_s >= times.longest_s * (1 - _ASIDE), below_w, 0.0)
    share = mix(asked_w - power_w, below_w, above_w)
    stiffness_w = np.where(
        at_limit & times.uses_band, stiffness_w, (1.0 - share) * below_w + share * above_w
    )
    excess_w = np.where(
        at_limit & times.uses_band, np.maximum(asked_w - power_w - stiffness_w, 0.0), 0.0
    )
    limit = curve.upload(times.kept)
    by_deadline = (stiffness_w + excess_w * limit.by_deadline).sum(axis=-1)
    return by_deadline, excess_w * limit.by_energy
