"""Compiled water-filling for fixed SNR without caps and fixed bits.

Needs numba (`pip install wirelessfl[fast]`). The ramps and the stopping test are those of
`optimizers._waterfilling.waterfill`; a row on which Newton's method does not end within `_PASSES`,
or whose products leave the range of floats, is returned unsolved. Loops are written without
branches, with sums per block, so that they run in vector registers.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numba import float64, njit, types, void
from numpy.typing import NDArray

from optimizers._waterfilling.fixed_snr import reduce
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import AllocationProblem, Array

_Ramps: TypeAlias = tuple[Array, Array, Array]  # start, slope, height of every client of one row
_Clients: TypeAlias = tuple[
    Array, Array, Array, Array
]  # slack, prunable and upload seconds, weight

_Function = TypeVar("_Function", bound=Callable[..., Any])

_PASSES = 60
_BLOCK = 1024  # numbers per partial sum: plain running sums of long rows miss the tolerance
_SAMPLE = 64  # every 64th client of a long row decides where Newton's method starts
_LONG = 4096
_READ = types.Array(float64, 2, "C", readonly=True)
_SETTINGS = {
    "error_model": "numpy",
    "fastmath": {
        "reassoc",
        "nsz",
        "contract",
    },  # lets sums run in vector registers; infinities and nan keep meaning
    "cache": True,
}


def _compile(*signature: Any, **settings: Any) -> Callable[[_Function], _Function]:
    """`numba.njit` for type checkers: the decorated function keeps its type."""
    decorate: Callable[[_Function], _Function] = njit(*signature, **settings)
    return decorate


@_compile(**_SETTINGS)
def _prepare(clients: _Clients, ramps: _Ramps) -> tuple[bool, float]:
    """Ramps of one row: whether all products are in the range of floats, and the sum of heights."""
    slack_s, prunable_s, upload_s, weight = clients
    start, slope, height = ramps
    lost = 0.0
    top = 0.0
    for k in range(start.size):
        c = slack_s[k]
        a = prunable_s[k]
        s = upload_s[k]
        w = weight[k]
        uses = (c > 0.0) & (w > 0.0) & (s > 0.0) & (s < np.inf)
        root_s = np.sqrt(w * c * s if uses else 1.0)
        lost += 0.0 if (root_s > 0.0) & (root_s < np.inf) else 1.0
        steep = root_s / a
        room_s = c - a
        most = s / room_s if room_s > 0.0 else np.inf
        start[k] = s / root_s if uses else 0.0
        slope[k] = (steep if steep < 1e300 else 1e300) if uses else 0.0
        height[k] = most if uses else 0.0
        top += height[k]
    return lost == 0.0, top


@_compile(**_SETTINGS)
def _climb(ramps: _Ramps, level: float) -> tuple[float, float]:
    """The sum of the bands of one row at `level`, and its slope there."""
    start, slope, height = ramps
    total = 0.0
    steepness = 0.0
    for first in range(0, start.size, _BLOCK):
        part = 0.0
        part_steepness = 0.0
        foot = start[first : first + _BLOCK]
        pace = slope[first : first + _BLOCK]
        most = height[first : first + _BLOCK]
        for k in range(foot.size):
            climbed = (level - foot[k]) * pace[k]
            low = climbed if climbed > 0.0 else 0.0
            part += low if low < most[k] else most[k]
            part_steepness += pace[k] if (climbed > 0.0) & (climbed < most[k]) else 0.0
        total += part
        steepness += part_steepness
    return total, steepness


@_compile(**_SETTINGS)
def _unbounded(ramps: _Ramps, room: float) -> tuple[float, float]:
    """Level at which ramps without bounds sum to `room`, and their depth below 0 at level 0."""
    start, slope, _ = ramps
    total = 0.0
    reach = 0.0
    for k in range(start.size):
        total += slope[k]
        reach += slope[k] * start[k]
    return (room + reach) / total, reach


@_compile(**_SETTINGS)
def _newton(ramps: _Ramps, room: float, level: float, rounding: float) -> tuple[float, float, bool]:
    """Level at which the bands of one row sum to `room`, its last-digit error, and success."""
    low, high = 0.0, np.inf
    for _ in range(_PASSES):
        total, steepness = _climb(ramps, level)
        missing = room - total
        if abs(missing) <= rounding:
            rest = missing / steepness if abs(missing) > 4e-15 else 0.0
            return level, rest, abs(rest) < np.inf
        if missing > 0.0:
            low = level
        else:
            high = level
        level += missing / steepness
        if not ((level > low) & (level < high)):
            level = 0.5 * (low + high) if high < np.inf else 2.0 * low
    return level, 0.0, False


@_compile(**_SETTINGS)
def _water_level(ramps: _Ramps, few: _Ramps) -> tuple[float, float, bool]:
    """`_newton` of one row from a good level; `few` is room for a sample of a long row."""
    size = ramps[0].size
    count = few[0].size
    if size <= _LONG:
        level, reach = _unbounded(ramps, 1.0)
    else:
        for whole, sample in zip(ramps, few):  # noqa: B905 - numba knows no strict
            sample[:] = whole[::_SAMPLE]
        room = count / size
        level, reach = _unbounded(few, room)
        level = _newton(few, room, level, 1e-6 * room)[0]
        reach = reach / room
    return _newton(ramps, 1.0, level, min(2e-15 + 1e-17 * size**0.5 + 2e-16 * reach, 1e-13))


@_compile(**(_SETTINGS | {"fastmath": {"nsz"}}))  # 1 - (1 - x) must stay what it is in floats
def _share(
    clients: _Clients,
    ramps: _Ramps,
    at: tuple[float, float, float],
    band: Array,
    ratio: Array,
    worth: Array,
) -> None:
    """Bands, ratios and d(w x) / d(deadline) of some clients; `at` is level, its error, price."""
    slack_s, prunable_s, upload_s, weight = clients
    start, slope, height = ramps
    level, rest, price = at
    for k in range(band.size):
        c = slack_s[k]
        a = prunable_s[k]
        s = upload_s[k]
        climbed = (level - start[k] + rest) * slope[k]
        low = climbed if climbed > 0.0 else 0.0
        share = low if low < height[k] else height[k]
        size = 1.0 if s == 0.0 else share
        work_s = a * size + s
        used_s = c * size
        late = c < 0.0
        part = used_s / work_s
        whole = (used_s >= work_s * (1.0 - 1e-14)) & (c >= 0.0)
        kept = 1.0 if whole else (0.0 if late else part)
        pruned = 1.0 - kept
        band[k] = share
        ratio[k] = pruned + 2.0**-53 if 1.0 - pruned > kept else pruned
        freed = price * share * share / (kept * s)
        gained = weight[k] * size / work_s
        on_top = (share > 0.0) & (share >= height[k] * (1.0 - 1e-14))
        worth[k] = freed if on_top else (0.0 if whole | late else gained)


@_compile(**_SETTINGS)
def _sum(values: Array) -> float:
    total = 0.0
    for k in range(values.size):
        total += values[k]
    return total


@_compile(**_SETTINGS)
def _finish(
    clients: _Clients, ramps: _Ramps, at: tuple[float, float, float], band: Array, ratio: Array
) -> float:
    """`_share` of one row, block by block; the deadline's price.

    The ramps may lie in `band` and `ratio`.
    """
    c, a, s, w = clients
    room = np.empty((3, _BLOCK))
    deadline_price = 0.0
    for first in range(0, band.size, _BLOCK):
        part = slice(first, min(first + _BLOCK, band.size))
        count = part.stop - part.start
        start = room[0, :count]
        slope = room[1, :count]
        worth = room[2, :count]
        start[:] = ramps[0][part]
        slope[:] = ramps[1][part]
        _share(
            (c[part], a[part], s[part], w[part]),
            (start, slope, ramps[2][part]),
            at,
            band[part],
            ratio[part],
            worth,
        )
        deadline_price += _sum(worth)
    return deadline_price


@_compile(
    void(
        _READ, _READ, _READ, _READ, *[float64[:, ::1]] * 2, *[float64[::1]] * 2, types.boolean[::1]
    ),
    **_SETTINGS,
)
def fill_rows(
    slack_s: Array,
    prunable_s: Array,
    upload_s: Array,
    weight: Array,
    band: Array,
    ratio: Array,
    price: Array,
    deadline_price: Array,
    done: NDArray[np.bool_],
) -> None:
    """Solve every row of a batch in place.

    Args:
        slack_s: c, seconds, (R, K).
        prunable_s: a, seconds, (R, K).
        upload_s: s, seconds over the whole band, (R, K).
        weight: w, (R, K).
        band: Result: fractions of the band, (R, K).
        ratio: Result: pruning ratios, (R, K).
        price: Result: price of the whole band, (R,).
        deadline_price: Result: price of a second of deadline, (R,).
        done: Result: False for rows that are left to another solver, (R,).
    """
    rows, size = slack_s.shape
    height = np.empty(size)
    sample = np.empty((3, (size + _SAMPLE - 1) // _SAMPLE))
    few = sample[0], sample[1], sample[2]
    for row in range(rows):
        clients = slack_s[row], prunable_s[row], upload_s[row], weight[row]
        ramps = band[row], ratio[row], height  # fresh memory costs more than the passes over it
        done[row], top = _prepare(clients, ramps)
        if top <= 1.0:
            level = np.inf
            rest = 0.0
            price[row] = 0.0
        else:
            level, rest, found = _water_level(ramps, few)
            done[row] &= found
            price[row] = level**-2.0
        deadline_price[row] = _finish(
            clients, ramps, (level, rest, price[row]), band[row], ratio[row]
        )


def allocate(
    problem: AllocationProblem, otherwise: Callable[[AllocationProblem], Allocation]
) -> Allocation:
    """Solve a problem with the compiled loop.

    Args:
        problem: The problem, arrays (..., K).
        otherwise: Solver of the rows that the loop leaves unsolved.

    Returns:
        The optimal allocation with its prices.
    """
    shape = problem.shape
    batch = problem.shape[:-1]
    columns = (problem.slack_s, problem.prunable_s, problem.upload_s, problem.weight)
    band, ratio = np.empty((2, *shape))
    price = np.empty(batch)
    deadline_price = np.empty(batch)
    done = np.empty(batch, dtype=np.bool_)
    flat = [np.ascontiguousarray(column).reshape(-1, shape[-1]) for column in columns]
    slack_s, prunable_s, upload_s, weight = flat
    fill_rows(
        slack_s,
        prunable_s,
        upload_s,
        weight,
        band.reshape(-1, shape[-1]),
        ratio.reshape(-1, shape[-1]),
        price.reshape(-1),
        deadline_price.reshape(-1),
        done.reshape(-1),
    )
    if not done.all():
        left = ~done
        found = otherwise(_rows(problem, left))
        band[left] = found.bandwidth_fraction
        ratio[left] = found.pruning_ratio
        price[left] = found.bandwidth_price
        deadline_price[left] = found.deadline_price
    tiny = np.any((ratio >= 1.0) & (band > 0.0))  # kept fractions that the ratio has lost
    return Allocation(
        problem=problem,
        bandwidth_fraction=band,
        pruning_ratio=ratio,
        bandwidth_price=price,
        deadline_price=deadline_price,
        exact_kept=reduce(problem).kept(band) if tiny else None,
    )


def _rows(problem: AllocationProblem, rows: Any) -> AllocationProblem:
    """The problems `rows` (a mask of the batch's shape) of a batch; (R, K)."""
    names = [field.name for field in fields(problem) if field.name != "bandwidth_hz"]
    return replace(problem, **{name: getattr(problem, name)[rows] for name in names})
