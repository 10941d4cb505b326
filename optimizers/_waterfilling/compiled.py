"""Compiled water-filling for fixed SNR without caps and fixed bits.

The ramps and the stopping test are those of
`optimizers._waterfilling.waterfill`; a row on which Newton's method does not end within `_PASSES`,
or whose products leave the range of floats, is returned unsolved. Loops are written without
branches, with sums per block, so that they run in vector registers.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numba import float64, njit, types
from numpy.typing import ArrayLike, NDArray

from optimizers._waterfilling.fixed_snr import reduce
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import AllocationProblem, Array

_Ramps: TypeAlias = tuple[Array, Array, Array]  # start, slope, height of every client of one row
_Columns: TypeAlias = tuple[Array, ...]  # fields that the loop reads, (R or 1, K or 1)

_Function = TypeVar("_Function", bound=Callable[..., Any])

_COLUMNS = ("deadline_s", "fixed_s", "prunable_s", "upload_bits", "rate_bps", "weight")
_LOCAL = threading.local()
_PASSES = 60
_BLOCK = 1024  # numbers per partial sum: plain running sums of long rows miss the tolerance
_SAMPLE = 64  # every 64th client of a long row decides where Newton's method starts
_LONG = 4096
_TYPES: Any = types  # whose functions have no annotations
_READ = _TYPES.Array(float64, 2, "C", readonly=True)
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
def _sum(values: Array) -> float:
    total = 0.0
    for k in range(values.size):
        total += values[k]
    return total


@_compile(**_SETTINGS)
def _copy(line: Array, first: int, step: int, room: Array) -> None:
    """Every `step`-th value of a line from `first`."""
    if step == 1:
        part = line[first : first + room.size]
        for k in range(room.size):
            room[k] = part[k]
    else:
        for k in range(room.size):
            room[k] = line[first + k * step]


@_compile(**_SETTINGS)
def _subtract(values: Array, others: Array, room: Array) -> None:
    for k in range(room.size):
        room[k] = values[k] - others[k]


@_compile(**_SETTINGS)
def _divide(bits: Array, rate_bps: Array, room: Array) -> None:
    """Seconds of an upload, 0 without bits."""
    for k in range(room.size):
        some = bits[k]
        seconds = some / rate_bps[k]
        room[k] = seconds if some > 0.0 else 0.0


@_compile(**_SETTINGS)
def _load(columns: _Columns, row: int, first: int, step: int, count: int, block: Array) -> None:
    """Columns of every `step`-th client from `first`, slack in row 6, upload time in row 7.

    A column with one row holds for all rows; numbers are those of `_load_numbers`.
    """
    for place in range(6):
        column = columns[place]
        line = column[row if column.shape[0] > 1 else 0]
        if line.size > 1:
            _copy(line, first, step, block[place, :count])
    _subtract(block[0, :count], block[1, :count], block[6, :count])
    _divide(block[3, :count], block[4, :count], block[7, :count])


@_compile(**_SETTINGS)
def _load_numbers(columns: _Columns, row: int, block: Array) -> None:
    """Values of the columns that have one number for all clients of a row."""
    for place in range(6):
        column = columns[place]
        line = column[row if column.shape[0] > 1 else 0]
        if line.size == 1:
            block[place] = line[0]


@_compile(**_SETTINGS)
def _ramps(block: Array, start: Array, slope: Array, height: Array) -> float:
    """Ramps of some clients; the count of clients whose products leave the range of floats."""
    slack_s, prunable_s = block[6, : start.size], block[2, : start.size]
    upload_s, weight = block[7, : start.size], block[5, : start.size]
    lost = 0.0
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
    return lost


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
def _prepare(
    columns: _Columns, row: int, ramps: _Ramps, block: Array, level: float
) -> tuple[bool, float, float, float]:
    """Ramps of one row: whether their products are floats, sum of heights, bands at `level`."""
    lost = 0.0
    top = 0.0
    total = 0.0
    steepness = 0.0
    for first in range(0, ramps[0].size, _BLOCK):
        last = min(first + _BLOCK, ramps[0].size)
        foot = ramps[0][first:last]
        pace = ramps[1][first:last]
        most = ramps[2][first:last]
        _load(columns, row, first, 1, last - first, block)
        lost += _ramps(block, foot, pace, most)
        top += _sum(most)
        band, rise = _climb((foot, pace, most), level)
        total += band
        steepness += rise
    return lost == 0.0, top, total, steepness


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
def _newton(
    ramps: _Ramps, room: float, level: float, rounding: float, total: float, steepness: float
) -> tuple[float, float, bool]:
    """Level at which the bands of one row sum to `room`, its last-digit error, and success.

    The search starts at `level`, where the bands sum to `total` and climb with `steepness`.
    """
    low, high = 0.0, np.inf
    for _ in range(_PASSES):
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
        total, steepness = _climb(ramps, level)
    return level, 0.0, False


@_compile(**_SETTINGS)
def _first_level(columns: _Columns, row: int, size: int, few: Array) -> tuple[float, float]:
    """Level from a sample of a long row, and the depth of all ramps below 0 at level 0."""
    count = few.shape[1]
    ramps = few[8], few[9], few[10]
    _load_numbers(columns, row, few)
    _load(columns, row, 0, _SAMPLE, count, few)
    _ramps(few, *ramps)
    room = count / size
    level, reach = _unbounded(ramps, room)
    total, steepness = _climb(ramps, level)
    level = _newton(ramps, room, level, 1e-6 * room, total, steepness)[0]
    return level, reach / room


@_compile(**(_SETTINGS | {"fastmath": {"nsz"}}))  # 1 - (1 - x) must stay what it is in floats
def _share(
    clients: Array,
    ramps: _Ramps,
    at: tuple[float, float, float],
    band: Array,
    ratio: Array,
    worth: Array,
) -> None:
    """Bands, ratios and d(w x) / d(deadline) of some clients; `at` is level, its error, price."""
    slack_s, prunable_s, upload_s, weight = clients[6], clients[2], clients[7], clients[5]
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
def _finish(
    columns: _Columns,
    row: int,
    ramps: _Ramps,
    at: tuple[float, float, float],
    band: Array,
    ratio: Array,
    block: Array,
) -> float:
    """`_share` of one row, block by block; the deadline's price.

    The ramps may lie in `band` and `ratio`.
    """
    deadline_price = 0.0
    for first in range(0, band.size, _BLOCK):
        last = min(first + _BLOCK, band.size)
        count = last - first
        _load(columns, row, first, 1, count, block)
        start, slope, worth = block[8, :count], block[9, :count], block[10, :count]
        start[:] = ramps[0][first:last]
        slope[:] = ramps[1][first:last]
        _share(
            block,
            (start, slope, ramps[2][first:last]),
            at,
            band[first:last],
            ratio[first:last],
            worth,
        )
        deadline_price += _sum(worth)
    return deadline_price


@_compile(**_SETTINGS)
def _any_tiny(band: Array, ratio: Array) -> bool:
    """True if a kept fraction is lost in a ratio of 1."""
    found = 0
    for k in range(band.size):
        found += (ratio[k] >= 1.0) & (band[k] > 0.0)
    return found > 0


@_compile(
    _TYPES.boolean(
        _TYPES.UniTuple(_READ, 6),
        *[float64[:, ::1]] * 2,
        *[float64[::1]] * 2,
        _TYPES.boolean[::1],
        float64[::1],
    ),
    **_SETTINGS,
)
def fill_rows(
    columns: _Columns,
    band: Array,
    ratio: Array,
    price: Array,
    deadline_price: Array,
    done: NDArray[np.bool_],
    height: Array,
) -> bool:
    """Solve every row of a batch in place.

    Args:
        columns: Deadline, fixed and prunable seconds, upload bits, bit/s and weight; each (R, K),
            (R, 1), (1, K) or (1, 1).
        band: Result: fractions of the band, (R, K).
        ratio: Result: pruning ratios, (R, K).
        price: Result: price of the whole band, (R,).
        deadline_price: Result: price of a second of deadline, (R,).
        done: Result: False for rows that are left to another solver, (R,).
        height: Room for intermediate values, (K,).

    Returns:
        Whether a kept fraction is lost in a ratio of 1.
    """
    rows, size = band.shape
    block = np.empty((11, min(size, _BLOCK)))
    few = np.empty((11, (size + _SAMPLE - 1) // _SAMPLE))
    tiny = False
    for row in range(rows):
        ramps = band[row], ratio[row], height  # fresh memory costs more than the passes over it
        level, reach = 0.0, 0.0
        _load_numbers(columns, row, block)
        if size > _LONG:
            level, reach = _first_level(columns, row, size, few)
        done[row], top, total, steepness = _prepare(columns, row, ramps, block, level)
        if top <= 1.0:
            level = np.inf
            rest = 0.0
            price[row] = 0.0
        else:
            if size <= _LONG:
                level, reach = _unbounded(ramps, 1.0)
                total, steepness = _climb(ramps, level)
            rounding = min(2e-15 + 1e-17 * size**0.5 + 2e-16 * reach, 1e-13)
            level, rest, found = _newton(ramps, 1.0, level, rounding, total, steepness)
            done[row] &= found
            price[row] = level**-2.0
        deadline_price[row] = _finish(
            columns, row, ramps, (level, rest, price[row]), band[row], ratio[row], block
        )
        tiny |= _any_tiny(band[row], ratio[row])
    return tiny


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
    batch = shape[:-1]
    rows = math.prod(batch)
    band, ratio = np.empty(shape), np.empty(shape)
    price = np.empty(batch)
    deadline_price = np.empty(batch)
    done = np.empty(batch, dtype=np.bool_)
    tiny = fill_rows(
        tuple(_column(getattr(problem, name), rows) for name in _COLUMNS),
        band.reshape(rows, -1),
        ratio.reshape(rows, -1),
        price.reshape(-1),
        deadline_price.reshape(-1),
        done.reshape(-1),
        _workspace(shape[-1]),
    )
    if not done.all():
        left = ~done
        found = otherwise(_rows(problem, left))
        band[left] = found.bandwidth_fraction
        ratio[left] = found.pruning_ratio
        price[left] = found.bandwidth_price
        deadline_price[left] = found.deadline_price
        tiny = bool(np.any((ratio >= 1.0) & (band > 0.0)))
    return Allocation(
        problem=problem,
        bandwidth_fraction=band,
        pruning_ratio=ratio,
        bandwidth_price=price,
        deadline_price=deadline_price,
        exact_kept=reduce(problem).kept(band) if tiny else None,
    )


def _column(values: ArrayLike, rows: int) -> Array:
    """Values (..., K) as contiguous (R, K), with one row or client where all are the same."""
    array = np.asarray(values)
    if array.strides[-1] == 0:
        array = array[..., :1]
    if not any(array.strides[:-1]):
        return np.ascontiguousarray(array[(0,) * (array.ndim - 1)])[None]
    return np.ascontiguousarray(array).reshape(rows, -1)


def _workspace(size: int) -> Array:
    """Memory of this thread for intermediate values, kept for later calls; (size,)."""
    kept: Array | None = getattr(_LOCAL, "memory", None)
    if kept is None or kept.size < size:
        _LOCAL.memory = kept = np.empty(size)
    return kept[:size]


def _rows(problem: AllocationProblem, rows: Any) -> AllocationProblem:
    """The problems `rows` (a mask of the batch's shape) of a batch; (R, K)."""
    names = [field.name for field in fields(problem) if field.name != "bandwidth_hz"]
    return replace(problem, **{name: getattr(problem, name)[rows] for name in names})
