"""The optimum for links whose rate is given in pieces: caps, tables and packet errors.

On piece i of `wirelessfl.scenario.share_rate` the kept fraction x(v_i(b)) is increasing and concave
in the band b, like that of Shannon's rate; over the sawtooth of a table it is not. By weak duality
any price lambda >= 0 of the band bounds the optimum from above:

    sum_k w_k x_k(b_k) <= lambda + sum_k max_i max_b [w_k x_k(v_i(b)) - lambda b],

the best bound that the concave envelopes of all x_k(b) give. Each inner maximum is that of a
concave function on one piece. The smallest bound has the price at which the bands sum to 1, found
by bisection, because bands jump from piece to piece. A single piece (Shannon's rate with a gap, a
cap or packet errors) has no gap, and its bands are the answer.

For a table the choices of pieces are searched. Let c_k,i be what client k loses at this price by
piece i: an answer on pieces i_k is no better than the bound less sum_k c_k,i_k. The `_TRIED`
choices with the smallest sums are tried, and that of an equal split, each with the optimum on its
pieces, by the rates that the bands truly have. What is left to the bound is the duality gap of the
certificate, mostly far less than one client's jump from piece to piece.
"""

from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optimizers._waterfilling.curve import Curve
from optimizers._waterfilling.fixed_snr import Reduced
from optimizers._waterfilling.root_finding import bracket, excess_band, share_band
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array
from wirelessfl.scenario.share_rate import RatePieces

_LEAST = 1e-300  # where logarithms of gains and kept fractions begin
_LEAST_BAND = 1e-40  # where those of bands begin, far below what rounding of their sum sees
_LOWEST_PRICE = -600.0  # its logarithm
_TOUCHING = 1e-14
_APART = 1e-9  # of logarithms of prices: a constant gain must lie strictly between the ends
_TRIED = 32


class RateCurve(Curve, Protocol):
    """A `NoisePsdProblem` in band fractions, and its kept fractions in speeds.

    Attributes:
        problem: The problem.
        by_speed: Kept fractions as a function of the speed.
    """

    @property
    def problem(self) -> NoisePsdProblem: ...
    @property
    def by_speed(self) -> Reduced: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Branches:
    """Pieces of the rate, bands in [`low`, `high`]; arrays of one shape.

    Args:
        rate: The pieces of the rate as a function of b / `snr`.
        line: The kept fractions as a function of the speed.
        piece: Which piece.
        snr: Signal-to-noise ratio over the whole band, 1 where not usable.
        scale: Speed per goodput and SNR.
        low: Smallest band.
        high: Largest band that is of use.
        usable: Whether the client can stand on the piece.
        log_utility: Whether the objective is w log x in place of w x.
    """

    rate: RatePieces
    line: Reduced
    piece: NDArray[np.intp]
    snr: Array
    scale: Array
    low: Array
    high: Array
    usable: NDArray[np.bool_]
    log_utility: bool

    def worth(self, band: Array) -> Array:
        """Worth w x, or w log x, of bands.

        Args:
            band: Fractions of the band, of the shape of the fields.

        Returns:
            Worths of that shape.
        """
        return utility(self.line.weight, self.line.kept(self._speed(band)), self.log_utility)

    def log_gain(self, log_band: Array) -> Array:
        """Logarithm of the objective's derivative.

        Args:
            log_band: Logarithms of bands, of the shape of the fields.

        Returns:
            Logarithms of that shape.
        """
        band = np.clip(np.exp(log_band), self.low, self.high)
        speed = self._speed(band)
        gain = (
            self.line.marginal_gain(speed)
            * (self.scale / self.snr)
            * self.rate.slope(self.piece, band / self.snr)
        )
        if self.log_utility:
            gain = gain / np.maximum(self.line.kept(speed), _LEAST)
        return np.log(np.where(self.usable, np.maximum(gain, _LEAST), 1.0))

    def best_band(self, price: Array) -> Array:
        """Band that maximises the objective less its price.

        Args:
            price: Price of the whole band; broadcasts to the shape of the fields.

        Returns:
            Fractions of the band.
        """
        if self.rate.is_linear and not self.log_utility:
            speed_per_band = self.scale / self.snr * self.rate.most_bps_hz[self.piece]
            best = self.line.best_band(price / speed_per_band) / speed_per_band
            return np.where(self.usable, np.clip(best, self.low, self.high), self.low)
        level = np.log(np.maximum(price, _LEAST))
        low, high = self._log_ends
        left, right = bracket(lambda log_band: self.log_gain(log_band) - level, low, high)
        found = np.clip(np.exp(left / 2 + right / 2), self.low, self.high)
        return np.where(self.usable & (right > low), found, self.low)

    def levels(self) -> Array:
        """Logarithms of prices at which bands are surely `high`, and surely `low`, stacked."""
        low, high = self._log_ends
        return np.stack([self.log_gain(high) - _APART, self.log_gain(low) + _APART])

    @property
    def _log_ends(self) -> tuple[Array, Array]:
        low, high = (
            np.where(self.usable, np.maximum(end, _LEAST_BAND), 1.0)
            for end in (self.low, self.high)
        )
        return np.log(low), np.log(high)

    def _speed(self, band: Array) -> Array:
        return self.scale * self.rate.goodput(self.piece, band / self.snr)


def utility(weight: Array, kept: Array, log_utility: bool) -> Array:
    """Utility of kept fractions: w x, or w log x.

    Args:
        weight: w, any shape.
        kept: x, same shape.
        log_utility: Whether the logarithm counts.

    Returns:
        Utilities of that shape.
    """
    return weight * (np.log(np.maximum(kept, _LEAST)) if log_utility else kept)


def branches_of(curve: RateCurve, log_utility: bool = False) -> Branches:
    """All pieces of all clients.

    Args:
        curve: The problem in band fractions, arrays (..., K).
        log_utility: Whether the objective is w log x in place of w x.

    Returns:
        The pieces, arrays (..., K, P).
    """
    problem = curve.problem
    rate = curve.problem.pieces
    uses = curve.uses_band[..., None]
    line = _each(curve.by_speed, lambda value: value[..., None])
    piece = np.broadcast_to(np.arange(rate.count), (*problem.shape, rate.count))
    snr = np.where(uses, np.asarray(problem.snr)[..., None], 1.0)
    per_speed = np.asarray(problem.by_speed.rate_bps)[..., None] / problem.bandwidth_hz / snr
    with np.errstate(invalid="ignore"):
        least, most = (np.where(uses, end * per_speed, 0.0) for end in (line.floor, line.ceiling))
    low = np.maximum(snr * rate.narrowest, snr * rate.width_on(piece, least))
    high = np.minimum(np.minimum(snr * rate.widest, 1.0), snr * rate.width_on(piece, most))
    usable = uses & (low <= high * (1.0 + _TOUCHING))
    floor = np.broadcast_to(curve.floor[..., None], usable.shape)
    return Branches(
        rate=rate,
        line=line,
        piece=piece,
        snr=snr,
        scale=np.where(uses, 1.0 / np.where(uses, per_speed, 1.0), 1.0),
        low=np.where(usable, np.minimum(low, high), floor),
        high=np.where(usable, high, floor),
        usable=usable,
        log_utility=log_utility,
    )


def best_choice(branches: Branches, price: Array) -> tuple[Array, NDArray[np.intp], Array]:
    """Best bands at a price, each client on its best piece.

    Args:
        branches: Pieces of all clients, arrays (..., K, P).
        price: Price of the whole band, (..., 1).

    Returns: Bands, (..., K), their pieces, and the worths (..., K, P) of all pieces net of the
    band's price, -inf on pieces that cannot be used; a client without any has its floor.
    """
    band = branches.best_band(price[..., None])
    net = np.where(branches.usable, branches.worth(band) - price[..., None] * band, -np.inf)
    piece = net.argmax(axis=-1)
    return np.take_along_axis(band, piece[..., None], axis=-1)[..., 0], piece, net


def fill_pieces(curve: RateCurve, log_utility: bool = False) -> tuple[Array, Array]:
    """Find the optimal bands for any link.

    Args:
        curve: The problem in band fractions, arrays (..., K).
        log_utility: Whether the objective is w log x in place of w x.

    Returns:
        Bands, (..., K), and the price of the whole band, (...,).
    """
    branches = branches_of(curve, log_utility)
    uses = curve.uses_band
    some = np.any(uses, axis=-1, keepdims=True)
    scarce = uses & (curve.ceiling > 1.0) & (curve.problem.peak_band >= 1.0)
    spare = (~scarce.any(axis=-1) & (curve.top.sum(axis=-1) <= 1.0)) | ~some[..., 0]
    if branches.rate.count == 1:
        alone = _only(branches, np.zeros(uses.shape, dtype=np.intp))
        band, level = share_band(
            lambda at: alone.best_band(np.exp(at)), _itself, alone.levels(), uses
        )
    else:
        level = _bound_level(branches, some)
        band = np.array(curve.top)
        _, piece, net = best_choice(branches, np.exp(level))
        for row in np.ndindex(spare.shape):
            if not spare[row]:
                band[row] = _search(_row(branches, row), curve, row, piece[row], net[row])
    band = np.where(spare[..., None], curve.top, band)
    price = np.where(spare, 0.0, np.exp(level[..., 0]))
    return band / np.maximum(band.sum(axis=-1, keepdims=True), 1.0), price


def _bound_level(branches: Branches, some: NDArray[np.bool_]) -> Array:
    """The logarithm of the price of the smallest bound, at which the bands sum to 1; (..., 1)."""
    gains = np.where(branches.usable, branches.levels()[1], -np.inf)
    highest = np.where(some, gains.max(axis=(-2, -1))[..., None], 0.0)

    def excess(level: Array) -> Array:
        return excess_band(best_choice(branches, np.exp(level))[0])

    return bracket(excess, np.minimum(_LOWEST_PRICE, highest), highest)[1]


def _search(
    branches: Branches, curve: RateCurve, row: tuple[int, ...], first: NDArray[np.intp], net: Array
) -> Array:
    """The best bands over several choices of pieces, (K,), for one problem of a batch.

    `branches` and `net`, the worths at the price of the bound, have shape (K, P); `first` (K,) are
    the pieces with the largest ones.
    """
    loss = np.full(net.shape, np.inf)
    best = np.broadcast_to(net.max(axis=-1, keepdims=True), net.shape)
    loss[branches.usable] = best[branches.usable] - net[branches.usable]
    loss[np.arange(first.size), first] = 0.0
    pieces = np.vstack([first, _even(branches, first), _cheapest(loss, _TRIED)])
    pieces = pieces[_only(branches, pieces).low.sum(axis=-1) <= 1.0]
    bands = _fill(_only(branches, pieces))
    worth = utility(curve.weight[row], _kept(curve, row, bands), branches.log_utility)
    return np.asarray(bands[worth.sum(axis=-1).argmax()])


def _even(branches: Branches, otherwise: NDArray[np.intp]) -> NDArray[np.intp]:
    """The pieces that are worth most within equal bands, (K,); `otherwise` where there is none."""
    share = 1.0 / otherwise.size
    within = branches.usable & (branches.low <= share)
    worth = np.where(within, branches.worth(np.minimum(branches.high, share)), -np.inf)
    return np.where(within.any(axis=-1), worth.argmax(axis=-1), otherwise)


def _fill(branches: Branches) -> Array:
    """The optimal bands on one piece each, (N, K)."""

    def bands(level: Array) -> Array:
        return branches.best_band(np.exp(level))

    found = share_band(bands, _itself, branches.levels(), branches.usable)[0]
    spare = branches.high.sum(axis=-1, keepdims=True) <= 1.0
    band = np.where(spare, branches.high, np.clip(found, branches.low, branches.high))
    return np.asarray(band / np.maximum(band.sum(axis=-1, keepdims=True), 1.0))


def _cheapest(loss: Array, count: int) -> NDArray[np.intp]:
    """The `count` choices of pieces with the smallest sums of `loss` (K, P); (N, K)."""
    total = np.zeros(1)
    pieces = np.zeros((1, 0), dtype=np.intp)
    for row in loss:
        open_pieces = np.flatnonzero(row < np.inf)
        sums = (total[:, None] + row[open_pieces]).ravel()
        order = np.argsort(sums, kind="stable")[:count]
        total = sums[order]
        pieces = np.column_stack(
            [pieces[order // open_pieces.size], open_pieces[order % open_pieces.size]]
        )
    return pieces


def _kept(curve: RateCurve, row: tuple[int, ...], bands: Array) -> Array:
    """The kept fractions that bands (N, K) truly carry in the problem `row` of a batch."""
    problem = curve.problem
    snr = np.asarray(problem.snr)[row]
    best = np.asarray(problem.by_speed.rate_bps)[row] / problem.bandwidth_hz
    speed = problem.link.goodput_bps_hz(bands, snr) / np.where(best > 0, best, 1.0)
    return _each(curve.by_speed, lambda value: value[row]).kept(speed)


def _only(branches: Branches, pieces: NDArray[np.intp]) -> Branches:
    """One piece per client, `pieces` (..., K) of all (..., K, P)."""

    def take(value: Any) -> Any:
        whole = np.broadcast_to(value, (*pieces.shape, branches.rate.count))
        return np.take_along_axis(whole, pieces[..., None], axis=-1)[..., 0]

    return Branches(
        rate=branches.rate,
        line=_each(branches.line, lambda value: np.broadcast_to(value[..., 0], pieces.shape)),
        piece=pieces,
        snr=take(branches.snr),
        scale=take(branches.scale),
        low=take(branches.low),
        high=take(branches.high),
        usable=take(branches.usable),
        log_utility=branches.log_utility,
    )


def _row(branches: Branches, row: tuple[int, ...]) -> Branches:
    return Branches(
        rate=branches.rate,
        line=_each(branches.line, lambda value: value[row]),
        piece=branches.piece[row],
        snr=branches.snr[row],
        scale=branches.scale[row],
        low=branches.low[row],
        high=branches.high[row],
        usable=branches.usable[row],
        log_utility=branches.log_utility,
    )


def _each(line: Reduced, change: Any) -> Reduced:
    return Reduced(
        **{field.name: change(np.asarray(getattr(line, field.name))) for field in fields(line)}
    )


def _itself(band: Array) -> Array:
    return band
