"""Standard error of the mean of consecutive rounds, which may be correlated or repeated."""

import numpy as np
from numpy.typing import ArrayLike

from wirelessfl.values import Array

_AT_ONCE = 1 << 20  # values whose autocovariances are computed in one call, which bounds the memory


def standard_error(series: ArrayLike, *, period: int | None = None) -> Array:
    """Standard deviation of the mean over the last axis, rounds in order; (...,).

    sqrt(s^2 tau / N) with the integrated autocorrelation time tau = 1 + 2 sum_k rho_k, at least 1:
    N rounds are worth N / tau independent ones. The sum ends by the initial monotone sequence of
    Geyer (1992, Statistical Science 7), where sums of two neighbouring autocorrelations are no
    longer positive. Rounds after the first `period` are repeats of these: they are averaged with
    them and add nothing.

    Args:
        series: A quantity round by round; (..., N).
        period: Number of rounds after which the channel starts over; None where it never does.

    Returns:
        The standard error; NaN for one round and where a value is not finite.
    """
    values = _folded(np.asarray(series, dtype=np.float64), period)
    rows = values.reshape(-1, values.shape[-1])
    found = np.empty(len(rows))
    step = max(_AT_ONCE // values.shape[-1], 1)
    for start in range(0, len(rows), step):
        found[start : start + step] = _errors(rows[start : start + step])
    return found.reshape(values.shape[:-1])


def effective_rounds(series: ArrayLike, *, period: int | None = None) -> float:
    """Number of independent rounds whose mean has the standard error of that of a series.

    Args:
        series: A quantity round by round; (N,).
        period: Number of rounds after which the channel starts over; None where it never does.

    Returns:
        The number; all rounds of a period for a constant series.
    """
    values = _folded(np.asarray(series, dtype=np.float64), period)
    variance = float(values.var(ddof=1)) if len(values) > 1 else 0.0
    return variance / float(standard_error(values)) ** 2 if variance > 0 else float(len(values))


def _folded(values: Array, period: int | None) -> Array:
    """The mean of each round of a period over its repeats; (..., period)."""
    rounds = values.shape[-1]
    if period is None or rounds <= period:
        return values
    whole, rest = divmod(rounds, period)
    padded = np.zeros((*values.shape[:-1], whole + 1, period))
    padded.reshape(*values.shape[:-1], -1)[..., :rounds] = values
    return np.asarray(padded.sum(axis=-2) / (whole + (np.arange(period) < rest)))


def _errors(rows: Array) -> Array:
    """The standard errors of rows (R, N)."""
    count = rows.shape[-1]
    finite = np.asarray(np.isfinite(rows).all(axis=-1))
    if count == 1 or not finite.any():
        return np.full(len(rows), np.nan)
    centred = np.where(finite[:, None], rows, 0.0)
    centred = centred - centred.mean(axis=-1, keepdims=True)
    variance = (centred**2).sum(axis=-1) / (count - 1)
    errors = np.sqrt(variance * _correlation_time(centred) / count)
    return np.where(finite, errors, np.nan)


def _correlation_time(centred: Array) -> Array:
    """Integrated autocorrelation time tau of rows of mean 0; (R,), 1 for a constant row."""
    count = centred.shape[-1]
    spectrum = np.abs(np.fft.rfft(centred, 2 * count)) ** 2
    covariance = np.fft.irfft(spectrum)[:, :count] / count
    least = np.finfo(np.float64).tiny
    correlation = covariance / np.maximum(covariance[:, :1], least)
    pairs = correlation[:, : count - count % 2].reshape(len(centred), -1, 2).sum(axis=-1)
    positive = np.logical_and.accumulate(pairs > 0, axis=-1)
    monotone = np.minimum.accumulate(pairs, axis=-1)
    time: Array = np.maximum(2.0 * np.where(positive, monotone, 0.0).sum(axis=-1) - 1.0, 1.0)
    return time
