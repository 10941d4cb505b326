"""Signal-to-noise ratio, Shannon's rate and open-loop power, the radio physics of all packages."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.units import db_to_linear, linear_to_db

Array = NDArray[np.float64]
# Limit of the SNR in a band next to 0, whose rate has underflowed long before.
MOST_SNR = 1e300
# Below this t / (1 + t) the slope is summed as a series, because its two terms cancel.
SMALL = 0.05
SERIES = 1.0 / np.arange(15, 1, -1)  # 1/15 ... 1/2, highest power first
NEWTON_STEPS = 6


def snr(gain: ArrayLike, transmit_power_w: ArrayLike, noise_power_w: ArrayLike) -> Array:
    """Signal-to-noise ratio h p / sigma^2.

    Args:
        gain: Linear power gain h; any shape.
        transmit_power_w: Transmit power p in W; broadcast against `gain`.
        noise_power_w: Noise power sigma^2 in W; broadcast against `gain`.

    Returns:
        Linear SNR.
    """
    received_w: Array = np.asarray(gain, dtype=np.float64) * np.asarray(transmit_power_w)
    linear: Array = received_w / np.asarray(noise_power_w)
    return linear


def shannon_rate_bps(bandwidth_hz: ArrayLike, snr: ArrayLike) -> Array:
    """Shannon's rate B log2(1 + SNR), [WFL] eq. (13) for the whole band.

    The noise power of [WFL] eq. (13) does not depend on the fraction of the band ([WFL] erratum
    W6), so a client with fraction b of the band has b times this rate. Exact for weak signals too,
    where 1 + SNR would round to 1.

    Args:
        bandwidth_hz: Bandwidth B in Hz; any shape.
        snr: Linear SNR; broadcast against `bandwidth_hz`.

    Returns:
        Rate in bit/s.
    """
    nats = np.log1p(np.asarray(snr, dtype=np.float64))
    return np.asarray(np.asarray(bandwidth_hz, dtype=np.float64) * (nats / np.log(2.0)))


def thermal_noise_w(bandwidth_hz: ArrayLike, noise_figure_db: float = 0.0) -> Array:
    """Thermal noise power: -174 dBm/Hz + 10 log10(W / Hz) + noise figure.

    Args:
        bandwidth_hz: Bandwidth W in Hz; any shape.
        noise_figure_db: Noise figure of the receiver in dB.

    Returns:
        Noise power in W; the shape of `bandwidth_hz`.
    """
    density_w_per_hz = 1e-3 * db_to_linear(-174.0 + noise_figure_db)
    return density_w_per_hz * np.asarray(bandwidth_hz, dtype=np.float64)


def open_loop_power_dbm(
    path_loss_db: ArrayLike,
    resource_blocks: ArrayLike,
    alpha: ArrayLike,
    p0_dbm: ArrayLike,
    limit_dbm: ArrayLike,
) -> Array:
    """Open-loop power of the uplink, min(p0 + alpha PL + 10 log10 M, limit).

    3GPP TS 38.213 section 7.1.1 without closed-loop corrections.

    Args:
        path_loss_db: Path loss PL in dB; any shape.
        resource_blocks: Number M of resource blocks of 15 kHz sub-carriers (a block of wider ones
            counts as 2^mu of them).
        alpha: Fraction of the path loss that is compensated; from 0 to 1.
        p0_dbm: Target power at the receiver in each resource block, in dBm.
        limit_dbm: Largest power in dBm.

    Returns:
        Transmit power in dBm.
    """
    blocks_db = linear_to_db(resource_blocks)
    wanted_dbm = (
        np.asarray(p0_dbm)
        + np.asarray(alpha) * np.asarray(path_loss_db, dtype=np.float64)
        + blocks_db
    )
    power_dbm: Array = np.minimum(wanted_dbm, limit_dbm)
    return power_dbm


def noise_psd_nats(band: ArrayLike, snr: ArrayLike) -> Array:
    """Rate b ln(1 + SNR / b) per hertz of the whole band when noise grows with the band.

    b B log2(1 + SNR / b) is the rate in bit/s ([WFL] erratum W7). Increasing and concave in b, from
    0 to its limit SNR.

    Args:
        band: Fraction b of the band; any shape.
        snr: Linear SNR h p / (B N0) over the whole band; broadcast against `band`.

    Returns:
        Rate in nat/s per hertz.
    """
    band = np.asarray(band, dtype=np.float64)
    return band * np.log1p(snr_in_band(band, snr))


def noise_psd_slope(band: ArrayLike, snr: ArrayLike) -> Array:
    """Derivative of `noise_psd_nats`: m(t) = ln(1 + t) - t / (1 + t) with t = SNR / b.

    Args:
        band: Fraction b of the band; any shape.
        snr: Linear SNR over the whole band; broadcast against `band`.

    Returns:
        Slope in nat/s per hertz, finite at b = 0.
    """
    t = snr_in_band(band, snr)
    part = t / (1.0 + t)
    return part**2 * _per_square(t, part)


def log_noise_psd_slope(t: Array) -> Array:
    """Logarithm ln m(t) of the slope, for t whose m underflows too.

    Args:
        t: Linear SNR inside the client's band; any shape.

    Returns:
        ln m(t); the shape of `t`.
    """
    part = t / (1.0 + t)
    return 2.0 * np.log(part) + np.log(_per_square(t, part))


def noise_psd_band(nats: ArrayLike, snr: ArrayLike) -> Array:
    """Fraction b with b ln(1 + SNR / b) = nats, the inverse of `noise_psd_nats`.

    With kappa = nats / SNR and t = SNR / b it is the root of ln(1 + t) / t = kappa, that is t =
    -W_{-1}(-kappa exp(-kappa)) / kappa - 1 with Lambert's W. In ln t the equation's logarithm is
    concave and falling, so Newton's method descends to the root from the upper bound of W_{-1} by
    Chatzigeorgiou (2013).

    Args:
        nats: Rate in nat/s per hertz of the whole band; any shape.
        snr: Linear SNR over the whole band; broadcast against `nats`.

    Returns:
        Fraction of the band, inf for rates from SNR on.
    """
    nats, snr = np.broadcast_arrays(
        np.asarray(nats, dtype=np.float64), np.asarray(snr, dtype=np.float64)
    )
    reachable = (nats > 0) & (nats < snr)
    if not reachable.any():
        return np.where(nats > 0, np.inf, 0.0)
    kappa = np.clip(
        np.where(reachable, nats, 0.5) / np.where(reachable, snr, 1.0),
        1.0 / MOST_SNR,
        1.0 - 2**-53,
    )
    # Upper bound of W_{-1} by Chatzigeorgiou (2013), the start of Newton's method in ln t.
    depth = np.maximum(kappa - 1.0 - np.log(kappa), 0.0)
    t = (1.0 - kappa + np.sqrt(2.0 * depth) + depth) / kappa
    for _ in range(NEWTON_STEPS):
        rate = np.log1p(t)
        t = t * np.exp(np.log(rate / (t * kappa)) * rate / noise_psd_slope(1.0, t))
    return np.where(reachable, snr / t, np.where(nats > 0, np.inf, 0.0))


def snr_in_band(band: ArrayLike, snr: ArrayLike) -> Array:
    """Signal-to-noise ratio t = SNR / b inside the fraction b of the band, at most 1e300.

    Args:
        band: Fraction b of the band; any shape.
        snr: Linear SNR over the whole band; broadcast against `band`.

    Returns:
        Linear SNR.
    """
    snr = np.asarray(snr, dtype=np.float64)
    inside: Array = snr / np.maximum(band, np.maximum(snr, 1e-8) / MOST_SNR)
    return inside


def _per_square(t: Array, part: Array) -> Array:
    """Quotient m / part^2 with part = t / (1 + t); any shape.

    It is the sum over n >= 0 of part^n / (n + 2).
    """
    large = np.maximum(part, SMALL)
    found = np.asarray((np.log1p(t) - part) / large**2)
    small = part < SMALL
    if small.any():
        found[small] = np.polyval(SERIES, np.asarray(part)[small])
    return found
