"""Allocation in whole resource blocks."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizers._exclusion import without_clients
from optimizers._waterfilling.curve import ROUNDING, TOUCHING, Curve, allocation_of
from optimizers._waterfilling.rate_models import curve_of
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.border.budget import check_budget
from wirelessfl.errors import InputError, check_count

Counts = NDArray[np.intp]
_BLOCK_EVENTS = 30  # work of a block next to that of a client in it
_PAIR_BYTES = 16  # of the dynamic program over pairs of numbers of blocks


@dataclass(frozen=True, kw_only=True)
class ResourceBlocks:
    """min sum_k w_k rho_k as in `Exact`, with b_k = n_k / N in whole blocks.

    All blocks are equally good for a client, so the gain of its n-th block, w (x(n/N) -
    x((n-1)/N)), falls with n (x is concave), and assigning block after block to the client that
    gains most is optimal: no exchange of two blocks helps. Where a table of efficiencies meets
    noise with a density, x is not concave and a dynamic program over clients and blocks finds the
    optimum. Blocks without gain for any client are not assigned. 106 blocks are a 5G carrier of 20
    MHz with 15 kHz sub-carriers (3GPP TS 38.101-1, table 5.3.2-1);
    `wirelessfl.radio.numerology.resource_blocks` has the others.

    Fixed bits and caps take whole blocks first. Where those exceed N the caps are dropped, then the
    clients with fixed bits, as in `Exact`; `Allocation.reason` says so. `bandwidth_price` is the
    gain of the next block per whole band; `deadline_price` the derivative with the blocks
    unchanged.

    Attributes:
        blocks: N, at least 1.
    """

    blocks: int = 106

    def __post_init__(self) -> None:
        check_count("blocks", self.blocks)

    def solve(self, problem: Problem) -> Allocation:
        """Assign the blocks.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The allocation, optimal to the block.
        """
        self._check_size(problem)
        curve, first = _in_blocks(problem, self.blocks)
        kept = _kept(curve, self.blocks)
        worth = np.asarray(curve.weight)[..., None] * kept
        if _is_concave(problem):
            gain = np.where(np.arange(self.blocks) < first[..., None], 0.0, np.diff(worth, axis=-1))
            given, following = _most_gaining(gain, first)
            counts = first + given
        else:
            counts, following = _most_worth(
                np.where(kept >= _least(curve)[..., None], worth, -np.inf)
            )
        band = counts / self.blocks
        active = (curve.kept(band) < 1.0) & ~curve.excluded
        return replace(
            allocation_of(curve, problem, band, self.blocks * following),
            deadline_price=np.where(active, curve.deadline_gain(band), 0.0).sum(axis=-1),
        )

    def _check_size(self, problem: Problem) -> None:
        cause = f"allocation.blocks = {self.blocks} for {problem.shape[-1]} clients"
        check_budget(cause, "events", self.blocks * (_BLOCK_EVENTS + problem.shape[-1]))
        if not _is_concave(problem):
            check_budget(cause, "bytes", _PAIR_BYTES * self.blocks**2)


def assign_blocks(value: ArrayLike) -> Counts:
    """Assign one block to each client, for blocks that differ (a frequency-selective channel).

    Solves the assignment problem: at most one block per client and one client per block, with the
    largest sum of values.

    Args:
        value: Value of block n to client k, (K, N).

    Returns:
        Block of each client, (K,); -1 for clients without one.

    Raises:
        InputError: Another shape, or values that are not finite.

    Example:
        >>> from optimizers import assign_blocks
        >>> assign_blocks([[3.0, 2.0], [2.5, 0.0]]).tolist()
        [1, 0]
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and needed here only

    matrix = np.asarray(value, dtype=np.float64)
    if matrix.ndim != 2:
        raise InputError(f"value must have shape (clients, blocks), got {matrix.shape}")
    if not np.all(np.isfinite(matrix)):
        raise InputError(f"value must be finite, got {matrix[~np.isfinite(matrix)][0]}")
    clients, blocks = linear_sum_assignment(matrix, maximize=True)
    assigned = np.full(matrix.shape[0], -1, dtype=np.intp)
    assigned[clients] = blocks
    return assigned


def _in_blocks(problem: Problem, blocks: int) -> tuple[Curve, Counts]:
    """The curve of what whole blocks can carry, and the blocks each client must have; (..., K)."""
    curve = curve_of(problem)
    for give_up in (_caps, _fixed_bits):
        clash = _first(curve, blocks).sum(axis=-1, keepdims=True) > blocks
        if not clash.any():
            break
        problem = give_up(problem, clash)
        curve = curve_of(problem)
    return curve, _first(curve, blocks)


def _first(curve: Curve, blocks: int) -> Counts:
    """Fewest blocks with which a client takes part within its cap; more than all where none do."""
    enough = _kept(curve, blocks) >= _least(curve)[..., None]
    enough &= np.arange(blocks + 1) >= (curve.floor * blocks * (1.0 - ROUNDING))[..., None]
    return np.where(enough.any(axis=-1), enough.argmax(axis=-1), blocks + 1)


def _least(curve: Curve) -> Array:
    """The least kept fraction that the cap allows, but for rounding."""
    return np.where(curve.excluded, 0.0, (1.0 - curve.cap) * (1.0 - TOUCHING))


def _is_concave(problem: Problem) -> bool:
    return (
        not isinstance(problem, NoisePsdProblem) or problem.is_shannon or problem.pieces.count == 1
    )


def _caps(problem: Problem, where: NDArray[np.bool_]) -> Problem:
    return replace(problem, max_pruning_ratio=np.where(where, 1.0, problem.max_pruning_ratio))


def _fixed_bits(problem: Problem, where: NDArray[np.bool_]) -> Problem:
    """The problem without its clients that have fixed bits."""
    return without_clients(problem, where & (np.asarray(problem.fixed_upload_bits) > 0))


def _kept(curve: Curve, blocks: int) -> Array:
    """x(n/N) for n = 0 ... N; (..., K, N + 1)."""
    shape = curve.floor.shape
    return np.stack(
        [curve.kept(np.full(shape, count / blocks)) for count in range(blocks + 1)], axis=-1
    )


def _most_worth(worth: Array) -> tuple[Counts, Array]:
    """Blocks of each client, (..., K), that maximise `worth` (..., K, N + 1), and the next gain."""
    counts = np.empty(worth.shape[:-1], dtype=np.intp)
    following = np.empty(worth.shape[:-2])
    for row in np.ndindex(following.shape):
        counts[row], following[row] = _most_worth_of_one(worth[row])
    return counts, following


def _most_worth_of_one(worth: Array) -> tuple[Counts, float]:
    """The same for one problem, (K, N + 1): a table of the best worth of the first k clients."""
    blocks = worth.shape[-1] - 1
    left = np.arange(blocks + 2)[:, None] - np.arange(
        blocks + 1
    )  # of n blocks when the client takes m
    best = np.zeros(blocks + 2)
    taken = []
    for row in worth:
        total = np.where(left >= 0, best[np.maximum(left, 0)] + row, -np.inf)
        taken.append(total.argmax(axis=-1))
        best = total.max(axis=-1)
    counts = np.empty(worth.shape[0], dtype=np.intp)
    remaining = blocks
    for client in range(worth.shape[0] - 1, -1, -1):
        counts[client] = taken[client][remaining]
        remaining -= counts[client]
    return counts, float(best[blocks + 1] - best[blocks])


def _most_gaining(gain: Array, first: Counts) -> tuple[Counts, Array]:
    """Free blocks that each client gets, (..., K), and the gain of the next block, (...,).

    Gains fall along a client's row, so the largest of all are those that block after block would
    find.
    """
    blocks = gain.shape[-1]
    flat = gain.reshape(*gain.shape[:-2], -1)
    order = np.argsort(-flat, axis=-1, kind="stable")
    ranked = np.take_along_axis(flat, order, axis=-1)
    free = blocks - first.sum(axis=-1, keepdims=True)
    wins = (np.arange(flat.shape[-1]) < free) & (ranked > 0)
    won = np.zeros(flat.shape, dtype=np.bool_)
    np.put_along_axis(won, order, wins, axis=-1)
    following = np.take_along_axis(ranked, np.minimum(free, flat.shape[-1] - 1), axis=-1)[..., 0]
    return won.reshape(gain.shape).sum(axis=-1), np.maximum(following, 0.0)
