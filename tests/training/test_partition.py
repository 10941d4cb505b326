import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import _partition
from wirelessfl.errors import InputError

CLASSES = 10


def _labels(count, seed=0):
    """`count` labels with every class present, in unequal numbers, in no order."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice(CLASSES, size=count - 20 * CLASSES, p=np.arange(1, CLASSES + 1) / 55)
    return rng.permutation(np.concatenate([np.repeat(np.arange(CLASSES), 20), drawn]))


def _iid(labels, clients, rng):
    return _partition.iid(labels, clients, rng)


def _shards(labels, clients, rng):
    return _partition.shards(labels, clients, rng, shards_per_client=2)


def _equal_labels(labels, clients, rng):
    return _partition.equal_labels(labels, clients, rng, classes=CLASSES, labels_per_client=2)


def _dirichlet(labels, clients, rng):
    return _partition.dirichlet(labels, clients, rng, classes=CLASSES, alpha=1.0)


SPLITS = [_iid, _shards, _equal_labels, _dirichlet]


def _counts(labels, index):
    return np.stack([np.bincount(labels[rows], minlength=CLASSES) for rows in index])


@pytest.mark.parametrize("split", SPLITS)
@given(clients=st.integers(5, 40), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_every_sample_lies_on_exactly_one_client(split, clients, seed):
    labels = _labels(2000, seed)
    index = split(labels, clients, np.random.default_rng(seed))
    assert len(index) == clients
    assert np.array_equal(np.sort(np.concatenate(index)), np.arange(2000))
    assert all(len(rows) > 0 and rows.dtype == np.int64 and np.array_equal(rows, np.sort(rows)) for rows in index)


@pytest.mark.parametrize("split", SPLITS)
def test_a_partition_is_a_function_of_the_seed(split):
    labels = _labels(1000)
    first, again, other = (split(labels, 10, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_iid_sizes_differ_by_at_most_one():
    sizes = [len(rows) for rows in _iid(_labels(1003), 10, np.random.default_rng(0))]
    assert sorted(sizes) == [100] * 7 + [101] * 3


def test_a_client_of_shards_sees_few_classes():
    labels = np.repeat(np.arange(CLASSES), 100)
    index = _shards(labels, 25, np.random.default_rng(0))
    assert {len(rows) for rows in index} == {20 * 2}
    # 20 samples make a shard and five shards a class, so no shard holds two classes.
    assert all(np.count_nonzero(row) <= 2 and row.max() >= 20 for row in _counts(labels, index))


@given(clients=st.integers(1, 40), held=st.integers(1, CLASSES), seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_exactly_c_labels_spread_evenly(clients, held, seed):
    labels = _labels(2000)
    index = _partition.equal_labels(
        labels, clients, np.random.default_rng(seed), classes=CLASSES, labels_per_client=held
    )
    counts = _counts(labels, index)
    assert ((counts > 0).sum(axis=1) == held).all()
    holders = (counts > 0).sum(axis=0)
    assert holders.max() - holders.min() <= 1
    totals = np.bincount(labels)
    for label in np.flatnonzero(holders):
        own = counts[counts[:, label] > 0, label]
        assert own.sum() == totals[label]
        assert own.max() - own.min() <= 1


def test_seeds_pair_the_classes_differently():
    labels = _labels(1000)
    pairs = {
        tuple(map(tuple, _counts(labels, _equal_labels(labels, 10, np.random.default_rng(seed))) > 0))
        for seed in range(5)
    }
    assert len(pairs) == 5


def test_a_large_alpha_tends_to_equal_shares():
    labels = np.repeat(np.arange(CLASSES), 1000)
    index = _partition.dirichlet(labels, 10, np.random.default_rng(0), classes=CLASSES, alpha=1e8)
    assert np.abs(_counts(labels, index) - 100).max() <= 1


def test_the_skew_of_dirichlet_shares_follows_alpha():
    # The share of one of K clients has variance (K - 1) / (K^2 (K alpha + 1)).
    labels = np.repeat(np.arange(CLASSES), 1000)
    for alpha in (0.5, 5.0):
        shares = [
            _counts(labels, _partition.dirichlet(labels, 10, np.random.default_rng(s), classes=CLASSES, alpha=alpha))
            for s in range(100)
        ]
        expected = 9 / (100 * (10 * alpha + 1))
        assert np.var(np.stack(shares) / 1000) == pytest.approx(expected, rel=0.1)


def test_dirichlet_gives_up_with_a_reason_at_a_thousand_clients():
    labels = np.repeat(np.arange(CLASSES), 6000)
    with pytest.raises(InputError, match=r"dirichlet_alpha = 0.1 must leave each of 1000 clients 2 of 60000 samples"):
        _partition.dirichlet(labels, 1000, np.random.default_rng(0), classes=CLASSES, alpha=0.1)


def test_dirichlet_keeps_its_smallest_client():
    labels = np.repeat(np.arange(CLASSES), 10)
    for seed in range(30):
        index = _partition.dirichlet(labels, 10, np.random.default_rng(seed), classes=CLASSES, alpha=0.3)
        assert min(len(rows) for rows in index) >= 2


def test_matching_test_sets_hold_all_of_the_clients_classes_and_no_other():
    labels, test_labels = _labels(1000), _labels(500, seed=1)
    index = _equal_labels(labels, 20, np.random.default_rng(0))
    tests = _partition.matching_test_sets(labels, index, test_labels)
    for rows, test in zip(index, tests, strict=True):
        assert np.array_equal(test, np.flatnonzero(np.isin(test_labels, labels[rows])))
    assert len({id(test) for test in tests}) == len({tuple(np.unique(labels[rows])) for rows in index})


@given(clients=st.integers(1, 60), alpha=st.sampled_from([0.2, 1.0, 100.0]), seed=st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_proportional_test_sets_are_disjoint_never_empty_and_of_own_classes(clients, alpha, seed):
    rng = np.random.default_rng(seed)
    labels, test_labels = _labels(6000), _labels(1000, seed=1)
    train = _partition.dirichlet(labels, clients, rng, classes=CLASSES, alpha=alpha)
    tests = _partition.proportional_test_sets(labels, train, test_labels, rng, classes=CLASSES)
    joined = np.concatenate(tests)
    assert np.array_equal(np.sort(joined), np.arange(len(test_labels)))
    assert min(len(rows) for rows in tests) >= 1
    assert not np.any((_counts(test_labels, tests) > 0) & (_counts(labels, train) == 0))


def test_proportional_test_sets_have_the_clients_proportions():
    labels, test_labels = np.repeat(np.arange(CLASSES), 1000), np.repeat(np.arange(CLASSES), 100)
    rng = np.random.default_rng(3)
    train = _partition.dirichlet(labels, 8, rng, classes=CLASSES, alpha=0.5)
    tests = _partition.proportional_test_sets(labels, train, test_labels, rng, classes=CLASSES)
    assert np.abs(_counts(test_labels, tests) - _counts(labels, train) / 10).max() <= 1


def test_a_client_with_a_tiny_share_is_given_one_test_sample_of_its_class():
    labels, test_labels = np.repeat([0, 1], 500), np.repeat([0, 1], 5)
    train = [np.arange(499), np.array([499]), np.arange(500, 1000)]
    tests = _partition.proportional_test_sets(labels, train, test_labels, np.random.default_rng(0), classes=2)
    assert [test_labels[rows].tolist() for rows in tests] == [[0] * 4, [0], [1] * 5]


@pytest.mark.parametrize(
    ("split", "settings_", "clients", "said"),
    [
        (_partition.iid, {}, 301, "clients must be at most 300 .training samples., got 301"),
        (_partition.shards, {"shards_per_client": 4}, 100, "shards_per_client must be at most 300 .*, got 400"),
        (_partition.equal_labels, {"classes": 10, "labels_per_client": 11}, 5, "labels_per_client must be at most 10"),
        (_partition.equal_labels, {"classes": 10, "labels_per_client": 0}, 5, "labels_per_client must be at least 1"),
        (
            _partition.equal_labels,
            {"classes": 10, "labels_per_client": 2},
            200,
            "class 0 must have .* 40 clients, got 30",
        ),
        (_partition.equal_labels, {"classes": 11, "labels_per_client": 11}, 2, "class 10 must have .*, got 0"),
        (_partition.dirichlet, {"classes": 10, "alpha": 0.0}, 5, "dirichlet_alpha must be above 0, got 0"),
        (_partition.dirichlet, {"classes": 10, "alpha": -1.0}, 5, "dirichlet_alpha must be above 0, got -1"),
        (_partition.dirichlet, {"classes": 10, "alpha": float("nan")}, 5, "dirichlet_alpha must be finite"),
        (_partition.dirichlet, {"classes": 10, "alpha": 1e308}, 5, "dirichlet_alpha must be at most 1e.09"),
        (_partition.dirichlet, {"classes": 10, "alpha": 1.0}, 151, "2 x clients must be at most 300 .*, got 302"),
    ],
)
def test_what_cannot_be_divided_is_said_in_one_line(split, settings_, clients, said):
    labels = np.repeat(np.arange(CLASSES), 30)
    with pytest.raises(InputError, match=said) as error:
        split(labels, clients, np.random.default_rng(0), **settings_)
    assert "\n" not in str(error.value)


def test_test_sets_that_cannot_be_are_said_in_one_line():
    labels = np.repeat([0, 1], 10)
    train = [np.arange(10), np.arange(10, 20)]
    with pytest.raises(InputError, match=r"client 1 must have a test sample of its classes \[1\], got none"):
        _partition.matching_test_sets(labels, train, np.zeros(4, dtype=np.int64))
    with pytest.raises(InputError, match="client 1 must have a test sample of its own classes, got none: the test set"):
        _partition.proportional_test_sets(
            labels, train, np.zeros(4, dtype=np.int64), np.random.default_rng(0), classes=2
        )


def test_nobodys_only_test_sample_is_taken():
    labels = np.repeat([0, 1], 500)
    train = [np.arange(499), np.array([499]), np.arange(500, 1000)]
    with pytest.raises(InputError, match="the test set of 4 samples is too small for 3 clients"):
        _partition.proportional_test_sets(labels, train, np.array([0, 1, 1, 1]), np.random.default_rng(0), classes=2)
