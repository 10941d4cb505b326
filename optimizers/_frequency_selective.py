"""Resource blocks that differ from client to client: several blocks each, or one with its losses.

A client whose blocks add up to the rate R keeps

    x(R) = min(1, S R / (T_c R + q))          S = slack_s, T_c = prunable_s, q = upload_bits,

concave in R, so that the relaxation in which blocks may be divided, max sum_k w_k x_k(sum_n r_kn
z_kn) with sum_k z_kn <= 1, is a bound. Tangents of x_k make it a linear program, whose value is a
bound with any number of them. Its solution divides few blocks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizers._exclusion import without_clients
from wirelessfl.allocation.problem import AllocationProblem, Array
from wirelessfl.border.budget import check_budget
from wirelessfl.errors import InputError
from wirelessfl.text import in_full

Counts = NDArray[np.intp]
_TANGENT_ROUNDS = 60  # linear programs; about 10 are needed
_TOLERANCE = 1e-7  # of HiGHS, relative to the sum of weights, by which the bound is raised
_GAIN = 1e-12  # of an exchange that is more than rounding, relative to the sum of weights
_PAIR_BYTES = 100  # of a client and a block in the linear program, and of two blocks in an exchange


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockShares:
    """Blocks of a frequency-selective band among clients.

    Attributes:
        client: Client of each block, -1 without one; (N,).
        rate_bps: Rate of each client over its blocks in bit/s; (K,).
        kept_fraction: Kept fraction of each client; (K,).
        value: Kept weight sum_k w_k x_k.
        bound: Upper bound of the kept weight of any assignment.
    """

    client: Counts
    rate_bps: Array
    kept_fraction: Array
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """Most by which another assignment can be better, relative to the bound; 0 is optimal."""
        return max(self.bound - self.value, 0.0) / self.bound if self.bound > 0 else 0.0


def share_blocks(problem: AllocationProblem, block_rate_bps: ArrayLike) -> BlockShares:
    """Assign several blocks to each client where every client has its own rate in each block.

    The linear program is rounded, and so is the assignment in which block after block goes to the
    client that gains most; in both, single blocks are moved and pairs of blocks exchanged while
    that helps, and the better one is the answer, with the gap to the bound.

    Args:
        problem: One problem without fixed bits and caps, arrays (K,); its `rate_bps` is not used.
        block_rate_bps: Rate of client k in block n in bit/s; (K, N).

    Returns:
        The assignment with its bound.

    Raises:
        InputError: Another shape, negative rates, fixed bits, or a cap below 1.

    Example:
        >>> from optimizers import AllocationProblem, share_blocks
        >>> problem = AllocationProblem(
        ...     deadline_s=1.0, fixed_s=0.0, prunable_s=0.2, upload_bits=1.0, rate_bps=[1.0, 1.0]
        ... )
        >>> share_blocks(problem, [[0.9, 0.1, 0.3], [0.2, 0.8, 0.4]]).client.tolist()
        [0, 1, 1]
    """
    rate = _checked(problem, block_rate_bps)
    kept = _Kept.of(problem, rate)
    bound, divided = _relaxed(kept, rate)
    starts = (np.where(divided.max(axis=0) > 0, divided.argmax(axis=0), -1), _greedy(kept, rate))
    found = [_exchanged(kept, rate, start) for start in starts]
    client = max(found, key=lambda one: kept.value(_rates(rate, one)))
    total = _rates(rate, client)
    value = kept.value(total)
    return BlockShares(
        client=client,
        rate_bps=total,
        kept_fraction=kept.fraction(total),
        value=value,
        bound=max(bound, value),
    )


def least_expected_loss(
    samples: ArrayLike, loss: ArrayLike, possible: ArrayLike | None = None
) -> tuple[Counts, float]:
    """Select clients and their blocks so that the fewest samples are lost with their updates.

    min sum_k n_k (1 - sum_n a_kn (1 - q_kn)) with at most one block for each client and one client
    for each block: a client that takes no part, or whose packet is lost, misses with its n_k
    samples (Chen, Yang, Saad, Yin, Poor, Cui, "A joint learning and communications framework for
    federated learning over wireless networks", IEEE TWC 2021). An assignment problem, solved
    exactly.

    Args:
        samples: Training samples n_k, or weights; at least 0; (K,).
        loss: Probability q_kn that the packet of client k in block n is lost; (K, N).
        possible: True where client k meets its limits in block n; (K, N); None: everywhere.

    Returns:
        Block of each client, -1 for clients that take no part, (K,), and the expected number of
        samples that are lost.

    Raises:
        InputError: Another shape, samples below 0, or probabilities outside [0, 1].

    Example:
        >>> from optimizers import least_expected_loss
        >>> block, lost = least_expected_loss([100, 60, 50], [[0.1, 0.5], [0.0, 0.4], [0.2, 0.2]])
        >>> block.tolist(), round(lost, 1)
        ([0, -1, 1], 80.0)
    """
    from optimizers.resource_blocks import assign_blocks

    given = np.asarray(samples, dtype=np.float64)
    lost = np.asarray(loss, dtype=np.float64)
    if given.ndim != 1 or lost.ndim != 2 or lost.shape[0] != given.size:
        raise InputError(
            f"loss must have shape (clients, blocks) for samples {given.shape}, got {lost.shape}"
        )
    _check_within("samples", given, np.inf)
    _check_within("loss", lost, 1.0)
    allowed = np.broadcast_to(True if possible is None else np.asarray(possible), lost.shape)
    worth = np.where(allowed, given[:, None] * (1.0 - lost), 0.0)
    block = assign_blocks(worth)
    gained = np.where(block >= 0, worth[np.arange(given.size), block], 0.0)
    block = np.where(gained > 0, block, -1)
    return block, float(given.sum() - gained.sum())


@dataclass(frozen=True, eq=False)
class _Kept:
    """Kept weight as a function of rates; arrays (K,).

    Attributes:
        weight: w, 0 for clients that take no part.
        slack_s: S.
        prunable_s: T_c.
        bits: q.
    """

    weight: Array
    slack_s: Array
    prunable_s: Array
    bits: Array

    @classmethod
    def of(cls, problem: AllocationProblem, rate: Array) -> "_Kept":
        silent = (rate.max(axis=1) == 0) & (np.asarray(problem.upload_bits) > 0)
        served = without_clients(problem, silent)
        able = served.slack_s >= 0
        return cls(
            weight=np.where(able, np.asarray(problem.weight), 0.0),
            slack_s=np.where(able, np.maximum(served.slack_s, 0.0), 0.0),
            prunable_s=np.asarray(problem.prunable_s),
            bits=np.asarray(problem.upload_bits),
        )

    def fraction(self, rate: Array, clients: Counts | slice = slice(None)) -> Array:
        """Kept fractions x at rates of some clients, (..., their number)."""
        slack, prunable, bits = (one[clients] for one in (self.slack_s, self.prunable_s, self.bits))
        work = prunable * rate + bits
        carried = np.divide(slack * rate, work, out=np.zeros_like(work), where=work > 0)
        free = np.where((bits == 0) & (prunable <= slack), 1.0, carried)
        bare = (bits == 0) & (prunable > 0)
        free = np.where(bare, slack / np.where(bare, prunable, 1.0), free)
        return np.asarray(np.minimum(free, 1.0))

    def slope(self, rate: Array) -> Array:
        """Derivatives of x; (K,)."""
        work = self.prunable_s * rate + self.bits
        rising = (self.fraction(rate) < 1.0) & (self.bits > 0)
        return np.where(rising, self.slack_s * self.bits / np.where(rising, work, 1.0) ** 2, 0.0)

    def value(self, rate: Array) -> float:
        """Kept weight of all clients."""
        return float(self.weight @ self.fraction(rate))

    def worth(self, rate: Array, clients: Counts | slice = slice(None)) -> Array:
        """Kept weight w x at rates of some clients."""
        return np.asarray(self.weight[clients] * self.fraction(rate, clients))


def _checked(problem: AllocationProblem, block_rate_bps: ArrayLike) -> Array:
    rate = np.asarray(block_rate_bps, dtype=np.float64)
    clients = problem.shape
    if len(clients) != 1 or rate.ndim != 2 or rate.shape[0] != clients[0] or rate.shape[1] == 0:
        raise InputError(
            f"block_rate_bps must have shape (clients, blocks) of one problem {clients}, "
            f"got {rate.shape}"
        )
    _check_within("block_rate_bps", rate, np.inf)
    if np.any(problem.fixed_upload_bits):
        most = in_full(np.max(problem.fixed_upload_bits))
        raise InputError(f"fixed_upload_bits must be 0 for blocks that differ, got {most}")
    if np.any(np.asarray(problem.max_pruning_ratio) < 1):
        least = in_full(np.min(problem.max_pruning_ratio))
        raise InputError(f"max_pruning_ratio must be 1 for blocks that differ, got {least}")
    blocks = rate.shape[1]
    check_budget(
        f"{rate.shape[0]} clients with {blocks} blocks that differ",
        "bytes",
        _PAIR_BYTES * blocks * (rate.shape[0] + blocks),
    )
    return rate


def _check_within(name: str, values: Array, most: float) -> None:
    bad = ~((values >= 0) & (values <= most) & np.isfinite(values))
    if bad.any():
        limit = "finite and at least 0" if most == np.inf else f"within 0 and {most:g}"
        raise InputError(f"{name} must be {limit}, got {in_full(values[bad].flat[0])}")


def _rates(rate: Array, client: Counts) -> Array:
    """Rates of the clients over their blocks; (K,)."""
    mine = client == np.arange(rate.shape[0])[:, None]
    return np.asarray(np.where(mine, rate, 0.0).sum(axis=1))


def _relaxed(kept: _Kept, rate: Array) -> tuple[float, Array]:
    """Bound of the kept weight, and the divided blocks that attain it; (K, N)."""
    from scipy.optimize import linprog  # slow to import, and needed here only
    from scipy.sparse import coo_matrix, vstack

    clients, blocks = rate.shape
    total = clients * blocks
    columns = np.arange(total)
    once = coo_matrix((np.ones(total), (np.tile(np.arange(blocks), clients), columns)))
    once.resize(blocks, total + clients)
    own = np.repeat(np.arange(clients), blocks)
    rows, limits = [once.tocsr()], [np.ones(blocks)]
    target = np.concatenate([np.zeros(total), -np.ones(clients)])
    ends = [(0.0, 1.0)] * total + [(0.0, float(weight)) for weight in kept.weight]
    at = np.zeros(clients)
    bound, divided = float(kept.weight.sum()), np.zeros(rate.shape)
    tolerance = _TOLERANCE * bound
    for _ in range(_TANGENT_ROUNDS):
        slope = kept.weight * kept.slope(at)
        steep = np.where(slope[own] > 0, -slope[own] * rate.ravel(), 0.0)
        tangent = coo_matrix(
            (
                np.concatenate([steep, np.ones(clients)]),
                (
                    np.concatenate([own, np.arange(clients)]),
                    np.concatenate([columns, total + np.arange(clients)]),
                ),
            )
        )
        rows.append(tangent.tocsr())
        limits.append(kept.worth(at) - slope * at)
        solved = linprog(
            target, A_ub=vstack(rows), b_ub=np.concatenate(limits), bounds=ends, method="highs"
        )
        if solved.status != 0:
            break
        divided = np.maximum(solved.x[:total], 0.0).reshape(rate.shape)
        at = (rate * divided).sum(axis=1)
        before, bound = bound, min(bound, -float(solved.fun) + tolerance)
        if before - bound <= tolerance or bound - kept.value(at) <= tolerance:
            break
    return bound, divided


def _greedy(kept: _Kept, rate: Array) -> Counts:
    """Block after block to the client that gains most; (N,)."""
    client = np.full(rate.shape[1], -1, dtype=np.intp)
    total = np.zeros(rate.shape[0])
    for _ in range(rate.shape[1]):
        more = kept.worth((total[:, None] + rate).T).T - kept.worth(total)[:, None]
        more = np.where(client == -1, more, -np.inf)
        best, block = np.unravel_index(int(more.argmax()), more.shape)
        if more[best, block] <= 0:
            break
        client[block] = best
        total[best] += rate[best, block]
    return client


def _exchanged(kept: _Kept, rate: Array, client: Counts) -> Counts:
    """Assignment that neither moving a block nor exchanging two blocks improves."""
    client = client.copy()
    blocks = np.arange(rate.shape[1])
    least = _GAIN * max(float(kept.weight.sum()), np.finfo(np.float64).tiny)
    while True:
        total = _rates(rate, client)
        now = kept.worth(total)
        owned = client >= 0
        mine = np.where(owned, rate[client, blocks], 0.0)
        without = np.where(owned, kept.worth(np.maximum(total[client] - mine, 0.0), client), 0.0)
        loss = np.where(owned, now[client] - without, 0.0)
        gain = kept.worth((total[:, None] + rate).T).T - now[:, None]
        move = np.where(client == np.arange(rate.shape[0])[:, None], 0.0, gain - loss)
        to, block = np.unravel_index(int(move.argmax()), move.shape)
        # Client of block n takes m in its place: (n, m).
        swapped = total[client][:, None] - mine[:, None] + rate[client]
        change = kept.worth(np.maximum(swapped, 0.0).T, client).T - now[client][:, None]
        other = owned[:, None] & owned & (client[:, None] != client)
        swap = np.where(other, change + change.T, 0.0)
        one, two = np.unravel_index(int(swap.argmax()), swap.shape)
        if max(move[to, block], swap[one, two]) <= least:
            return client
        if move[to, block] >= swap[one, two]:
            client[block] = to
        else:
            client[one], client[two] = client[two], client[one]
