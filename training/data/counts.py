"""Numbers of samples of each class on each client, (classes, K), and division of rows by them."""

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import InputError, check_number

Index = NDArray[np.int64]

SMALLEST_CLIENT = 2
MOST_SIZE_SIGMA = 5.0
LEAST_FRACTION = 1e-12  # of a class on a client: above 0, so that any totals are possible
FITTING_ROUNDS = 200


def log_normal_sizes(
    samples: int, clients: int, rng: np.random.Generator, *, size_sigma: float
) -> Index:
    """Log-normal numbers of samples of each client, in proportion to exp(size_sigma N(0, 1)).

    Clients below `SMALLEST_CLIENT` samples receive samples of the largest ones.

    Args:
        samples: Number of samples of all clients.
        clients: Number of clients K.
        rng: Generator of the draws.
        size_sigma: Standard deviation of the logarithm.

    Returns:
        Samples of each client, (K,), which sum to `samples`.

    Raises:
        InputError: `size_sigma` is out of range, or there are too few samples.
    """
    check_number("training.size_sigma", size_sigma, at_least=0, at_most=MOST_SIZE_SIGMA)
    check_samples(samples, SMALLEST_CLIENT * clients, f"{SMALLEST_CLIENT} x scenario.clients")
    sizes: Index = apportion(
        np.exp(size_sigma * rng.standard_normal((1, clients))), np.array([samples])
    )[0]
    while sizes.min() < SMALLEST_CLIENT:
        sizes[sizes.argmax()] -= 1
        sizes[sizes.argmin()] += 1
    return sizes


def apportion(weights: NDArray[np.float64], totals: Index) -> Index:
    """Whole numbers in proportion to weights.

    Args:
        weights: Weights, (classes, K).
        totals: Sum of each row, (classes,).

    Returns:
        Numbers (classes, K); row c sums to totals[c], to 0 for a row without weight.
    """
    cumulative = np.cumsum(weights, axis=1)
    sums = cumulative[:, -1:]  # 0 for a class without holders: its rows are not used
    edges = np.rint(cumulative / np.where(sums > 0, sums, 1) * totals[:, None]).astype(np.int64)
    counts: Index = np.diff(edges, axis=1, prepend=0)
    return counts


def deal(labels: Index, counts: Index, rng: np.random.Generator) -> list[Index]:
    """Divide random rows by class.

    Args:
        labels: Class of each row, (N,).
        counts: Rows of each class for each client, (classes, K).
        rng: Generator of the draw.

    Returns:
        The sorted rows of each client.
    """
    shuffled = rng.permutation(len(labels))
    clients = np.arange(counts.shape[1])
    owner = np.full(len(labels), -1)
    for label, row in enumerate(counts):
        rows = shuffled[labels[shuffled] == label][: row.sum()]
        owner[rows] = np.repeat(clients, row)
    by_owner = np.argsort(owner, kind="stable")
    return np.split(by_owner, np.searchsorted(owner[by_owner], clients))[1:]


def take_one(counts: Index, order: Index, client: int, *, keep: int) -> bool:
    """Move one sample to a client, in place.

    It is of the first class in an order that a client with enough samples has.

    Args:
        counts: Samples of each class on each client, (classes, K); changed.
        order: Classes in order of preference.
        client: Client that receives the sample.
        keep: Number of samples that the other client has at least afterwards.

    Returns:
        True if a sample was moved.
    """
    for label in order:
        spare = np.where(counts.sum(axis=0) > keep, counts[label], 0)
        if spare.any():
            counts[label, spare.argmax()] -= 1
            counts[label, client] += 1
            return True
    return False


def nearest_counts(wanted: NDArray[np.float64], totals: Index, sizes: Index) -> Index:
    """Numbers of samples with given row and column sums, near to each client's class fractions.

    Iterative proportional fitting converges to the table of least relative entropy to wanted x
    sizes. It is rounded client by client; single samples then change class until the totals match.

    Args:
        wanted: Fraction of each class on each client, (classes, K).
        totals: Samples of each class, (classes,).
        sizes: Samples of each client, (K,).

    Returns:
        Numbers (classes, K) with row sums `totals` and column sums `sizes`.
    """
    table = np.where(totals[:, None] > 0, np.maximum(wanted, LEAST_FRACTION), 0.0)
    for _ in range(FITTING_ROUNDS):
        table *= (totals / np.maximum(table.sum(axis=1), np.finfo(float).tiny))[:, None]
        table *= sizes / table.sum(axis=0)
    counts = apportion(table.T, sizes).T.copy()
    over = counts.sum(axis=1) - totals
    labels = np.arange(len(totals))
    too_many = np.repeat(labels, np.maximum(over, 0))
    too_few = np.repeat(labels, np.maximum(-over, 0))
    for full, short in zip(too_many, too_few, strict=True):
        client = np.where(counts[full] > 0, table[short] - counts[short], -np.inf).argmax()
        counts[full, client] -= 1
        counts[short, client] += 1
    return counts


def check_samples(samples: int, wanted: int, what: str) -> None:
    """Check that the data set has enough training samples.

    Args:
        samples: Training samples.
        wanted: Required samples.
        what: Name of the required number in the message.

    Raises:
        InputError: There are fewer.
    """
    if samples < wanted:
        raise InputError(f"{what} must be at most {samples} (training samples), got {wanted}")
