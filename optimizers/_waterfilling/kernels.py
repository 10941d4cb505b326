"""Compiled loops of water-filling for fixed SNR without caps and fixed bits.

All of them are in one file, whose change makes numba compile them anew. The ramps and the stopping
test are those of `optimizers._waterfilling.waterfill`; a row on which Newton's method does not end
within `_PASSES`, whose products leave the range of floats, or whose bands do not sum to 1 in the
end, is returned unsolved.

A long row is read twice. A sample of its clients brackets the level. With r = sqrt(w c s) a client
has no band below the level s / r, its ceiling above the level c s / (r (c - a)), and the band
(level r - s) / a between them: clients that stay on one side of both ends within the bracket are
summed up in the first pass, and only the others take part in Newton's method. The second pass
writes the results. Loops are written without branches, with few arrays each and sums per block, so
that they run in vector registers.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numba import float64, njit, types
from numpy.typing import NDArray

from wirelessfl.allocation.problem import Array

_Ramps: TypeAlias = tuple[Array, Array, Array]  # start, slope, height of every client of one row
_Clients: TypeAlias = tuple[Array, Array, Array, Array]  # slack, prunable, upload time, weight
_Columns: TypeAlias = tuple[Array, ...]  # fields that the loop reads, (R or 1, K or 1)
_Room: TypeAlias = tuple[Array, Array, Array]  # memory for one block
_Open: TypeAlias = tuple[NDArray[np.int64], Array]  # clients of Newton's method and their values

_Function = TypeVar("_Function", bound=Callable[..., Any])

_PASSES = 60
BLOCK = 1024  # numbers per partial sum: plain running sums of long rows miss the tolerance
_SAMPLE = 64  # every 64th client of a long row decides where Newton's method starts
LONG = 4096
_SHARE = 8  # an eighth of the clients of a shorter row decides where Newton's method starts
_LEAST_FEW = 32
_SPREAD = 5.0  # half width of the bracket of a sample's level, in standard errors
_LEAST_WIDTH = 1e-6  # of the level: the least half width, which its rounding does not reach
_STEEPEST = 1e300  # slope of a step, as in `waterfill`
_LAST_DIGITS = 1e-13  # step of the level, relative, from which its last digits count
_EVEN = 1e-12  # distance of the summed bands from 1 beyond which a row is unsolved
_AT_TOP = 1.0 - 1e-14  # relative size from which a band is at its ceiling
_TYPES: Any = types  # whose functions have no annotations
_READ = _TYPES.Array(float64, 2, "C", readonly=True)
_SETTINGS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {
        "reassoc",
        "nsz",
        "contract",
    },  # lets sums run in vector registers; infinities and nan keep meaning
    "cache": True,
}

_UNFUSED = _SETTINGS | {"fastmath": {"reassoc", "nsz"}}  # products are rounded before a sum
_AS_WRITTEN = _SETTINGS | {"fastmath": {"nsz"}}  # sums and differences keep their order


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
def _part(column: Array, row: int, first: int, last: int, numbers: Array) -> Array:
    """Values of some clients of a row; those of `numbers` where one holds for all clients."""
    line = column[row if column.shape[0] > 1 else 0]
    return line[first:last] if line.size > 1 else numbers[: last - first]


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
def _load_numbers(columns: _Columns, row: int, numbers: Array) -> None:
    """Values of the columns that have one number for all clients of a row."""
    for place in range(6):
        column = columns[place]
        line = column[row if column.shape[0] > 1 else 0]
        if line.size == 1 and (row == 0 or column.shape[0] > 1):
            numbers[place] = line[0]


@_compile(**_SETTINGS)
def _loaded(
    columns: _Columns, row: int, first: int, last: int, numbers: Array, times: Array
) -> _Clients:
    """Slack, prunable time, upload time and weight of clients of which `times` has two already."""
    prunable_s = _part(columns[2], row, first, last, numbers[2])
    weight = _part(columns[5], row, first, last, numbers[5])
    return times[0, : last - first], prunable_s, times[1, : last - first], weight


@_compile(**_SETTINGS)
def _load(
    columns: _Columns, row: int, first: int, last: int, numbers: Array, times: Array
) -> _Clients:
    """Slack, prunable time, upload time and weight of some clients; room for two is `times`."""
    _subtract(
        _part(columns[0], row, first, last, numbers[0]),
        _part(columns[1], row, first, last, numbers[1]),
        times[0, : last - first],
    )
    _divide(
        _part(columns[3], row, first, last, numbers[3]),
        _part(columns[4], row, first, last, numbers[4]),
        times[1, : last - first],
    )
    return _loaded(columns, row, first, last, numbers, times)


@_compile(**_SETTINGS)
def _ramps(clients: _Clients, start: Array, slope: Array, height: Array) -> float:
    """Ramps of some clients; the count of clients whose products leave the range of floats."""
    slack_s, prunable_s, upload_s, weight = clients
    lost = 0.0
    for k in range(start.size):
        c = slack_s[k]
        s = upload_s[k]
        w = weight[k]
        uses = (c > 0.0) & (w > 0.0) & (s > 0.0) & (s < np.inf)
        root_s = np.sqrt(w * c * s if uses else 1.0)
        lost += 0.0 if (root_s > 0.0) & (root_s < np.inf) else 1.0
        start[k] = s / root_s if uses else 0.0
        slope[k] = root_s if uses else 0.0
    for k in range(start.size):
        a = prunable_s[k]
        s = upload_s[k]
        steep = slope[k] / a
        room_s = slack_s[k] - a
        most = s / room_s if room_s > 0.0 else np.inf
        uses = slope[k] > 0.0
        slope[k] = (steep if steep < _STEEPEST else _STEEPEST) if uses else 0.0
        height[k] = most if uses else 0.0
    return lost


@_compile(**_SETTINGS)
def _climb(ramps: _Ramps, level: float) -> tuple[float, float]:
    """The sum of the bands of some clients at `level`, and its slope there."""
    start, slope, height = ramps
    total = 0.0
    steepness = 0.0
    for first in range(0, start.size, BLOCK):
        part = 0.0
        part_steepness = 0.0
        foot = start[first : first + BLOCK]
        pace = slope[first : first + BLOCK]
        most = height[first : first + BLOCK]
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


@_compile(**_AS_WRITTEN)
def _band_on(ramp: tuple[float, float, float], level: float, rest: float) -> float:
    """Band of a ramp at a level; a small rest has digits that its sum with the level has not."""
    climbed = (level - ramp[0] + rest) * ramp[1]
    low = climbed if climbed > 0.0 else 0.0
    return low if low < ramp[2] else ramp[2]


@_compile(**_AS_WRITTEN)
def _climb_near(ramps: _Ramps, level: float, rest: float) -> tuple[float, float]:
    """Result of `_climb` at the sum of a level and a rest below its last digit."""
    start, slope, height = ramps
    total = 0.0
    steepness = 0.0
    for first in range(0, start.size, BLOCK):
        part = 0.0
        for k in range(first, min(first + BLOCK, start.size)):
            band = _band_on((start[k], slope[k], height[k]), level, rest)
            part += band
            steepness += slope[k] if (band > 0.0) & (band < height[k]) else 0.0
        total += part
    return total, steepness


@_compile(**_AS_WRITTEN)
def _newton(
    ramps: _Ramps,
    room: float,
    bracket: tuple[float, float, float],
    others: tuple[float, float],
    rounding: float,
) -> tuple[float, float, bool]:
    """Level at which the bands of one row sum to `room`, a rest to add to it, and success.

    The search starts at the second of the three levels of `bracket`. In addition to the ramps there
    are clients whose bands sum to the first of `others` there, and climb with the second between
    the first and the last level, where the search ends without success.
    """
    least, origin, most = bracket
    level = origin
    rest = 0.0
    near = False
    low, high = least, most
    for _ in range(_PASSES):
        total, steepness = _climb_near(ramps, level, rest) if near else _climb(ramps, level)
        total += others[0]
        if others[1] > 0.0:
            total += others[1] * ((level - origin) + rest)
            steepness += others[1]
        missing = room - total
        step = missing / steepness
        if abs(missing) <= rounding:
            rest += step if abs(missing) > 4e-15 else 0.0
            return level, rest, abs(rest) < np.inf
        near |= abs(step) <= _LAST_DIGITS * level
        if near:
            rest += step
            continue
        if level == (most if missing > 0.0 else least):
            break
        if missing > 0.0:
            low = level
        else:
            high = level
        level += step
        if not ((level > low) & (level < high)):
            if missing > 0.0 and high == most:
                level = most if most < np.inf else 2.0 * low
            elif missing < 0.0 and low == least and least > 0.0:
                level = least
            else:
                level = 0.5 * (low + high)
    return level, 0.0, False


@_compile(**_SETTINGS)
def _sample(
    columns: _Columns, row: int, size: int, few: Array
) -> tuple[tuple[float, float, float], float, bool]:
    """Bracket of a long row's level from some clients, depth of its ramps below 0, and success."""
    count = few.shape[1]
    for place in range(6):
        column = columns[place]
        line = column[row if column.shape[0] > 1 else 0]
        for k in range(count):
            few[place, k] = line[k * _SAMPLE] if line.size > 1 else line[0]
    _subtract(few[0], few[1], few[0])
    _divide(few[3], few[4], few[3])
    start, slope, height = few[6], few[7], few[8]
    _ramps((few[0], few[2], few[3], few[5]), start, slope, height)
    ramps = start, slope, height
    room = count / size
    level, reach = _unbounded(ramps, room)
    level, _, done = _newton(ramps, room, (0.0, level, np.inf), (0.0, 0.0), 1e-6 * room)
    mean = room / count
    spread = 0.0
    for k in range(count):
        band = min(max((level - start[k]) * slope[k], 0.0), height[k])
        spread += (band - mean) ** 2
    error = spread**0.5 / _climb(ramps, level)[1]  # standard error of the level
    width = min(_SPREAD * error + _LEAST_WIDTH * level, 0.5 * level)
    return (level - width, level, level + width), reach / room, done & (width > 0.0)


@_compile(**_UNFUSED)
def _sort_out(
    clients: _Clients, bracket: tuple[float, float, float], open_: Array
) -> tuple[float, float, float, float]:
    """Clients on one side of both ends of their ramps throughout the bracket, summed up.

    Their bands at the middle level, the slope of these, the count of all clients whose products
    leave the range of floats, and the count of the others, which are marked by 1 in `open_`.
    """
    slack_s, prunable_s, upload_s, weight = clients
    low, middle, high = bracket
    total = 0.0
    steepness = 0.0
    lost = 0.0
    left = 0.0
    for k in range(open_.size):
        c = slack_s[k]
        a = prunable_s[k]
        s = upload_s[k]
        w = weight[k]
        uses = (c > 0.0) & (w > 0.0) & (s > 0.0) & (s < np.inf)
        r = np.sqrt(w * c * s if uses else 1.0)
        lost += 0.0 if (r > 0.0) & (r < np.inf) else 1.0
        room_s = c - a
        at_low = low * r
        at_high = high * r
        full = uses & (at_low * room_s >= c * s)
        climbs = uses & ~full & (at_low >= s) & (at_high * room_s <= c * s)
        pace = 1.0 / (room_s if full else a)
        total += ((s if full else middle * r - s) * pace) if full | climbs else 0.0
        steepness += r * pace if climbs else 0.0
        here = 1.0 if uses & ~full & ~climbs & (at_high > s) else 0.0
        open_[k] = here
        left += here
    return total, steepness, lost, left


@_compile(**_SETTINGS)
def _copy_open(clients: _Clients, open_: Array, first: int, found: _Open, count: int) -> int:
    """Append the marked clients to `found`, whose first `count` places are taken."""
    index, copied = found
    before = count
    for k in range(open_.size):
        index[count] = first + k
        count += int(open_[k])
    for place in range(before, count):
        k = index[place] - first
        copied[0, place] = clients[0][k]
        copied[1, place] = clients[1][k]
        copied[2, place] = clients[2][k]
        copied[3, place] = clients[3][k]
    return count


@_compile(**_SETTINGS)
def _search_long(
    columns: _Columns, row: int, size: int, room: _Room, found: _Open, few: Array
) -> tuple[float, float, float, int, bool]:
    """Level of a long row, that of its sample, the rest, number of open clients, and success.

    The ramps of the open clients are the last three rows of the copies in `found`.
    """
    numbers, times, open_ = room
    bracket, reach, found_level = _sample(columns, row, size, few)
    if not found_level:
        return 0.0, 0.0, 0.0, 0, False
    total = 0.0
    steepness = 0.0
    lost = 0.0
    count = 0
    for first in range(0, size, BLOCK):
        last = min(first + BLOCK, size)
        clients = _load(columns, row, first, last, numbers, times)
        part, rise, beyond, left = _sort_out(clients, bracket, open_[: last - first])
        total += part
        steepness += rise
        lost += beyond
        if left > 0.0:
            if count + last - first > found[0].size:
                return 0.0, 0.0, 0.0, 0, False
            count = _copy_open(clients, open_[: last - first], first, found, count)
    copied = found[1]
    ramps = copied[4, :count], copied[5, :count], copied[6, :count]
    clients = copied[0, :count], copied[1, :count], copied[2, :count], copied[3, :count]
    _ramps(clients, *ramps)
    level, rest, done = _newton(ramps, 1.0, bracket, (total, steepness), _rounding(size, reach))
    return level, bracket[1], rest, count, done & (lost == 0.0)


@_compile(**_SETTINGS)
def _rounding(size: int, reach: float) -> float:
    """Distance of the summed bands from 1 that the last digit of the level decides."""
    return float(min(2e-15 + 1e-17 * size**0.5 + 2e-16 * reach, 1e-13))


@_compile(**_AS_WRITTEN)
def _bands_at(clients: _Clients, level: float, middle: float, rest: float, band: Array) -> None:
    """Bands at `level`, which is `middle` + `rest`, of clients that are not open.

    They are rounded as those of `_sort_out`, which for identical clients adds up.
    """
    slack_s, prunable_s, upload_s, weight = clients
    for k in range(band.size):
        c = slack_s[k]
        a = prunable_s[k]
        s = upload_s[k]
        w = weight[k]
        uses = (c > 0.0) & (w > 0.0) & (s > 0.0) & (s < np.inf)
        r = np.sqrt(w * c * s if uses else 1.0)
        room_s = c - a
        full = level * r * room_s >= c * s
        climbed = (middle * r - s) + rest * r
        pace = 1.0 / (room_s if full else a)
        share = (s if full else climbed) * pace
        band[k] = share if uses & ((climbed > 0.0) | full) else 0.0


@_compile(**_AS_WRITTEN)
def _bands_on(ramps: _Ramps, level: float, rest: float, band: Array) -> None:
    """Bands of ramps at a level."""
    start, slope, height = ramps
    for k in range(band.size):
        band[k] = _band_on((start[k], slope[k], height[k]), level, rest)


@_compile(**_AS_WRITTEN)
def _prune(clients: _Clients, price: float, band: Array, ratio: Array, worth: Array) -> int:
    """Ratios, d(w x) / d(deadline) of some clients, and the count of fractions lost in a ratio."""
    slack_s, prunable_s, upload_s, weight = clients
    tiny = 0
    for k in range(band.size):
        c = slack_s[k]
        a = prunable_s[k]
        s = upload_s[k]
        share = band[k]
        size = 1.0 if s == 0.0 else share
        work_s = a * size + s
        used_s = c * size
        whole = (used_s >= work_s * _AT_TOP) & (c >= 0.0)
        on_top = (share > 0.0) & (s > 0.0) & (share * (c - a) >= s * _AT_TOP)
        pace = 1.0 / (s if on_top else work_s)
        kept = 1.0 if whole else (0.0 if c < 0.0 else used_s * pace)
        pruned = 1.0 - kept
        pruned = pruned + 2.0**-53 if 1.0 - pruned > kept else pruned
        ratio[k] = pruned
        tiny += (pruned >= 1.0) & (share > 0.0)
        gained = 0.0 if whole | (c < 0.0) else weight[k] * size * pace
        worth[k] = price * share * share * pace if on_top else gained
    return tiny


@_compile(**_SETTINGS)
def _search(columns: _Columns, row: int, room: _Room, ramps: _Ramps) -> tuple[float, float, bool]:
    """Level of a row from the ramps of all clients, the rest, and success."""
    numbers, times, _ = room
    start, slope, height = ramps
    size = start.size
    lost = 0.0
    top = 0.0
    for first in range(0, size, BLOCK):
        last = min(first + BLOCK, size)
        clients = _load(columns, row, first, last, numbers, times)
        lost += _ramps(clients, start[first:last], slope[first:last], height[first:last])
        top += _sum(height[first:last])
    if top <= 1.0:
        return np.inf, 0.0, lost == 0.0
    level, reach = _unbounded(ramps, 1.0)
    few = size // _SHARE
    if few >= _LEAST_FEW:  # a first estimate
        some = start[:few], slope[:few], height[:few]
        guess, _ = _unbounded(some, few / size)
        guess, _, found = _newton(some, few / size, (0.0, guess, np.inf), (0.0, 0.0), 1e-3 / _SHARE)
        level = guess if found else level
    level, rest, done = _newton(
        ramps, 1.0, (0.0, level, np.inf), (0.0, 0.0), _rounding(size, reach)
    )
    return level, rest, done & (lost == 0.0)


@_compile(
    _TYPES.boolean(
        _TYPES.UniTuple(_READ, 6),
        *[float64[:, ::1]] * 2,
        *[float64[::1]] * 2,
        _TYPES.boolean[::1],
        float64[:, ::1],
        _TYPES.int64[::1],
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
    memory: Array,
    index: NDArray[np.int64],
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
        memory: Room for intermediate values, (7, N).
        index: Room for the numbers of clients, (N,).

    Returns:
        Whether a kept fraction is lost in a ratio of 1.
    """
    rows, size = band.shape
    numbers = np.empty((6, BLOCK))
    times = np.empty((3, BLOCK))
    open_ = times[2]
    room = numbers, times[:2], open_
    few = np.empty((9, (size + _SAMPLE - 1) // _SAMPLE if size > LONG else 0))
    found = index, memory
    # Starts and heights of the ramps; their slopes lie in `ratio` until the ratios are known.
    ends = np.empty((2, size if size <= LONG else 0))
    tiny = 0
    for row in range(rows):
        _load_numbers(columns, row, numbers)
        count = 0
        solved = False
        level, middle, rest = 0.0, 0.0, 0.0
        if size > LONG:
            level, middle, rest, count, solved = _search_long(columns, row, size, room, found, few)
        by_ramps = not solved
        if by_ramps:
            if ends.size == 0:
                ends = np.empty((2, size))
            ramps = ends[0], ratio[row], ends[1]
            level, rest, solved = _search(columns, row, room, ramps)
        price[row] = (level + rest) ** -2.0
        worth = 0.0
        total = 0.0
        place = 0
        for first in range(0, size, BLOCK):
            last = min(first + BLOCK, size)
            if size > BLOCK:
                clients = _load(columns, row, first, last, numbers, room[1])
            else:
                clients = _loaded(columns, row, first, last, numbers, room[1])
            share = band[row, first:last]
            if by_ramps:
                ramps = ends[0, first:last], ratio[row, first:last], ends[1, first:last]
                _bands_on(ramps, level, rest, share)
            else:
                _bands_at(clients, level, middle, (level - middle) + rest, share)
                while place < count and index[place] < last:
                    ramp = memory[4, place], memory[5, place], memory[6, place]
                    band[row, index[place]] = _band_on(ramp, level, rest)
                    place += 1
            gains = open_[: last - first]
            tiny += _prune(clients, price[row], share, ratio[row, first:last], gains)
            worth += _sum(gains)
            total += _sum(share)
        deadline_price[row] = worth
        done[row] = solved and (level == np.inf or abs(total - 1.0) <= _EVEN)
    return tiny > 0
