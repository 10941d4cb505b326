"""Division of a data set over K clients: which client holds which rows.

Labels are int64 vectors of shape (N,) in 0 .. classes - 1; an index is a sorted int64 vector of rows. Draws come from
the generator handed in.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import InputError, check_number

Index = NDArray[np.int64]

SMALLEST_CLIENT = 2
DIRICHLET_TRIES = 100


def iid(labels: Index, clients: int, rng: np.random.Generator) -> list[Index]:
    """Every sample to a client drawn at random; sizes differ by at most one."""
    _check_enough(labels, clients, "clients")
    return _sorted(np.array_split(rng.permutation(len(labels)), clients))


def shards(labels: Index, clients: int, rng: np.random.Generator, *, shards_per_client: int) -> list[Index]:
    """Samples sorted by label, cut into equal shards, `shards_per_client` random shards each.

    McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", section 3.
    """
    _check_enough(labels, clients * shards_per_client, "clients x training.shards_per_client")
    shuffled = rng.permutation(len(labels))
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    pieces = np.array_split(by_label, clients * shards_per_client)
    owned = rng.permutation(len(pieces)).reshape(clients, shards_per_client)
    return _sorted(np.concatenate([pieces[piece] for piece in row]) for row in owned)


def equal_labels(
    labels: Index, clients: int, rng: np.random.Generator, *, classes: int, labels_per_client: int
) -> list[Index]:
    """Exactly `labels_per_client` classes for each client; a class is split evenly among its clients.

    Each client in turn takes the classes with the fewest clients so far, ties at random, so the numbers of clients
    of two classes differ by at most one. Every sample is used if K * labels_per_client >= classes.
    """
    check_number("training.labels_per_client", labels_per_client, at_least=1, at_most=classes)
    holders: list[list[int]] = [[] for _ in range(classes)]
    for client in range(clients):
        order = np.lexsort((rng.random(classes), np.array([len(held) for held in holders])))
        for label in order[:labels_per_client]:
            holders[label].append(client)
    owned: list[list[Index]] = [[] for _ in range(clients)]
    for label, held in enumerate(holders):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) < len(held):
            raise InputError(
                f"partition 'labels': class {label} must have a training sample for each of its {len(held)} clients, "
                f"got {len(rows)}"
            )
        for client, part in zip(held, np.array_split(rows, max(len(held), 1)), strict=False):
            owned[client].append(part)
    return _sorted(np.concatenate(parts) for parts in owned)


def dirichlet(labels: Index, clients: int, rng: np.random.Generator, *, classes: int, alpha: float) -> list[Index]:
    """Each class is divided over the clients in proportions drawn from Dirichlet(alpha, ..., alpha).

    Hsu et al., arXiv 1909.06335, in the form of Li et al., arXiv 2102.02079. Drawn again, at most `DIRICHLET_TRIES`
    times, until every client has `SMALLEST_CLIENT` samples; `InputError` if that never happens.
    """
    # Above the upper limit the shares are equal to nine digits and the draw's own arithmetic begins to overflow.
    check_number("training.dirichlet_alpha", alpha, above=0, at_most=1e9)
    _check_enough(labels, SMALLEST_CLIENT * clients, f"{SMALLEST_CLIENT} x clients")
    totals = np.bincount(labels, minlength=classes)
    smallest = 0
    for _ in range(DIRICHLET_TRIES):
        counts = _shares(rng.dirichlet(np.full(clients, alpha), size=classes), totals)
        smallest = max(smallest, int(counts.sum(axis=0).min()))
        if smallest >= SMALLEST_CLIENT:
            return _deal(labels, counts, rng)
    raise InputError(
        f"training.dirichlet_alpha = {alpha:g} must leave each of {clients} clients {SMALLEST_CLIENT} of "
        f"{len(labels)} samples, got at best {smallest} in {DIRICHLET_TRIES} draws; raise alpha or take fewer clients"
    )


def whole_test_sets(test_labels: Index, clients: int) -> list[Index]:
    """All test rows for every client (one array, shared)."""
    return [np.arange(len(test_labels))] * clients


def matching_test_sets(labels: Index, train_index: Iterable[Index], test_labels: Index) -> list[Index]:
    """All test rows of the classes that a client trains on; clients with the same classes share one array."""
    found: dict[bytes, Index] = {}
    test_index = []
    for client, rows in enumerate(train_index):
        own = np.unique(labels[rows])
        key = own.tobytes()
        if key not in found:
            found[key] = np.flatnonzero(np.isin(test_labels, own))
        if len(found[key]) == 0:
            raise InputError(f"client {client} must have a test sample of its classes {own.tolist()}, got none")
        test_index.append(found[key])
    return test_index


def proportional_test_sets(
    labels: Index, train_index: Iterable[Index], test_labels: Index, rng: np.random.Generator, *, classes: int
) -> list[Index]:
    """Disjoint parts of the test set with each client's share of every class; at least one row each."""
    held = np.stack([np.bincount(labels[rows], minlength=classes) for rows in train_index], axis=1)
    counts = _shares(held.astype(np.float64), np.bincount(test_labels, minlength=classes))
    for client in np.flatnonzero(counts.sum(axis=0) == 0):
        _give_one(counts, held, int(client))
    return _deal(test_labels, counts, rng)


def _give_one(counts: Index, held: Index, client: int) -> None:
    """Move one sample of `client`'s commonest class to it, from the client that has most of that class."""
    for label in np.argsort(-held[:, client], kind="stable")[: np.count_nonzero(held[:, client])]:
        spare = np.where(counts.sum(axis=0) > 1, counts[label], 0)
        if spare.any():
            counts[label, spare.argmax()] -= 1
            counts[label, client] += 1
            return
    raise InputError(
        f"client {client} must have a test sample of its own classes, got none: the test set of {counts.sum()} "
        f"samples is too small for {counts.shape[1]} clients"
    )


def _shares(weights: NDArray[np.float64], totals: Index) -> Index:
    """Whole numbers of shape (classes, K) in proportion to each row of `weights`; row c sums to totals[c]."""
    cumulative = np.cumsum(weights, axis=1)
    whole = cumulative[:, -1:]  # zero for a class that nobody holds: its rows are left out
    edges = np.rint(cumulative / np.where(whole > 0, whole, 1) * totals[:, None]).astype(np.int64)
    counts: Index = np.diff(edges, axis=1, prepend=0)
    return counts


def _deal(labels: Index, counts: Index, rng: np.random.Generator) -> list[Index]:
    """Random rows, counts[c, k] of class c to client k."""
    shuffled = rng.permutation(len(labels))
    clients = np.arange(counts.shape[1])
    owner = np.full(len(labels), -1)
    for label, row in enumerate(counts):
        rows = shuffled[labels[shuffled] == label][: row.sum()]
        owner[rows] = np.repeat(clients, row)
    by_owner = np.argsort(owner, kind="stable")
    return np.split(by_owner, np.searchsorted(owner[by_owner], clients))[1:]


def _sorted(parts: Iterable[Index]) -> list[Index]:
    return [np.sort(part) for part in parts]


def _check_enough(labels: Index, wanted: int, what: str) -> None:
    if len(labels) < wanted:
        raise InputError(f"{what} must be at most {len(labels)} (training samples), got {wanted}")
