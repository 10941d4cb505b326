"""Standard errors of means of consecutive rounds against what the means of many runs do."""

import numpy as np
import pytest

from wirelessfl.records.correlated_mean import effective_rounds, standard_error

RUNS = 1000


def first_order(rho, rounds, runs=RUNS, seed=0):
    """Normal series x' = rho x + sqrt(1 - rho^2) n, N(0, 1) in every round; (runs, rounds)."""
    noise = np.random.default_rng(seed).standard_normal((rounds, runs))
    series = [noise[0]]
    for fresh in noise[1:]:
        series.append(rho * series[-1] + np.sqrt(1 - rho**2) * fresh)
    return np.array(series).T


@pytest.mark.parametrize(
    ("rho", "rounds"), [(0.0, 20), (0.0, 100), (0.5, 200), (0.77, 709), (0.9, 709), (-0.5, 200)]
)
def test_intervals_cover_the_mean(rho, rounds):
    series = first_order(rho, rounds)
    means, errors = series.mean(axis=1), standard_error(series)
    assert np.mean(np.abs(means) <= 1.96 * errors) > 0.9
    assert np.sqrt((errors**2).mean()) < 1.25 * max(means.std(), 1 / np.sqrt(rounds))


def test_independent_rounds_alone_say_too_little():
    series = first_order(0.77, 709)
    independent = series.std(axis=1, ddof=1) / np.sqrt(709)
    expected = np.sqrt((1 + 0.77) / (1 - 0.77))  # of an autoregression of first order
    assert np.median(standard_error(series) / independent) == pytest.approx(expected, rel=0.1)


def test_repeats_add_nothing():
    series = np.random.default_rng(1).standard_normal((3, 20))
    once = standard_error(series)
    for rounds in (20, 4000, 3993):
        repeated = np.tile(series, 200)[:, :rounds]
        np.testing.assert_allclose(standard_error(repeated, period=20), once, rtol=1e-12)
    np.testing.assert_array_equal(standard_error(series, period=30), once)


def test_a_constant_has_no_error_and_one_round_none_that_is_known():
    assert standard_error(np.full((2, 9), 0.3)).tolist() == [0.0, 0.0]
    assert np.isnan(standard_error([[1.0], [2.0]])).all()
    found = standard_error([[1.0, np.inf, 2.0], [1.0, 2.0, 4.0], [np.nan, 0.0, 1.0]])
    assert np.isnan(found).tolist() == [True, False, True]


def test_large_batches_are_cut_and_any_shape_kept(monkeypatch):
    series = first_order(0.5, 50, runs=12).reshape(3, 4, 50)
    whole = standard_error(series)
    assert whole.shape == (3, 4)
    monkeypatch.setattr("wirelessfl.records.correlated_mean._AT_ONCE", 100)
    np.testing.assert_allclose(standard_error(series), whole, rtol=1e-12)


def test_the_number_of_independent_rounds():
    assert effective_rounds(first_order(0.0, 5000, runs=1)[0]) == pytest.approx(5000, rel=0.15)
    found = effective_rounds(first_order(0.77, 20000, runs=1)[0])
    assert found == pytest.approx(20000 * (1 - 0.77) / (1 + 0.77), rel=0.25)
    assert effective_rounds(np.tile([1.0, 2.0, 4.0], 100), period=3) == pytest.approx(3.0)
    assert effective_rounds(np.ones(7)) == 7.0
