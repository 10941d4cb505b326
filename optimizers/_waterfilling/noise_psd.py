"""Curve of a client whose noise grows with its band, and the exact optimum over such curves.

With g = `snr` and t = g / b the client's speed v(b) = b ln(1 + t) / ln(1 + g) is increasing and
concave in b, and the kept fraction x is that of `optimizers._waterfilling.fixed_snr` with v in
place of b, increasing and concave in v; so x is concave in b ([WFL] erratum W7). Its marginal gain

    w x'(b) = w (c s + a e) v'(b) / (a v + s)^2,
    v'(b) = m(t) / ln(1 + g),    m(t) = ln(1 + t) - t / (1 + t),

falls strictly from infinity at b = 0: no client with something to gain is left without band, and
every price has one band. In logarithms, with u = ln t, b = g exp(-u) and theta = ln(price), the
condition w x'(b) = price reads

    H(u) = ln(w (c s + a e) / ln(1 + g)) + ln m - 2 ln(a v + s) = theta,
    H'(u) = (t / (1 + t))^2 / m + 2 a b v' / (a v + s) > 0,

so each band is found by Newton's method between its bounds, and d ln b / d theta = -1 / H' gives
Newton's method on ln(sum b) = 0 for theta. Both are kept inside a bracket, because H is neither
convex nor concave.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optimizers._waterfilling.curve import FITTING, TOUCHING
from optimizers._waterfilling.fixed_snr import Reduced
from optimizers._waterfilling.noise_psd_gain import CLOSE, NEAR, STEPS, Gains
from optimizers._waterfilling.pieces import Branches, best_choice, branches_of, fill_pieces
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array

DEEPEST = 690.0  # ln t at a band next to 0, as far as floats go
# distance of the bands from the whole band after which one first-order correction is exact
FULL = 1e-13


@dataclass(frozen=True, kw_only=True, eq=False)
class NoisePsdCurve:
    """A `NoisePsdProblem` in band fractions only, a `Curve`; arrays (..., K).

    Attributes:
        problem: The problem.
        by_speed: The curve x(v) in speeds, with floor and ceiling in speeds too.
        floor: Band that participation and the cap require.
        ceiling: Band at which nothing is pruned, inf when none is enough.
    """

    problem: NoisePsdProblem
    by_speed: Reduced
    floor: Array
    ceiling: Array

    @property
    def weight(self) -> Array:
        """The weights w; (..., K)."""
        return self.by_speed.weight

    @property
    def cap(self) -> Array:
        """Cap on the ratio in force; (..., K)."""
        return self.by_speed.cap

    @property
    def excluded(self) -> NDArray[np.bool_]:
        """Clients that take no part."""
        return self.by_speed.excluded

    @property
    def uses_band(self) -> NDArray[np.bool_]:
        """Clients for which band beyond the floor has value; (..., K)."""
        return self.by_speed.uses_band

    @cached_property
    def top(self) -> Array:
        """Largest useful band: the ceiling, at most the band of the best rate; (..., K)."""
        most = np.minimum(self.ceiling, self.problem.peak_band)
        return np.where(self.uses_band, np.maximum(most, self.floor), self.floor)

    @cached_property
    def gains(self) -> Gains:
        """The marginal gains in logarithms."""
        return _gains(self)

    @cached_property
    def log_gains(self) -> Gains:
        """The marginal gains of w log x in logarithms."""
        line = self.by_speed
        return replace(
            self.gains,
            log_utility=True,
            slack_s=np.where(self.uses_band, line.slack_s, 1.0),
            fixed_upload_s=np.where(self.uses_band, line.fixed_upload_s, 0.0),
        )

    @cached_property
    def branches(self) -> Branches:
        """The pieces of links other than Shannon's rate."""
        return branches_of(self)

    def at_edge(self, band: Array) -> NDArray[np.bool_]:
        """True if the ceiling or the end of a piece of the rate is reached."""
        at_ceiling = band >= self.ceiling * (1.0 - TOUCHING)
        if self.problem.is_shannon:
            return np.asarray(at_ceiling)
        edges = np.asarray(self.problem.snr)[..., None] * self.problem.pieces.edges
        away = np.abs(band[..., None] - edges)
        return np.asarray(at_ceiling | (away <= TOUCHING * edges).any(axis=-1))

    def kept(self, band: Array) -> Array:
        """The largest kept fraction x(v(b)) that meets the deadline; (..., K)."""
        return self.by_speed.kept(self.problem.speed(band))

    def marginal_gain(self, band: Array) -> Array:
        """The gain w x'(b), from the left at the ceiling and at the end of a piece; (..., K)."""
        if not self.problem.is_shannon:
            band = np.where(self.at_edge(band), band * (1.0 - 2.0 * TOUCHING), band)
        return self.by_speed.marginal_gain(self.problem.speed(band)) * self.problem.pace(band)

    def best_band(self, price: Array) -> Array:
        """The band that maximises w x(b) - `price` b in [floor, top], for prices (..., 1)."""
        if not self.problem.is_shannon:
            return np.where(price > 0, best_choice(self.branches, price)[0], self.top)
        theta = np.log(np.where(price > 0, price, 1.0))
        return np.where(price > 0, self.gains.band(theta, self.gains.low)[0], self.top)

    def deadline_gain(self, band: Array) -> Array:
        """The gain w dx/dc at a fixed band, and so at a fixed speed; (..., K)."""
        return self.by_speed.deadline_gain(self.problem.speed(band))

    def freed_band(self, band: Array, kept: Array) -> Array:
        """The band -db/dc at a fixed kept fraction: the freed speed over v'(b); (..., K)."""
        pace = self.problem.pace(band)
        freed = self.by_speed.freed_band(self.problem.speed(band), kept)
        return np.where(pace > 0, freed / np.where(pace > 0, pace, 1.0), 0.0)


def _gains(curve: NoisePsdCurve) -> Gains:
    uses = curve.uses_band
    line = curve.by_speed
    snr = np.where(uses, np.asarray(curve.problem.snr), 1.0)
    gain = np.log(np.where(uses, line.weight, 1.0)) + np.log(np.where(uses, line.leverage_s2, 1.0))
    low = np.log(snr) - np.log(np.where(uses, curve.top, 1.0))
    with np.errstate(divide="ignore"):
        high = np.log(snr) - np.log(np.where(uses, curve.floor, 1.0))
    return Gains(
        uses=uses,
        snr=snr,
        log_leverage=gain - np.log(np.log1p(snr)),
        prunable_s=np.where(uses, line.prunable_s, 0.0),
        upload_s=np.where(uses, line.upload_s, 1.0),
        floor=curve.floor,
        top=curve.top,
        low=np.minimum(low, DEEPEST),
        high=np.minimum(high, DEEPEST),
    )


def fill(curve: NoisePsdCurve) -> tuple[Array, Array]:
    """Find the optimal bands.

    Args:
        curve: The problem in band fractions, arrays (..., K).

    Returns:
        Bands, (..., K), and the price of the whole band, (...,).
    """
    if not curve.problem.is_shannon:
        return fill_pieces(curve)
    return _fill(curve, curve.gains)


def fill_log(curve: NoisePsdCurve) -> tuple[Array, Array]:
    """Find the bands that maximise sum w log x.

    Args:
        curve: The problem in band fractions, arrays (..., K).

    Returns:
        Bands, (..., K), and the price of the whole band, (...,).
    """
    if not curve.problem.is_shannon:
        return fill_pieces(curve, log_utility=True)
    return _fill(curve, curve.log_gains)


def _fill(curve: NoisePsdCurve, gains: Gains) -> tuple[Array, Array]:
    uses = curve.uses_band
    spare = ((curve.ceiling <= 1.0) | ~uses).all(axis=-1) & (
        curve.top.sum(axis=-1) <= 1.0
    ) | ~uses.any(axis=-1)
    done = spare[..., None]
    low, high = _price_bounds(curve, gains)
    theta, depth = _first_guess(gains)
    theta = np.where(done, 0.0, np.clip(theta, low, high))
    for _ in range(STEPS):
        band, depth, give = gains.band(theta, depth)
        total = band.sum(axis=-1, keepdims=True)
        slope = (band * give).sum(axis=-1, keepdims=True)
        low, high = np.where(total >= 1.0, theta, low), np.where(total <= 1.0, theta, high)
        step = np.where(
            slope > 0,
            np.log(np.maximum(total, CLOSE)) * total / np.where(slope > 0, slope, 1.0),
            np.inf,
        )
        full = np.abs(total - 1.0) <= np.where(np.abs(step) <= NEAR, FULL, CLOSE)
        inside = (theta + step >= low) & (theta + step <= high)
        target = np.where(inside, theta + step, 0.5 * (low + high))
        done = done | full | (np.abs(target - theta) <= CLOSE * np.abs(theta))
        if done.all():
            break
        theta = np.where(done, theta, target)
    rest = np.where(
        np.abs(step) <= NEAR, step, 0.0
    )  # what is left of Newton's method; its square is lost in rounding
    band = np.clip(band * (1.0 - give * rest), curve.floor, curve.top)
    band = np.where(spare[..., None], curve.top, band)
    return band / np.maximum(band.sum(axis=-1, keepdims=True), 1.0), np.where(
        spare, 0.0, np.exp(theta + rest)[..., 0]
    )


def _price_bounds(curve: NoisePsdCurve, gains: Gains) -> tuple[Array, Array]:
    """ln(price) at which the bands are at least, and at most, the whole band; (..., 1)."""
    top, floor = gains.ends
    # A client whose ceiling lies above the whole band keeps the price at or above its gain there.
    alone = np.max(
        top, axis=-1, keepdims=True, where=curve.uses_band & (curve.ceiling > 1.0), initial=-np.inf
    )
    least = np.min(top, axis=-1, keepdims=True, where=curve.uses_band, initial=np.inf)
    most = np.max(floor, axis=-1, keepdims=True, where=curve.uses_band, initial=-np.inf)
    return np.maximum(least, alone), np.maximum(most, np.maximum(least, alone))


def _first_guess(gains: Gains) -> tuple[Array, Array]:
    """ln(price), (..., 1), and u, (..., K): one Newton step of all conditions from equal bands."""
    sharing = np.maximum(gains.uses.sum(axis=-1, keepdims=True), 1)
    depth = np.clip(np.log(gains.snr * sharing), gains.low, gains.high)
    value, rise = gains.at(depth)
    band = np.where(gains.uses, gains.snr * np.exp(-depth), 0.0)
    give = (band / rise).sum(axis=-1, keepdims=True)
    guess = (
        ((band / rise) * value).sum(axis=-1, keepdims=True) + band.sum(axis=-1, keepdims=True) - 1.0
    )
    return guess / np.where(give > 0, give, 1.0), depth


def reduce_psd(problem: NoisePsdProblem) -> NoisePsdCurve:
    """Reduce a problem to band fractions.

    Caps that cannot all be kept are dropped, fixed bits that do not fit are excluded.

    Args:
        problem: The problem with a noise density, arrays (..., K).

    Returns:
        Its curve.
    """
    speed = problem.by_speed
    slack_s = problem.slack_s
    prunable_s = np.asarray(problem.prunable_s)
    late = slack_s < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        needed_s = problem.upload_s + problem.fixed_upload_s
        ceiling = np.where(
            slack_s > prunable_s, needed_s / np.maximum(slack_s - prunable_s, 0.0), np.inf
        )
    entry = np.where(late, 0.0, speed.entry_bandwidth)
    least = np.where(late, 0.0, np.maximum(speed.min_bandwidth, entry))
    entry_band = problem.band_at(entry)
    least_band = problem.band_at(least)
    fits = _fits(least_band)
    enters = _fits(entry_band)
    line = Reduced(
        slack_s=slack_s,
        prunable_s=prunable_s,
        upload_s=problem.upload_s,
        fixed_upload_s=problem.fixed_upload_s,
        weight=np.asarray(problem.weight),
        cap=np.where(fits, np.asarray(problem.max_pruning_ratio), 1.0),
        floor=np.where(fits, least, np.where(enters, entry, 0.0)),
        ceiling=ceiling,
        excluded=late | (~enters & (problem.fixed_upload_s > 0)),
    )
    return NoisePsdCurve(
        problem=problem,
        by_speed=line,
        floor=np.where(fits, least_band, np.where(enters, entry_band, 0.0)),
        ceiling=problem.band_at(ceiling),
    )


def _fits(band: Array) -> NDArray[np.bool_]:
    return np.asarray(band.sum(axis=-1, keepdims=True) <= 1.0 + FITTING)
