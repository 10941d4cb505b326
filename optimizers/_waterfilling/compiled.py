"""Water-filling for fixed SNR without caps and fixed bits, by compiled loops."""

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizers._waterfilling.fixed_snr import reduce
from optimizers._waterfilling.kernels import BLOCK, LONG, fill_rows
from optimizers._waterfilling.memory import empty_pair
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.interface import client_fields
from wirelessfl.allocation.problem import AllocationProblem, Array

_COLUMNS = ("deadline_s", "fixed_s", "prunable_s", "upload_bits", "rate_bps", "weight")
_LOCAL = threading.local()


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
    band, ratio = empty_pair(shape)
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
        *_workspace(shape[-1] + BLOCK if shape[-1] > LONG else 0),
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


def _workspace(size: int) -> tuple[Array, NDArray[np.int64]]:
    """Memory of this thread for the clients of Newton's method, kept for later calls."""
    kept: tuple[Array, NDArray[np.int64]] | None = getattr(_LOCAL, "memory", None)
    if kept is None or kept[1].size < size:
        _LOCAL.memory = kept = np.empty((7, size)), np.empty(size, dtype=np.int64)
    return kept


def _rows(problem: AllocationProblem, rows: Any) -> AllocationProblem:
    """The problems `rows` (a mask of the batch's shape) of a batch; (R, K)."""
    values: Any = {name: getattr(problem, name)[rows] for name in client_fields(problem)}
    return replace(problem, costs=None, **values)
