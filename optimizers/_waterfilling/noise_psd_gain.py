"""Marginal gain in logarithms, and its inverse, where noise grows with the band.

The formulas are derived in `optimizers._waterfilling.noise_psd`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.problem import Array
from wirelessfl.radio.snr_and_rate import log_noise_psd_slope

STEPS = 100  # more than bisection needs; Newton's method takes about 5
CLOSE = 4e-16  # relative distance of two floats that rounding cannot tell apart
STEEPEST = 600.0  # logarithm of a slope beyond which a step of Newton's method is none
LEAST = 1e-300  # where the logarithm of a kept fraction begins
NEAR = 1e-8  # length of a Newton step after which the next would be lost in rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Gains:
    """The gain ln(w x') as a function of u = ln(g / b); arrays (..., K).

    Clients that use no band have arbitrary constants and are ignored.

    Attributes:
        uses: Clients that use band.
        snr: g, over the whole band.
        log_leverage: ln(w (c s + a e) / ln(1 + g)).
        prunable_s: a, seconds.
        upload_s: s, seconds.
        floor: Least band.
        top: Largest useful band.
        low: u at the top.
        high: u at the floor.
        log_utility: Whether the objective is w log x in place of w x, so that ln x is subtracted.
        slack_s: c, seconds; only the logarithm needs it.
        fixed_upload_s: e, seconds; only the logarithm needs it.
    """

    uses: NDArray[np.bool_]
    snr: Array
    log_leverage: Array
    prunable_s: Array
    upload_s: Array
    floor: Array
    top: Array
    low: Array
    high: Array
    log_utility: bool = False
    slack_s: Array | float = 1.0
    fixed_upload_s: Array | float = 0.0

    def at(self, depth: Array) -> tuple[Array, Array]:
        """Evaluate H(u) and H'(u).

        Args:
            depth: u, (..., K).

        Returns:
            H and H', each (..., K).
        """
        t = np.exp(depth)
        part = t / (1.0 + t)
        log_slope = log_noise_psd_slope(t)
        slope = np.exp(log_slope)
        full = self._full
        band = self.snr / t
        speed = band * np.log1p(t) / full
        work_s = self.prunable_s * speed + self.upload_s
        value = self.log_leverage + log_slope - 2.0 * np.log(work_s)
        rise = (
            np.exp(2.0 * np.log(part) - log_slope)
            + 2.0 * self.prunable_s * band * (slope / full) / work_s
        )
        if self.log_utility:
            # Next to its floor a client keeps nothing, to the last digit.
            kept = np.maximum((self.slack_s * speed - self.fixed_upload_s) / work_s, LEAST)
            value = value - np.log(kept)
            gain = np.log(self._leverage_s2) + log_slope - np.log(full) - 2.0 * np.log(work_s)
            rise = rise + np.exp(
                np.minimum(gain + np.log(self.snr) - depth - np.log(kept), STEEPEST)
            )
        return value, rise

    @cached_property
    def _full(self) -> Array:
        return np.log1p(self.snr)

    @cached_property
    def _leverage_s2(self) -> Array:
        """The numerator c s + a e of x'(b)."""
        return self.slack_s * self.upload_s + self.prunable_s * self.fixed_upload_s

    @cached_property
    def ends(self) -> tuple[Array, Array]:
        """The gains ln(w x') at the top and at the floor; (..., K)."""
        return self.at(self.low)[0], self.at(self.high)[0]

    def band(self, theta: Array, start: Array) -> tuple[Array, Array, Array]:
        """Find the bands at a price.

        Args:
            theta: ln(price), (..., 1).
            start: Guess of u, (..., K).

        Returns:
            Bands, their u, and -d ln b / d theta; each (..., K).
        """
        at_top, at_floor = self.ends[0] >= theta, self.ends[1] <= theta
        settled = at_top | at_floor | ~self.uses
        low, high = self.low, self.high
        depth = np.where(at_top, low, np.where(at_floor, high, np.clip(start, low, high)))
        for _ in range(STEPS):
            value, rise = self.at(depth)
            excess = value - theta
            low, high = np.where(excess <= 0, depth, low), np.where(excess >= 0, depth, high)
            newton = depth - excess / rise
            inside = (newton >= low) & (newton <= high)
            near = inside
            if self.log_utility:
                near = inside & (np.abs(excess) <= NEAR)
                # Next to the floor, where nothing is kept, Newton's method does not move.
                inside = near | (inside & (np.abs(newton - depth) > CLOSE * np.abs(depth)))
            target = np.where(settled, depth, np.where(inside, newton, 0.5 * (low + high)))
            settled = settled | (
                np.abs(target - depth) <= np.where(near, NEAR, CLOSE * np.abs(depth))
            )
            depth = target
            if settled.all():
                break
        band = np.clip(self.snr * np.exp(-depth), self.floor, self.top)
        free = self.uses & ~at_top & ~at_floor
        return (
            np.where(at_top, self.top, np.where(free, band, self.floor)),
            depth,
            np.where(free, 1.0 / rise, 0.0),
        )
