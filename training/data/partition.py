"""Division of a data set over K clients.

Labels are int64 vectors of shape (N,) in 0 .. classes - 1; an index is a sorted int64 vector of
rows. Draws come from the given generator.
"""

from collections.abc import Iterable

import numpy as np

from training.data.counts import (
    SMALLEST_CLIENT,
    Index,
    apportion,
    check_samples,
    deal,
    log_normal_sizes,
    nearest_counts,
    take_one,
)
from wirelessfl.errors import InputError, check_number

DIRICHLET_TRIES = 100


def iid(
    labels: Index, clients: int, rng: np.random.Generator, *, size_sigma: float = 0.0
) -> list[Index]:
    """Every sample on a client drawn at random.

    Args:
        labels: Class of each row, (N,).
        clients: Number of clients K.
        rng: Generator of the draws.
        size_sigma: Above 0, numbers of samples are log-normal (`log_normal_sizes`); else they
            differ by at most one.

    Returns:
        Rows of each client.

    Raises:
        InputError: There are too few samples.
    """
    if size_sigma > 0:
        sizes = log_normal_sizes(len(labels), clients, rng, size_sigma=size_sigma)
        return _sorted(np.split(rng.permutation(len(labels)), np.cumsum(sizes)[:-1]))
    _check_enough(labels, clients, "scenario.clients")
    return _sorted(np.array_split(rng.permutation(len(labels)), clients))


def shards(
    labels: Index, clients: int, rng: np.random.Generator, *, shards_per_client: int
) -> list[Index]:
    """Samples sorted by label and cut into equal shards, some random shards on each client.

    McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    section 3.

    Args:
        labels: Class of each row, (N,).
        clients: Number of clients K.
        rng: Generator of the draws.
        shards_per_client: Number of shards of each client.

    Returns:
        Rows of each client.

    Raises:
        InputError: There are too few samples.
    """
    _check_enough(
        labels, clients * shards_per_client, "scenario.clients x training.shards_per_client"
    )
    shuffled = rng.permutation(len(labels))
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    pieces = np.array_split(by_label, clients * shards_per_client)
    owned = rng.permutation(len(pieces)).reshape(clients, shards_per_client)
    return _sorted(np.concatenate([pieces[piece] for piece in row]) for row in owned)


def equal_labels(
    labels: Index,
    clients: int,
    rng: np.random.Generator,
    *,
    classes: int,
    labels_per_client: int,
    choice: str = "balanced",
) -> list[Index]:
    """The same number of classes on each client; a class is split evenly over its clients.

    With "balanced" each client in turn takes the classes with the fewest clients so far, ties at
    random, so that the numbers of clients of two classes differ by at most one. With "uniform"
    every set of classes is equally probable, as in the official code of [MCE-PL]. Samples of a
    class without clients are not used.

    Args:
        labels: Class of each row, (N,).
        clients: Number of clients K.
        rng: Generator of the draws.
        classes: Number of classes.
        labels_per_client: Number of classes of each client.
        choice: "balanced" or "uniform".

    Returns:
        Rows of each client.

    Raises:
        InputError: There are fewer classes, or fewer samples of a class than clients.
    """
    check_number("training.labels_per_client", labels_per_client, at_least=1, at_most=classes)
    holders: list[list[int]] = [[] for _ in range(classes)]
    for client in range(clients):
        so_far = np.array([len(clients_of) for clients_of in holders]) * (choice == "balanced")
        order = np.lexsort((rng.random(classes), so_far))
        for label in order[:labels_per_client]:
            holders[label].append(client)
    owned: list[list[Index]] = [[] for _ in range(clients)]
    for label, clients_of in enumerate(holders):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) < len(clients_of):
            raise InputError(
                f"partition 'labels': class {label} must have a training sample for each of its "
                f"{len(clients_of)} clients, got {len(rows)}"
            )
        for client, part in zip(
            clients_of, np.array_split(rows, max(len(clients_of), 1)), strict=False
        ):
            owned[client].append(part)
    return _sorted(np.concatenate(parts) for parts in owned)


def dirichlet(
    labels: Index,
    clients: int,
    rng: np.random.Generator,
    *,
    classes: int,
    alpha: float,
    size_sigma: float = 0.0,
) -> list[Index]:
    """Each class divided over the clients in proportions drawn from Dirichlet(alpha, ..., alpha).

    Hsu et al., arXiv 1909.06335, in the form of Li et al., arXiv 2102.02079. The draw is repeated,
    at most `DIRICHLET_TRIES` times, until every client has `SMALLEST_CLIENT` samples. With many
    clients and a small alpha no draw achieves that: the last one is kept, and a small client
    receives samples of its most frequent classes from the clients that have most of them.

    With `size_sigma` > 0 clients have log-normal sizes, and each client's fractions of the classes
    are drawn instead.

    Args:
        labels: Class of each row, (N,).
        clients: Number of clients K.
        rng: Generator of the draws.
        classes: Number of classes.
        alpha: Concentration, within (0, 1e9].
        size_sigma: Standard deviation of the logarithm of the sizes.

    Returns:
        Rows of each client.

    Raises:
        InputError: A parameter is out of range, or there are too few samples.
    """
    # Above the limit the fractions are equal to nine digits and the draw starts to overflow.
    check_number("training.dirichlet_alpha", alpha, above=0, at_most=1e9)
    totals = np.bincount(labels, minlength=classes)
    if size_sigma > 0:
        sizes = log_normal_sizes(len(labels), clients, rng, size_sigma=size_sigma)
        fractions = rng.dirichlet(np.full(classes, alpha), size=clients).T
        return deal(labels, nearest_counts(fractions, totals, sizes), rng)
    _check_enough(labels, SMALLEST_CLIENT * clients, f"{SMALLEST_CLIENT} x scenario.clients")
    for _ in range(DIRICHLET_TRIES):
        drawn = rng.dirichlet(np.full(clients, alpha), size=classes)
        counts = apportion(drawn, totals)
        if counts.sum(axis=0).min() >= SMALLEST_CLIENT:
            return deal(labels, counts, rng)
    for client in np.flatnonzero(counts.sum(axis=0) < SMALLEST_CLIENT):
        order = np.lexsort((rng.random(classes), -drawn[:, client]))
        for _ in range(SMALLEST_CLIENT - counts[:, client].sum()):
            take_one(counts, order, int(client), keep=SMALLEST_CLIENT)
    return deal(labels, counts, rng)


def natural(owner: Index, clients: int, rng: np.random.Generator, *, dataset: str) -> Index:
    """A random choice among the natural clients of a data set.

    Args:
        owner: Natural client 0 .. n - 1 of each row, (N,).
        clients: Number of clients K.
        rng: Generator of the draw.
        dataset: Name of the data set, for messages.

    Returns:
        K natural clients: the first ones of a permutation.

    Raises:
        InputError: The data set has fewer natural clients.
    """
    available = int(owner.max()) + 1
    if clients > available:
        raise InputError(
            f"scenario.clients must be at most {available} (natural clients of data set "
            f"{dataset!r}), got {clients}"
        )
    chosen: Index = rng.permutation(available)[:clients]
    return chosen


def rows_of(owner: Index, chosen: Index) -> list[Index]:
    """Rows of natural clients.

    Args:
        owner: Natural client of each row, (N,).
        chosen: Natural clients, (K,).

    Returns:
        Rows of each chosen client.
    """
    by_owner = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[by_owner], chosen, side="left")
    last = np.searchsorted(owner[by_owner], chosen, side="right")
    return [by_owner[start:stop] for start, stop in zip(first, last, strict=True)]


def whole_test_sets(test_labels: Index, clients: int) -> list[Index]:
    """All test rows for every client.

    Args:
        test_labels: Class of each test row.
        clients: Number of clients K.

    Returns:
        Test rows of each client, one common array.
    """
    return [np.arange(len(test_labels))] * clients


def matching_test_sets(
    labels: Index, train_index: Iterable[Index], test_labels: Index
) -> list[Index]:
    """All test rows of the classes that a client trains on.

    Args:
        labels: Class of each training row.
        train_index: Training rows of each client.
        test_labels: Class of each test row.

    Returns:
        Test rows of each client; one array for clients with the same classes.

    Raises:
        InputError: A client has no test row.
    """
    found: dict[bytes, Index] = {}
    test_index = []
    for client, rows in enumerate(train_index):
        own = np.unique(labels[rows])
        key = own.tobytes()
        if key not in found:
            found[key] = np.flatnonzero(np.isin(test_labels, own))
        if len(found[key]) == 0:
            raise InputError(
                f"client {client} must have a test sample of its classes {own.tolist()}, got none"
            )
        test_index.append(found[key])
    return test_index


def proportional_test_sets(
    labels: Index,
    train_index: Iterable[Index],
    test_labels: Index,
    rng: np.random.Generator,
    *,
    classes: int,
) -> list[Index]:
    """Disjoint parts of the test set with each client's fraction of every class.

    Args:
        labels: Class of each training row.
        train_index: Training rows of each client.
        test_labels: Class of each test row.
        rng: Generator of the draw.
        classes: Number of classes.

    Returns:
        Test rows of each client, at least one.

    Raises:
        InputError: The test set is too small.
    """
    class_counts = np.stack(
        [np.bincount(labels[rows], minlength=classes) for rows in train_index], axis=1
    )
    counts = apportion(class_counts.astype(np.float64), np.bincount(test_labels, minlength=classes))
    for client in np.flatnonzero(counts.sum(axis=0) == 0):
        _give_one(counts, class_counts, int(client))
    return deal(test_labels, counts, rng)


def _give_one(counts: Index, class_counts: Index, client: int) -> None:
    """Give a client a test sample of its most frequent class, from the client with most of it."""
    own = np.argsort(-class_counts[:, client], kind="stable")[
        : np.count_nonzero(class_counts[:, client])
    ]
    if not take_one(counts, own, client, keep=1):
        raise InputError(
            f"client {client} must have a test sample of its own classes, got none: the test set "
            f"of {counts.sum()} samples is too small for {counts.shape[1]} clients"
        )


def _sorted(parts: Iterable[Index]) -> list[Index]:
    return [np.sort(part) for part in parts]


def _check_enough(labels: Index, wanted: int, what: str) -> None:
    check_samples(len(labels), wanted, what)
