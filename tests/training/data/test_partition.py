"""Partition of rows over clients: coverage, sizes, classes, seeds and errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import partition as _partition
from wirelessfl.errors import InputError

CLASSES = 10
GOLDEN_SIZES = [209, 298, 187, 121, 185]
GOLDEN_SUMS = [100111, 155742, 93406, 60939, 89302]


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
    assert all(
        len(rows) > 0 and rows.dtype == np.int64 and np.array_equal(rows, np.sort(rows))
        for rows in index
    )


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


@given(clients=st.integers(1, 40), held=st.integers(1, CLASSES), seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_labels_drawn_uniformly_are_split_evenly_over_who_holds_them(clients, held, seed):
    labels = _labels(2000)
    rng = np.random.default_rng(seed)
    index = _partition.equal_labels(
        labels, clients, rng, classes=CLASSES, labels_per_client=held, choice="uniform"
    )
    counts, totals = _counts(labels, index), np.bincount(labels)
    assert ((counts > 0).sum(axis=1) == held).all()
    for label in range(CLASSES):
        own = counts[counts[:, label] > 0, label]
        assert own.sum() == (totals[label] if own.size else 0)  # a class without clients is unused
        assert own.size == 0 or own.max() - own.min() <= 1


def test_uniform_labels_are_drawn_without_replacement_and_without_looking_at_others():
    labels, agents, draws = np.repeat(np.arange(CLASSES), 20), 20, 300
    holders = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        index = _partition.equal_labels(
            labels, agents, rng, classes=CLASSES, labels_per_client=4, choice="uniform"
        )
        holders.append((_counts(labels, index) > 0).sum(axis=0))
    # Holders of a class are binomial(20, 0.4): mean 8, variance 4.8, 3 to 13 in 98.9 % of draws.
    found = np.stack(holders)
    assert found.mean(axis=0) == pytest.approx(8.0, abs=4 * np.sqrt(4.8 / draws))
    assert found.var() == pytest.approx(4.8, abs=4 * 4.8 * np.sqrt(2 / (9 * draws)))
    assert np.mean((found >= 3) & (found <= 13)) > 0.97


def test_a_uniform_client_has_the_labels_it_has_when_others_join():
    labels = np.repeat(np.arange(CLASSES), 50)
    few, many = (
        _counts(
            labels,
            _partition.equal_labels(
                labels,
                k,
                np.random.default_rng(1),
                classes=CLASSES,
                labels_per_client=3,
                choice="uniform",
            ),
        )
        for k in (5, 20)
    )
    assert np.array_equal(few > 0, many[:5] > 0)


def test_seeds_pair_the_classes_differently():
    labels = _labels(1000)
    pairs = {
        tuple(
            map(tuple, _counts(labels, _equal_labels(labels, 10, np.random.default_rng(seed))) > 0)
        )
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
            _counts(
                labels,
                _partition.dirichlet(
                    labels, 10, np.random.default_rng(s), classes=CLASSES, alpha=alpha
                ),
            )
            for s in range(100)
        ]
        expected = 9 / (100 * (10 * alpha + 1))
        assert np.var(np.stack(shares) / 1000) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("clients", "alpha"), [(1000, 0.1), (1000, 1e-9), (3000, 0.01)])
def test_dirichlet_comes_to_an_end_where_no_draw_would_do(clients, alpha):
    labels = np.repeat(np.arange(CLASSES), 600)
    index = _partition.dirichlet(
        labels, clients, np.random.default_rng(0), classes=CLASSES, alpha=alpha
    )
    assert np.array_equal(np.sort(np.concatenate(index)), np.arange(6000))
    assert min(len(rows) for rows in index) >= 2


def test_a_short_client_is_given_samples_of_the_class_it_has_most_of(monkeypatch):
    shares = np.array([[0.6, 0.398, 0.002], [0.5, 0.4995, 0.0005]])

    class Drawn(np.random.Generator):
        def dirichlet(self, *_arguments, **_settings):
            return shares

    labels = np.repeat([0, 1], 100)
    index = _partition.dirichlet(labels, 3, Drawn(np.random.PCG64(0)), classes=2, alpha=1.0)
    assert np.stack([np.bincount(labels[rows], minlength=2) for rows in index]).tolist() == [
        [58, 50],
        [40, 50],
        [2, 0],
    ]


def test_draws_that_succeed_are_what_they_were():
    index = _partition.dirichlet(
        _labels(1000), 5, np.random.default_rng(7), classes=CLASSES, alpha=0.5
    )
    assert [len(rows) for rows in index] == GOLDEN_SIZES
    assert [int(rows.sum()) for rows in index] == GOLDEN_SUMS


@given(
    clients=st.integers(1, 60),
    alpha=st.sampled_from([1e-9, 0.05, 0.3, 10.0]),
    sigma=st.sampled_from([1e-3, 0.3, 2.0]),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_sizes_are_log_normal_and_classes_complete(clients, alpha, sigma, seed):
    labels = _labels(1500)
    sizes = _partition.log_normal_sizes(
        1500, clients, np.random.default_rng(seed), size_sigma=sigma
    )
    assert sizes.sum() == 1500
    assert sizes.min() >= 2
    for split in (
        _partition.iid(labels, clients, np.random.default_rng(seed), size_sigma=sigma),
        _partition.dirichlet(
            labels,
            clients,
            np.random.default_rng(seed),
            classes=CLASSES,
            alpha=alpha,
            size_sigma=sigma,
        ),
    ):
        assert [len(rows) for rows in split] == sizes.tolist()
        assert np.array_equal(np.sort(np.concatenate(split)), np.arange(1500))


def test_the_logarithm_of_a_size_has_the_deviation_asked_for():
    sizes = _partition.log_normal_sizes(10**8, 4000, np.random.default_rng(0), size_sigma=0.3)
    assert np.log(sizes).std() == pytest.approx(0.3, abs=4 * 0.3 / np.sqrt(2 * 4000))


def test_sizes_of_the_same_seed_keep_their_proportions_when_clients_join():
    few, many = (
        _partition.log_normal_sizes(10**8, k, np.random.default_rng(3), size_sigma=0.5)
        for k in (5, 50)
    )
    np.testing.assert_allclose(few / few[0], many[:5] / many[0], rtol=1e-4)


def test_sized_dirichlet_clients_are_as_skewed_as_alpha_says():
    # The share of one of C classes has variance (C - 1) / (C^2 (C alpha + 1)) before the totals of
    # classes bind.
    labels = np.repeat(np.arange(CLASSES), 20000)
    for alpha in (0.3, 5.0):
        rng = np.random.default_rng(0)
        counts = _counts(
            labels,
            _partition.dirichlet(labels, 500, rng, classes=CLASSES, alpha=alpha, size_sigma=0.3),
        )
        shares = counts / counts.sum(axis=1, keepdims=True)
        assert shares.var() == pytest.approx(9 / (100 * (10 * alpha + 1)), rel=0.1)
        assert np.array_equal(counts.sum(axis=0), np.full(CLASSES, 20000))


def test_classes_that_nobody_has_stay_so():
    labels = np.repeat([0, 2], 50)
    index = _partition.dirichlet(
        labels, 6, np.random.default_rng(0), classes=4, alpha=0.1, size_sigma=1.0
    )
    assert np.array_equal(np.sort(np.concatenate(index)), np.arange(100))


@given(there=st.integers(1, 30), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_natural_clients_are_whole_and_stay_who_they_are_when_others_join(there, seed):
    owner = np.random.default_rng(seed).permutation(
        np.concatenate([np.arange(there), np.arange(there) // 2])
    )
    chosen = _partition.natural(owner, there, np.random.default_rng(seed), dataset="x")
    rows = _partition.rows_of(owner, chosen)
    assert all(
        np.array_equal(part, np.flatnonzero(owner == who))
        for part, who in zip(rows, chosen, strict=True)
    )
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(len(owner)))
    fewer = _partition.natural(owner, (there + 1) // 2, np.random.default_rng(seed), dataset="x")
    assert np.array_equal(fewer, chosen[: len(fewer)])


def test_no_more_natural_clients_than_there_are():
    with pytest.raises(
        InputError, match=r"scenario.clients must be at most 3 .natural .* 'x'., got 4"
    ):
        _partition.natural(np.array([0, 1, 2, 2]), 4, np.random.default_rng(0), dataset="x")


def test_dirichlet_keeps_its_smallest_client():
    labels = np.repeat(np.arange(CLASSES), 10)
    for seed in range(30):
        index = _partition.dirichlet(
            labels, 10, np.random.default_rng(seed), classes=CLASSES, alpha=0.3
        )
        assert min(len(rows) for rows in index) >= 2


def test_matching_test_sets_hold_all_of_the_clients_classes_and_no_other():
    labels, test_labels = _labels(1000), _labels(500, seed=1)
    index = _equal_labels(labels, 20, np.random.default_rng(0))
    tests = _partition.matching_test_sets(labels, index, test_labels)
    for rows, test in zip(index, tests, strict=True):
        assert np.array_equal(test, np.flatnonzero(np.isin(test_labels, labels[rows])))
    assert len({id(test) for test in tests}) == len(
        {tuple(np.unique(labels[rows])) for rows in index}
    )


@given(
    clients=st.integers(1, 60), alpha=st.sampled_from([0.2, 1.0, 100.0]), seed=st.integers(0, 200)
)
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
    tests = _partition.proportional_test_sets(
        labels, train, test_labels, np.random.default_rng(0), classes=2
    )
    assert [test_labels[rows].tolist() for rows in tests] == [[0] * 4, [0], [1] * 5]


@pytest.mark.parametrize(
    ("split", "settings_", "clients", "said"),
    [
        (
            _partition.iid,
            {},
            301,
            "scenario.clients must be at most 300 .training samples., got 301",
        ),
        (
            _partition.shards,
            {"shards_per_client": 4},
            100,
            "shards_per_client must be at most 300 .*, got 400",
        ),
        (
            _partition.equal_labels,
            {"classes": 10, "labels_per_client": 11},
            5,
            "labels_per_client must be at most 10",
        ),
        (
            _partition.equal_labels,
            {"classes": 10, "labels_per_client": 0},
            5,
            "labels_per_client must be at least 1",
        ),
        (
            _partition.equal_labels,
            {"classes": 10, "labels_per_client": 2},
            200,
            "class 0 must have .* 40 clients, got 30",
        ),
        (
            _partition.equal_labels,
            {"classes": 11, "labels_per_client": 11},
            2,
            "class 10 must have .*, got 0",
        ),
        (
            _partition.dirichlet,
            {"classes": 10, "alpha": 0.0},
            5,
            "dirichlet_alpha must be above 0, got 0",
        ),
        (
            _partition.dirichlet,
            {"classes": 10, "alpha": -1.0},
            5,
            "dirichlet_alpha must be above 0, got -1",
        ),
        (
            _partition.dirichlet,
            {"classes": 10, "alpha": float("nan")},
            5,
            "dirichlet_alpha must be finite",
        ),
        (
            _partition.dirichlet,
            {"classes": 10, "alpha": 1e308},
            5,
            "dirichlet_alpha must be at most 1e.09",
        ),
        (
            _partition.iid,
            {"size_sigma": 0.1},
            151,
            "2 x scenario.clients must be at most 300 .*, got 302",
        ),
        (_partition.iid, {"size_sigma": 5.1}, 5, "training.size_sigma must be at most 5, got 5.1"),
        (
            _partition.dirichlet,
            {"classes": 10, "alpha": 1.0},
            151,
            "2 x scenario.clients must be .* 300 .*, got 302",
        ),
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
    with pytest.raises(
        InputError, match=r"client 1 must have a test sample of its classes \[1\], got none"
    ):
        _partition.matching_test_sets(labels, train, np.zeros(4, dtype=np.int64))
    with pytest.raises(
        InputError,
        match="client 1 must have a test sample of its own classes, got none: the test set",
    ):
        _partition.proportional_test_sets(
            labels, train, np.zeros(4, dtype=np.int64), np.random.default_rng(0), classes=2
        )


def test_nobodys_only_test_sample_is_taken():
    labels = np.repeat([0, 1], 500)
    train = [np.arange(499), np.array([499]), np.arange(500, 1000)]
    with pytest.raises(InputError, match="the test set of 4 samples is too small for 3 clients"):
        _partition.proportional_test_sets(
            labels, train, np.array([0, 1, 1, 1]), np.random.default_rng(0), classes=2
        )
