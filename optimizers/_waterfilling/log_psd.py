"""Compiled proportional fairness where noise grows with the band, in one pass over a problem.

It is `optimizers._waterfilling.noise_psd.reduce_psd`, `fill_log` and `allocation_of` for Shannon's
rate, client by client: the derivation is in `optimizers._waterfilling.noise_psd`. Both searches are
Newton's method kept inside a bracket.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numba import float64, njit, types

from optimizers._waterfilling.curve import FITTING, ROUNDING
from optimizers._waterfilling.noise_psd import DEEPEST, FULL
from optimizers._waterfilling.noise_psd_gain import CLOSE, LEAST, NEAR, STEEPEST, STEPS
from wirelessfl.allocation.interface import Array, client_fields
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.radio.snr_and_rate import MOST_SNR, NEWTON_STEPS, SERIES, SMALL

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Bounds: TypeAlias = tuple[float, float, float, float]  # of u and of the gain: top and floor
_TYPES: Any = types  # whose functions have no annotations
_READ = _TYPES.Array(float64, 3, "C", readonly=True)
_SETTINGS = {"error_model": "numpy", "cache": True}
_LEAST_KEPT = 1e-300  # below it 1 / x overflows


def _compile(*signature: Any, **settings: Any) -> Callable[[_Function], _Function]:
    """`numba.njit` for type checkers: the decorated function keeps its type."""
    decorate: Callable[[_Function], _Function] = njit(*signature, **settings)
    return decorate


@_compile(**_SETTINGS)
def _ratio(numerator: float, denominator: float) -> float:
    """Quotient with 0 / 0 = 0."""
    return 0.0 if numerator == 0.0 else numerator / denominator


@_compile(**_SETTINGS)
def _per_square(t: float, part: float) -> float:
    """Quotient m(t) / part^2 with part = t / (1 + t)."""
    if part >= SMALL:
        return float((math.log1p(t) - part) / (part * part))
    total = 0.0
    for one in SERIES:
        total = total * part + one
    return total


@_compile(**_SETTINGS)
def _inside(band: float, snr: float) -> float:
    """Signal-to-noise ratio inside a band."""
    return snr / max(band, max(snr, 1e-8) / MOST_SNR)


@_compile(**_SETTINGS)
def _band_at(speed: float, snr: float, full: float) -> float:
    """Band with a relative rate; `full` is ln(1 + snr)."""
    nats = speed * full if speed < np.inf else np.inf
    if not (nats > 0.0) & (nats < snr):
        return np.inf if nats > 0.0 else 0.0
    kappa = min(max(nats / snr, 1.0 / MOST_SNR), 1.0 - 2.0**-53)
    depth = max(kappa - 1.0 - math.log(kappa), 0.0)
    t = (1.0 - kappa + math.sqrt(2.0 * depth) + depth) / kappa
    for _ in range(NEWTON_STEPS):
        rate = math.log1p(t)
        part = t / (1.0 + t)
        t *= math.exp(math.log(rate / (t * kappa)) * rate / (part * part * _per_square(t, part)))
    return snr / t


@_compile(**_SETTINGS)
def _gain(client: Array, depth: float) -> tuple[float, float]:
    """Logarithm H(u) of the gain w x'(b) / x(b) of a client, and H'(u)."""
    c, a, s, e = client[0], client[1], client[2], client[3]
    snr, full = client[4], client[5]
    t = math.exp(depth)
    part = t / (1.0 + t)
    square = _per_square(t, part)
    log_slope = 2.0 * math.log(part) + math.log(square)
    band = snr / t
    speed = band * math.log1p(t) / full
    work_s = a * speed + s
    log_work = math.log(work_s)
    log_kept = math.log(max((c * speed - e) / work_s, LEAST))
    gain = client[6] + log_slope - 2.0 * log_work
    rise = (
        1.0 / square
        + 2.0 * a * band * (math.exp(log_slope) / full) / work_s
        + math.exp(min(gain - client[7] + math.log(snr) - depth - log_kept, STEEPEST))
    )
    return gain - log_kept, rise


@_compile(**_SETTINGS)
def _choice(client: Array, ends: _Bounds, theta: float, start: float) -> tuple[float, float, float]:
    """Band at the price exp(theta), its u, and -d ln b / d theta, from a guess of u."""
    low, high, top, floor = ends
    least, most = client[8], client[9]
    if top >= theta:
        return most, low, 0.0
    if floor <= theta:
        return least, high, 0.0
    depth = min(max(start, low), high)
    rise = 1.0
    for _ in range(STEPS):
        value, rise = _gain(client, depth)
        excess = value - theta
        if excess <= 0.0:
            low = depth
        if excess >= 0.0:
            high = depth
        newton = depth - excess / rise
        inside = low <= newton <= high
        near = inside & (abs(excess) <= NEAR)
        # Next to the floor, where nothing is kept, Newton's method does not move.
        inside = near | (inside & (abs(newton - depth) > CLOSE * abs(depth)))
        target = newton if inside else 0.5 * (low + high)
        settled = abs(target - depth) <= (NEAR if near else CLOSE * abs(depth))
        depth = target
        if settled:
            break
    return min(max(client[4] * math.exp(-depth), least), most), depth, 1.0 / rise


@_compile(**_SETTINGS)
def _share(clients: Array, uses: Array, ends: Array, spare: bool, band: Array) -> float:
    """Bands of one row, in place, and the price; those of clients that use no band are given."""
    size = band.size
    theta, total, sharing = 0.0, 0.0, 0.0
    low, high, alone = np.inf, -np.inf, -np.inf
    depth, give = np.zeros(size), np.zeros(size)
    for k in range(size):
        sharing += uses[k]
    if spare or sharing == 0.0:
        for k in range(size):
            band[k] = clients[k, 9]
        return 0.0
    weighed, fall, summed = 0.0, 0.0, 0.0
    for k in range(size):
        if uses[k] > 0.0:
            low = min(low, ends[k, 2])
            high = max(high, ends[k, 3])
            if clients[k, 10] > 1.0:
                alone = max(alone, ends[k, 2])
            # One Newton step of all conditions from equal bands.
            depth[k] = min(max(math.log(clients[k, 4] * sharing), ends[k, 0]), ends[k, 1])
            value, rise = _gain(clients[k], depth[k])
            guess = clients[k, 4] * math.exp(-depth[k])
            weighed += guess / rise * value
            fall += guess / rise
            summed += guess
    low = max(low, alone)
    high = max(high, low)
    theta = min(max((weighed + summed - 1.0) / (fall if fall > 0.0 else 1.0), low), high)
    step = np.inf
    for _ in range(STEPS):
        total, slope = 0.0, 0.0
        for k in range(size):
            if uses[k] > 0.0:
                bounds = ends[k, 0], ends[k, 1], ends[k, 2], ends[k, 3]
                band[k], depth[k], give[k] = _choice(clients[k], bounds, theta, depth[k])
                slope += band[k] * give[k]
            else:
                band[k] = clients[k, 8]
            total += band[k]
        if total >= 1.0:
            low = theta
        if total <= 1.0:
            high = theta
        step = math.log(max(total, CLOSE)) * total / slope if slope > 0.0 else np.inf
        full = abs(total - 1.0) <= (FULL if abs(step) <= NEAR else CLOSE)
        inside = low <= theta + step <= high
        target = theta + step if inside else 0.5 * (low + high)
        if full or abs(target - theta) <= CLOSE * abs(theta):
            break
        theta = target
    # The rest of Newton's method; its square is lost in rounding.
    rest = step if abs(step) <= NEAR else 0.0
    total = 0.0
    for k in range(size):
        band[k] = min(max(band[k] * (1.0 - give[k] * rest), clients[k, 8]), clients[k, 9])
        total += band[k]
    for k in range(size):
        band[k] /= max(total, 1.0)
    return math.exp(theta + rest)


@_compile(**_SETTINGS)
def _reduce(
    table: Array, row: int, rate: float, clients: Array, speeds: Array
) -> tuple[bool, bool]:
    """Constants of the clients of one row, and whether all caps and all fixed bits fit."""
    needed, entering = 0.0, 0.0
    for k in range(clients.shape[0]):
        snr = table[4, row, k]
        full = math.log1p(snr)
        c = table[0, row, k] - table[1, row, k]
        a = table[2, row, k]
        s = _ratio(table[3, row, k], rate * full)
        e = _ratio(table[5, row, k], rate * full)
        least = 1.0 - table[7, row, k]
        ceiling = (s + e) / (c - a) if c > a else np.inf
        entry, alone = 0.0, 0.0
        if c >= 0.0:
            entry = _ratio(e, c)
            bits_s = least * s + e if least > 0.0 else 0.0
            left_s = c - least * a
            alone = np.inf if left_s < 0.0 else _ratio(bits_s, left_s)
            alone = max(alone, entry)
        speeds[0, k] = entry
        speeds[1, k] = alone
        clients[k, 0], clients[k, 1], clients[k, 2], clients[k, 3] = c, a, s, e
        clients[k, 4], clients[k, 5] = snr, full
        clients[k, 8] = _band_at(entry, snr, full)
        clients[k, 9] = _band_at(alone, snr, full)
        clients[k, 10] = _band_at(ceiling, snr, full)
        entering += clients[k, 8]
        needed += clients[k, 9]
    return needed <= 1.0 + FITTING, entering <= 1.0 + FITTING


@_compile(**_SETTINGS)
def _allocate(
    client: Array, weight: float, cap: float, out: bool, price: float, band: float
) -> tuple[float, float, float]:
    """Pruning ratio, kept fraction, and d(w log x) / d(deadline) of a client."""
    c, a, s, e = client[0], client[1], client[2], client[3]
    t = _inside(band, client[4])
    speed = band * math.log1p(t) / client[5] if client[4] > 0.0 else 0.0
    size = 1.0 if (s == 0.0) & (e == 0.0) else speed
    work_s = a * size + s
    used_s = c * size
    beyond_s = used_s - e if used_s > e * (1.0 + ROUNDING) else 0.0
    kept = beyond_s / work_s if work_s > 0.0 else 0.0
    kept = 1.0 if used_s >= (work_s + e) * (1.0 - ROUNDING) else kept
    kept = 0.0 if out else kept
    pruned = 1.0 - kept
    pruned = pruned + 2.0**-53 if 1.0 - pruned > kept else pruned
    pruned = 1.0 if out else min(pruned, cap)
    if ((band >= client[10] * (1.0 - ROUNDING)) | (band <= client[8] * (1.0 + ROUNDING))) & (
        band > 0.0
    ):
        part = t / (1.0 + t)
        pace = part * part * _per_square(t, part) / client[5] if client[4] > 0.0 else 0.0
        bits_s = (kept * s if kept > 0.0 else 0.0) + e
        freed = speed * speed / bits_s if bits_s > 0.0 else 0.0
        return pruned, kept, price * freed / pace if pace > 0.0 else 0.0
    if out or kept >= 1.0 or not work_s > 0.0 or not kept > _LEAST_KEPT:
        return pruned, kept, 0.0
    return pruned, kept, weight * size / work_s / kept


@_compile(
    _TYPES.void(_READ, float64, float64[:, :, ::1], float64[:, ::1]),
    **_SETTINGS,
)
def fill_log_rows(table: Array, rate: float, found: Array, prices: Array) -> None:
    """Solve every row of a batch.

    Args:
        table: Deadline, fixed and prunable seconds, upload bits, SNR, fixed bits, weight and cap;
            (8, R, K).
        rate: Rate per ln(1 + SNR) over the whole band, bit/s.
        found: Result: bands, pruning ratios and kept fractions; (3, R, K).
        prices: Result: prices of the band and of the deadline; (2, R).
    """
    rows, size = table.shape[1], table.shape[2]
    clients, ends = np.empty((size, 11)), np.empty((size, 4))
    speeds, uses, out = np.empty((2, size)), np.empty(size), np.empty(size, dtype=np.bool_)
    for row in range(rows):
        fits, enters = _reduce(table, row, rate, clients, speeds)
        spare, tops = True, 0.0
        for k in range(size):
            client = clients[k]
            c, s, e, snr = client[0], client[2], client[3], client[4]
            weight = table[6, row, k]
            out[k] = (c < 0.0) | ((not enters) & (e > 0.0))
            leverage_s2 = c * s + client[1] * e
            useful = (c > 0.0) & (leverage_s2 > 0.0) & (leverage_s2 < np.inf)
            uses[k] = 1.0 if useful & (not out[k]) & (weight > 0.0) else 0.0
            floor = client[9] if fits else (client[8] if enters else 0.0)
            client[8] = floor
            client[9] = max(min(client[10], 1.0), floor) if uses[k] > 0.0 else floor
            tops += client[9]
            if uses[k] > 0.0:
                spare &= client[10] <= 1.0
                client[7] = math.log(weight)
                client[6] = client[7] + math.log(leverage_s2) - math.log(client[5])
                ends[k, 0] = min(math.log(snr) - math.log(client[9]), DEEPEST)
                ends[k, 1] = min(math.log(snr) - math.log(floor), DEEPEST)
                ends[k, 2] = _gain(client, ends[k, 0])[0]
                ends[k, 3] = _gain(client, ends[k, 1])[0]
        band = found[0, row]
        price = _share(clients, uses, ends, spare & (tops <= 1.0), band)
        worth = 0.0
        for k in range(size):
            cap = table[7, row, k] if fits else 1.0
            found[1, row, k], found[2, row, k], gained = _allocate(
                clients[k], table[6, row, k], cap, out[k], price, band[k]
            )
            worth += gained
        prices[0, row] = price
        prices[1, row] = worth


def log_results(problem: NoisePsdProblem) -> tuple[Array, Array]:
    """Solve a problem with Shannon's rate.

    Args:
        problem: The problem, arrays (..., K).

    Returns:
        Bands, pruning ratios and kept fractions, (3, ..., K), and prices of the band and of the
        deadline, (2, ...).
    """
    shape = problem.shape
    table = np.array([getattr(problem, name) for name in client_fields(problem)])
    found = np.empty((3, *shape))
    prices = np.empty((2, *shape[:-1]))
    fill_log_rows(
        table.reshape(len(table), -1, shape[-1]),
        problem.bandwidth_hz / math.log(2.0),
        found.reshape(3, -1, shape[-1]),
        prices.reshape(2, -1),
    )
    return found, prices
