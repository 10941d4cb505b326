"""Random streams: golden values and independence of everything but the key."""

import itertools

import numpy as np
import pytest

from wirelessfl.rng import Streams


def test_golden_values():
    """A run must be the same run next year."""
    streams = Streams(seed=7, round=3)
    assert streams.generator("fading", 2).standard_normal(3).tolist() == [
        -0.8961569158836772,
        0.788035496126234,
        -1.0630509795945515,
    ]
    assert streams.generator("fading").integers(0, 2**32, 3).tolist() == [
        2035672056,
        2350476945,
        2461251387,
    ]
    assert streams.seed_for("masks", 0) == 4982951824721229172
    assert streams.seed_for("masks") == 9084334890844325367


def test_a_stream_depends_on_its_key_alone():
    streams = Streams(seed=1, round=4)
    expected = streams.generator("a", 0).random(5)
    streams.generator("b", 0).random(100)
    streams.generator("a", 1).random(100)
    np.testing.assert_array_equal(Streams(seed=1).at(4).generator("a", 0).random(5), expected)
    assert streams.seed_for("a", 0) == Streams(seed=1, round=4).seed_for("a", 0)


def test_every_part_of_the_key_counts():
    keys = itertools.product(range(3), range(3), ("a", "b", ""), (None, 0, 1))
    seeds = [Streams(seed, round).seed_for(name, client) for seed, round, name, client in keys]
    firsts = [
        Streams(seed, round).generator(name, client).random()
        for seed, round, name, client in itertools.product(
            range(3), range(3), ("a", "b", ""), (None, 0, 1)
        )
    ]
    assert len(set(seeds)) == len(set(firsts)) == 81


def test_seeds_fit_into_63_bits():
    assert all(0 <= Streams(0, round).seed_for("s") < 2**63 for round in range(100))


def test_streams_are_uncorrelated_over_rounds_and_clients():
    draws = np.array(
        [[Streams(0, r).generator("s", k).standard_normal() for k in range(20)] for r in range(100)]
    )
    assert draws.mean() == pytest.approx(0.0, abs=4 / np.sqrt(draws.size))
    assert draws.var() == pytest.approx(1.0, abs=4 * np.sqrt(2 / draws.size))
    assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 4 / np.sqrt(draws.size)
