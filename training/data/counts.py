"""How many samples of each class each client gets, as tables (classes, K), and the dealing out of
rows.
"""

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import InputError, check_number

Index = NDArray[np.int64]

SMALLEST_CLIENT = 2
MOST_SIZE_SIGMA = 5.0
LEAST_SHARE = 1e-12  # of a class on a client: above 0, so that any totals can be met
FITTING_ROUNDS = 200


def log_normal_sizes(
    samples: int, clients: int, rng: np.random.Generator, *, size_sigma: float
) -> Index:
    """Samples of each of K clients, (K,), that sum to `samples`: in proportion to exp(size_sigma *
    N(0, 1)).

    A client gets at least `SMALLEST_CLIENT`, which the largest ones give up.
    """
    check_number("training.size_sigma", size_sigma, at_least=0, at_most=MOST_SIZE_SIGMA)
    check_samples(samples, SMALLEST_CLIENT * clients, f"{SMALLEST_CLIENT} x scenario.clients")
    sizes: Index = shares(
        np.exp(size_sigma * rng.standard_normal((1, clients))), np.array([samples])
    )[0]
    while sizes.min() < SMALLEST_CLIENT:
        sizes[sizes.argmax()] -= 1
        sizes[sizes.argmin()] += 1
    return sizes


def shares(weights: NDArray[np.float64], totals: Index) -> Index:
    """Whole numbers of shape (classes, K) in proportion to each row of `weights`; row c sums to
    totals[c].
    """
    cumulative = np.cumsum(weights, axis=1)
    whole = cumulative[:, -1:]  # zero for a class that nobody holds: its rows are left out
    edges = np.rint(cumulative / np.where(whole > 0, whole, 1) * totals[:, None]).astype(np.int64)
    counts: Index = np.diff(edges, axis=1, prepend=0)
    return counts


def deal(labels: Index, counts: Index, rng: np.random.Generator) -> list[Index]:
    """Random rows, counts[c, k] of class c to client k."""
    shuffled = rng.permutation(len(labels))
    clients = np.arange(counts.shape[1])
    owner = np.full(len(labels), -1)
    for label, row in enumerate(counts):
        rows = shuffled[labels[shuffled] == label][: row.sum()]
        owner[rows] = np.repeat(clients, row)
    by_owner = np.argsort(owner, kind="stable")
    return np.split(by_owner, np.searchsorted(owner[by_owner], clients))[1:]


def take_one(counts: Index, order: Index, client: int, *, keep: int) -> bool:
    """Move a sample to `client`, of the first class in `order` that somebody with more than `keep`
    samples has.
    """
    for label in order:
        spare = np.where(counts.sum(axis=0) > keep, counts[label], 0)
        if spare.any():
            counts[label, spare.argmax()] -= 1
            counts[label, client] += 1
            return True
    return False


def nearest_counts(wanted: NDArray[np.float64], totals: Index, sizes: Index) -> Index:
    """Whole numbers (classes, K) with row sums `totals` and column sums `sizes`, near to each
    client's shares `wanted`.

    Iterative proportional fitting tends to the table of least relative entropy to wanted * sizes;
    it is rounded client by client, and single samples then change class until the totals are met.
    """
    table = np.where(totals[:, None] > 0, np.maximum(wanted, LEAST_SHARE), 0.0)
    for _ in range(FITTING_ROUNDS):
        table *= (totals / np.maximum(table.sum(axis=1), np.finfo(float).tiny))[:, None]
        table *= sizes / table.sum(axis=0)
    counts = shares(table.T, sizes).T.copy()
    over = counts.sum(axis=1) - totals
    labels = np.arange(len(totals))
    too_many, too_few = (
        np.repeat(labels, np.maximum(over, 0)),
        np.repeat(labels, np.maximum(-over, 0)),
    )
    for full, short in zip(too_many, too_few, strict=True):
        client = np.where(counts[full] > 0, table[short] - counts[short], -np.inf).argmax()
        counts[full, client] -= 1
        counts[short, client] += 1
    return counts


def check_samples(samples: int, wanted: int, what: str) -> None:
    """Raise `InputError` when `what` asks for more than the `samples` of the data set."""
    if samples < wanted:
        raise InputError(f"{what} must be at most {samples} (training samples), got {wanted}")
