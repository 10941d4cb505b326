"""Goodput of a fraction of the band in increasing concave pieces, for noise with a density.

A client with signal-to-noise ratio g over the whole band B sees SNR = g / b in its fraction b, so
it carries

    R(b) = B g phi(b / g),    phi(u) = u eta(1 / u) exp(-m u),

with the link's efficiency eta and, for a waterfall of packet errors, its threshold m (0 without):
one function phi of the width u = b / g for all clients. Row i of a table holds down to the SNR that
Shannon's rate needs for it, gap (2^eta_i - 1), that is up to a width u_i, and Shannon's rate is
above the row up to that width. So on its piece u_{i-1} < u <= u_i

    phi_i(u) = u min(eta_i, log2(1 + 1 / (gap u))) exp(-m u),

increasing and concave up to the width at which packet errors begin to cost more than band adds (1 /
m on a row), where the piece ends. Shannon's rate and a cap are a single piece, with the cap in
place of eta_i; a table is a sawtooth.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.radio.nr_tables import EFFICIENCIES_BPS_HZ
from wirelessfl.radio.snr_and_rate import noise_psd_band, noise_psd_slope, shannon_rate_bps
from wirelessfl.scenario.link import Link

Array = NDArray[np.float64]
# A row ends at this fraction of its width, so that rounding does not push a band over the edge.
_INSIDE = 1.0 - 1e-12
# Widths beyond which Shannon's rate does not change in floats.
_WIDEST = 1e30
_NARROWEST = 1e-300
_HALVINGS = 80
# Newton's method needs about 5 steps, and 50 next to the end of a piece.
_STEPS = 100
_ROUNDING = 1e-15


@dataclass(frozen=True, kw_only=True, eq=False)
class RatePieces:
    """Pieces of phi from narrow to wide.

    Attributes:
        most_bps_hz: Efficiency that a piece does not exceed, in (bit/s)/Hz, inf without limit;
            (P,).
        widest: Width u_i at which a piece ends, increasing; (P,).
        snr_gap: Gap to Shannon's rate as a power ratio.
        threshold: m of the waterfall, 0 without.
        is_table: True where every piece ends before Shannon's rate falls below its efficiency.
    """

    most_bps_hz: Array
    widest: Array
    snr_gap: float
    threshold: float
    is_table: bool

    @property
    def count(self) -> int:
        """Number P of pieces."""
        return self.widest.size

    @property
    def is_linear(self) -> bool:
        """True for a table without packet errors: goodput proportional to width on every piece."""
        return self.is_table and self.threshold == 0

    @cached_property
    def narrowest(self) -> Array:
        """Width at which each piece begins; (P,)."""
        return np.concatenate([[0.0], self.widest[:-1]])

    @cached_property
    def edges(self) -> Array:
        """Widths at which the slope falls: the ends of pieces, or a cap on Shannon's rate."""
        if self.is_table or np.isinf(self.most_bps_hz[0]):
            return self.widest
        capped = 1.0 / (self.snr_gap * np.expm1(self.most_bps_hz * np.log(2.0)))
        return np.concatenate([self.widest, capped])

    @cached_property
    def best(self) -> Array:
        """Largest goodput of any width up to the end of each piece; (P,)."""
        return np.maximum.accumulate(self.goodput(np.arange(self.count), self.widest))

    def goodput(self, piece: NDArray[np.intp], width: ArrayLike) -> Array:
        """Goodput phi_i(u).

        Args:
            piece: Index i of the piece; any shape.
            width: Width u; the shape of `piece`.

        Returns:
            Goodput in (bit/s)/Hz per SNR; the shape of `piece`.
        """
        width = np.asarray(width, dtype=np.float64)
        efficiency = self.most_bps_hz[piece]
        if not self.is_table:
            efficiency = np.minimum(efficiency, shannon_rate_bps(1.0, self._snr(width)))
        return np.asarray(width * efficiency * np.exp(-self.threshold * width))

    def slope(self, piece: NDArray[np.intp], width: ArrayLike) -> Array:
        """Derivative d phi_i / du.

        Args:
            piece: Index i of the piece; any shape.
            width: Width u; the shape of `piece`.

        Returns:
            Slope; the shape of `piece`.
        """
        width = np.asarray(width, dtype=np.float64)
        efficiency = without_errors = self.most_bps_hz[piece]
        if not self.is_table:
            snr = self._snr(width)
            shannon = shannon_rate_bps(1.0, snr)
            without_errors = np.where(
                shannon >= efficiency, efficiency, noise_psd_slope(1.0, snr) / np.log(2.0)
            )
            efficiency = np.minimum(efficiency, shannon)
        lost = self.threshold * width
        return np.asarray((without_errors - lost * efficiency) * np.exp(-lost))

    def width_on(self, piece: NDArray[np.intp], goodput: ArrayLike) -> Array:
        """Width at which phi_i has a given goodput.

        A closed formula without packet errors; with them Newton's method climbs from there, since
        phi_i is concave.

        Args:
            piece: Index i of the piece; any shape.
            goodput: Goodput in (bit/s)/Hz per SNR; the shape of `piece`.

        Returns:
            Width; the shape of both, inf where the piece does not reach the goodput.
        """
        piece, goodput = np.broadcast_arrays(piece, np.asarray(goodput, dtype=np.float64))
        end = self.widest[piece]
        reached = goodput <= self.goodput(piece, end) * (1.0 + _ROUNDING)
        wanted = np.where(reached, goodput, 0.0)
        width = wanted / self.most_bps_hz[piece]
        if not self.is_table:
            width = np.maximum(width, noise_psd_band(wanted * np.log(2.0), 1.0 / self.snr_gap))
        width = np.minimum(width, end)
        for _ in range(_STEPS if self.threshold > 0 else 0):
            slope = self.slope(piece, width)
            missing = np.maximum(wanted - self.goodput(piece, width), 0.0)
            wider = np.minimum(width + missing / np.where(slope > 0, slope, np.inf), end)
            if np.all(wider <= width * (1.0 + _ROUNDING)):
                break
            width = wider
        return np.where(reached, width, np.inf)

    def width_at(self, goodput: ArrayLike) -> Array:
        """Smallest width with a given goodput.

        Args:
            goodput: Goodput in (bit/s)/Hz per SNR; any shape.

        Returns:
            Width; the shape of `goodput`, inf where no width reaches it.
        """
        goodput = np.asarray(goodput, dtype=np.float64)
        piece = np.searchsorted(self.best * (1.0 + _ROUNDING), goodput, side="left")
        found = self.width_on(
            np.minimum(piece, self.count - 1), np.where(piece < self.count, goodput, 0.0)
        )
        return np.where(piece < self.count, found, np.inf)

    def piece_at(self, width: ArrayLike) -> NDArray[np.intp]:
        """Piece that contains a width, the last one beyond the end.

        Args:
            width: Width u; any shape.

        Returns:
            Index of the piece; the shape of `width`.
        """
        return np.minimum(np.searchsorted(self.widest, width, side="left"), self.count - 1)

    def _snr(self, width: Array) -> Array:
        return np.asarray(1.0 / (self.snr_gap * np.clip(width, _NARROWEST, _WIDEST)))


@lru_cache(maxsize=64)
def rate_pieces(link: Link) -> RatePieces:
    """Pieces of the goodput of a link for noise with a density.

    Args:
        link: Rate model and packet errors.

    Returns:
        The pieces.
    """
    most_bps_hz = np.inf if link.max_bps_hz is None else link.max_bps_hz
    threshold = link.waterfall_threshold if link.packet_error == "waterfall" else 0.0
    if link.rate_model == "shannon":
        whole = RatePieces(
            most_bps_hz=np.array([most_bps_hz]),
            widest=np.array([_WIDEST]),
            snr_gap=link.snr_gap,
            threshold=threshold,
            is_table=False,
        )
        return whole if threshold == 0 else replace(whole, widest=_peak(whole))
    rows = EFFICIENCIES_BPS_HZ[link.rate_model][:0:-1]
    # Rows above the cap carry no more than the cap: the lowest of them reaches farthest.
    rows = rows[max(np.count_nonzero(rows >= most_bps_hz) - 1, 0) :]
    widest = _INSIDE / (link.snr_gap * np.expm1(rows * np.log(2.0)))
    if threshold > 0:
        rising = threshold * np.concatenate([[0.0], widest[:-1]]) < 1.0
        rows = rows[rising]
        widest = np.minimum(widest[rising], 1.0 / threshold)
    return RatePieces(
        most_bps_hz=np.minimum(rows, most_bps_hz),
        widest=widest,
        snr_gap=link.snr_gap,
        threshold=threshold,
        is_table=True,
    )


def _peak(whole: RatePieces) -> Array:
    """Width at which Shannon's rate stops rising because of packet errors; (1,).

    Bisection in the logarithm of the width.
    """
    low, high = np.log(_NARROWEST), np.log(_WIDEST)
    first = np.zeros(1, dtype=np.intp)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        rising = whole.slope(first, np.exp(np.array([middle])))[0] > 0
        low, high = (middle, high) if rising else (low, middle)
    peak: Array = np.exp(np.array([low]))
    return peak
