"""Compiled search for the kept fractions of a joint problem, by Newton's method in a bracket.

The curves are those of `optimizers._joint.curve`, with their second derivatives: where the energy
budget sets the computing time t, kappa c^3 / t^2 + p (T - t) = E gives

    tau' = T' - t',    t' = (3 kappa c^2 c' / t^2 + p T') / (2 kappa c^3 / t^3 + p),
    tau'' = -6 kappa c (c' - c t' / t)^2 / t^2 / (2 kappa c^3 / t^3 + p),

and tau'' = 0 elsewhere. Both ln b'(x) and the sum of bands have kinks, so every step stays within
a bracket that is halved where Newton's method does not.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import float64, njit, types
from numpy.typing import NDArray

from wirelessfl.allocation.problem import Array

_Function = TypeVar("_Function", bound=Callable[..., Any])
_TYPES: Any = types  # whose functions have no annotations
_LINE, _TABLE, _TABLES = (_TYPES.Array(float64, n, "C", readonly=True) for n in (1, 2, 3))
_MARKS = _TYPES.Array(_TYPES.boolean, 2, "C", readonly=True)
_SETTINGS = {"error_model": "numpy", "cache": True}
_STEPS = 200  # more than bisection to the last digit needs; Newton's method takes about 5
_CLOSE = 4e-16
_NEAR = 1e-8  # relative length of a Newton step after which the next would be lost in rounding
_FULL = 2e-15  # distance of the bands from the whole band that is rounding


def _compile(*signature: Any, **settings: Any) -> Callable[[_Function], _Function]:
    """`numba.njit` for type checkers: the decorated function keeps its type."""
    decorate: Callable[[_Function], _Function] = njit(*signature, **settings)
    return decorate


@_compile(**_SETTINGS)
def _compute_s(work: float, room_s: float, safe_s: float, power_w: float, budget_j: float) -> float:
    """Least seconds t of computing that the budget allows: work / t^2 + p (room - t) = E."""
    alone_s = room_s
    if room_s > 0.0 and work < budget_j * room_s * room_s:
        alone_s = np.sqrt(work / budget_j)
    time_s = max(safe_s, alone_s)
    left_j = budget_j - power_w * (room_s - time_s)
    if left_j > 0.0:
        # Almost a straight line is t sqrt(E - p (room - t)) = sqrt(work).
        root = np.sqrt(work)
        for _ in range(_STEPS):
            pace = np.sqrt(left_j)
            step_s = (root - time_s * pace) / (pace + 0.5 * power_w * time_s / pace)
            least_s = room_s - budget_j / power_w  # where nothing is left
            time_s += step_s if time_s + step_s > least_s else 0.5 * (least_s - time_s)
            left_j = budget_j - power_w * (room_s - time_s)
            if abs(step_s) <= _NEAR * time_s or not left_j > 0.0:
                break
        if left_j > 0.0:
            return float(time_s)
        time_s = max(safe_s, alone_s)
    for _ in range(_STEPS):
        effort_j = work / (time_s * time_s)
        over_j = effort_j + power_w * (room_s - time_s) - budget_j
        step_s = max(over_j, 0.0) / (2.0 * effort_j / time_s + power_w)
        time_s += step_s
        if not step_s > _CLOSE * time_s:
            break
    return float(time_s)


@_compile(**_SETTINGS)
def _upload(client: Array, kept: float) -> tuple[float, float, float, float, float]:
    """Longest upload tau of one client, seconds, and its derivatives.

    They are the first two by the kept fraction, and those by the deadline and by the budget.
    """
    slack_s, waits_s, fixed, prunable = client[0], client[1], client[2], client[3]
    slowest_hz, fastest_hz, kappa = client[4], client[5], client[6]
    budget_j, power_w = client[7], client[8]
    room_s = slack_s - kept * waits_s
    cycles = fixed + kept * prunable
    at_speed_s = room_s - cycles / fastest_hz
    slow_j = kappa * slowest_hz * slowest_hz
    at_energy_s = (budget_j - slow_j * cycles) / power_w
    linear_s = min(at_speed_s, at_energy_s)
    least_s = room_s - linear_s
    work = kappa * cycles * cycles * cycles
    safe_s = least_s if work > 0.0 else 1.0
    if work > 0.0 and work / (safe_s * safe_s) + power_w * (room_s - safe_s) > budget_j:
        time_s = _compute_s(work, room_s, safe_s, power_w, budget_j)
        effort_j = kappa * (cycles / time_s) ** 2
        stiff_w = 2.0 * effort_j * cycles / time_s
        share = 1.0 / (stiff_w + power_w)
        pace_s = (3.0 * effort_j * prunable - power_w * waits_s) * share
        lag = prunable - cycles * pace_s / time_s
        bend_s = 6.0 * kappa * cycles * lag * lag / (time_s * time_s) * share
        return room_s - time_s, -waits_s - pace_s, -bend_s, stiff_w * share, share
    if at_speed_s <= at_energy_s:
        return linear_s, -waits_s - prunable / fastest_hz, 0.0, 1.0, 0.0
    return linear_s, -slow_j * prunable / power_w, 0.0, 0.0, 1.0 / power_w


@_compile(_TYPES.void(_TABLE, _LINE, float64[:, ::1]), **_SETTINGS)
def uploads(clients: Array, kept: Array, found: Array) -> None:
    """Longest uploads and their derivatives.

    Args:
        clients: Coefficients of each client; (N, 11).
        kept: Kept fractions; (N,).
        found: Result: seconds, and derivatives by the kept fraction, by the deadline and by the
            energy budget; (4, N).
    """
    for k in range(kept.size):
        found[0, k], found[1, k], _, found[2, k], found[3, k] = _upload(clients[k], kept[k])


@_compile(**_SETTINGS)
def _slopes(client: Array, kept: float) -> tuple[float, float, float]:
    """Band b(x) of one client and its first two derivatives."""
    tau, pace, bend, _, _ = _upload(client, kept)
    tau = tau if tau > 0.0 else 1.0
    s = client[9]
    lag = kept * pace / tau
    return (
        s * kept / tau,
        s / tau * (1.0 - lag),
        s / tau * (-2.0 * pace / tau - kept * bend / tau + 2.0 * lag * pace / tau),
    )


@_compile(**_SETTINGS)
def _worth(client: Array, kept: float) -> float:
    """Logarithm of w / b'(x), the price at which x is kept."""
    return float(np.log(client[10] / _slopes(client, kept)[1]))


@_compile(**_SETTINGS)
def _kept_at(
    client: Array, least: float, top: float, level: float, kept: float, at_kink: bool
) -> tuple[float, bool]:
    """The x strictly between bounds at which ln(w / b'(x)) falls to `level`, from a first guess.

    The second result is whether it is a kink, as the guess may be.
    """
    low, high = least, top
    log_weight = np.log(client[10])
    if at_kink and least < kept < top:  # the answer to another price, which a kink keeps
        _, left, _ = _slopes(client, max(kept * (1.0 - 2.0 * _CLOSE), least))
        _, right, _ = _slopes(client, min(kept * (1.0 + 2.0 * _CLOSE), top))
        if np.log(left) <= log_weight - level <= np.log(right):
            return kept, True
    last = high - low
    for _ in range(_STEPS):
        _, slope, bend = _slopes(client, kept)
        excess = log_weight - np.log(slope) - level
        if excess >= 0.0:
            low = kept
        if excess <= 0.0:
            high = kept
        if high - low <= _CLOSE * high:
            return min(max(kept, least), top), True
        step = excess * slope / bend if bend > 0.0 else np.inf
        near = abs(excess) <= _NEAR and abs(step) <= _NEAR * kept
        if not low <= kept + step <= high or (abs(step) > 0.5 * last and not near):
            step = 0.5 * (low + high) - kept
            near = False
        last = abs(step)
        kept += step
        if near or last <= _CLOSE * kept:
            return min(max(kept, least), top), not near
    return min(max(kept, least), top), True


@_compile(_TYPES.void(_TABLE, _LINE, float64[::1]), **_SETTINGS)
def most_kept(clients: Array, scale: Array, most: Array) -> None:
    """The largest kept fraction with the whole band, the root of tau(x) = s x below `scale`.

    Args:
        clients: Coefficients of each client; (N, 11).
        scale: Upper bound; (N,).
        most: Result; (N,).
    """
    for k in range(scale.size):
        # tau(x) - s x is concave and falling: Newton's method descends to the root from the right.
        kept = scale[k]
        for _ in range(_STEPS):
            tau, pace, _, _, _ = _upload(clients[k], kept)
            room_s = tau - clients[k, 9] * kept
            if room_s >= 0.0 or kept == 0.0:
                break
            step = room_s / (clients[k, 9] - pace)
            # The last digit, from which rounding may keep Newton's method.
            kept = max(kept + min(step, -_CLOSE * kept), 0.0)
        most[k] = kept


@_compile(**_SETTINGS)
def _respond(
    clients: Array,
    least: Array,
    top: Array,
    uses: NDArray[np.bool_],
    worth: Array,
    level: float,
    kept: Array,
    at_kink: NDArray[np.bool_],
) -> tuple[float, float]:
    """Kept fractions of one problem at a price, in place; the sum of their bands and its fall."""
    total = 0.0
    fall = 0.0
    for k in range(kept.size):
        if uses[k]:
            if worth[0, k] >= level:
                kept[k] = top[k]
            elif worth[1, k] <= level:
                kept[k] = least[k]
            else:
                kept[k], at_kink[k] = _kept_at(
                    clients[k], least[k], top[k], level, kept[k], at_kink[k]
                )
        if clients[k, 9] * kept[k] > 0.0:
            band, slope, bend = _slopes(clients[k], kept[k])
            total += band
            if uses[k] and least[k] < kept[k] < top[k] and bend > 0.0:
                fall += slope * slope / bend
    return total, fall


@_compile(
    _TYPES.void(
        _TABLES, _TABLE, _TABLE, _MARKS, _TABLES, float64[:, ::1], float64[:, ::1], float64[::1]
    ),
    **_SETTINGS,
)
def share_kept(
    clients: Array,
    least: Array,
    top: Array,
    uses: NDArray[np.bool_],
    levels: Array,
    kept: Array,
    best: Array,
    level: Array,
) -> None:
    """Kept fractions at the price at which the bands of each problem are the whole band.

    Args:
        clients: Coefficients of each client; (R, K, 11).
        least: Least kept fraction; (R, K).
        top: Largest useful kept fraction; (R, K), kept by clients that use no band.
        uses: Clients for which band has value; (R, K).
        levels: Logarithms of the prices at which each client keeps most and least; (2, R, K).
        kept: Result: fractions whose bands sum to 1; (R, K).
        best: Result: fractions that are best at the price; (R, K).
        level: Result: logarithm of the price; (R,).
    """
    rows, size = kept.shape
    more, less = np.empty(size), np.empty(size)
    worth = np.empty((2, size))
    at_kink = np.empty(size, dtype=np.bool_)
    for row in range(rows):
        low, high = np.inf, -np.inf
        for k in range(size):
            kept[row, k] = top[row, k]
            at_kink[k] = False
            if uses[row, k]:
                low = min(low, levels[0, row, k])
                high = max(high, levels[1, row, k])
                worth[0, k] = _worth(clients[row, k], top[row, k])
                worth[1, k] = _worth(clients[row, k], least[row, k])
                kept[row, k] = 0.5 * (least[row, k] + top[row, k])
        if not low < np.inf:
            level[row] = 0.0
            best[row] = kept[row]
            continue
        # A client whose band is linear jumps at its level, which may be an end of the bracket.
        low -= _CLOSE * max(abs(low), 1.0)
        high = max(low, high) + _CLOSE * max(abs(high), 1.0)
        more_band, less_band = np.inf, -np.inf
        at = 0.5 * (low + high)
        last = high - low
        for _ in range(_STEPS):
            total, fall = _respond(
                clients[row], least[row], top[row], uses[row], worth, at, kept[row], at_kink
            )
            if total >= 1.0:
                low, more_band = at, total
                more[:] = kept[row]
            if total <= 1.0:
                high, less_band = at, total
                less[:] = kept[row]
            if abs(total - 1.0) <= _FULL:
                break
            if high - low <= _CLOSE * max(abs(low), abs(high)):
                break
            step = np.log(total) * total / fall if fall > 0.0 else np.inf
            if not low < at + step < high or abs(step) > 0.5 * last:
                step = 0.5 * (low + high) - at
            last = abs(step)
            at += step
        level[row] = at
        best[row] = kept[row]
        if abs(total - 1.0) <= _FULL:
            continue
        if not more_band < np.inf:
            more[:] = less
            more_band, _ = _respond(
                clients[row], least[row], top[row], uses[row], worth, low, more, at_kink
            )
        elif not less_band > -np.inf:
            less[:] = more
            less_band, _ = _respond(
                clients[row], least[row], top[row], uses[row], worth, high, less, at_kink
            )
        share = (1.0 - less_band) / (more_band - less_band) if more_band > less_band else 0.0
        share = min(max(share, 0.0), 1.0)
        level[row] = high + share * (low - high)
        kept[row] = less + share * (more - less)
