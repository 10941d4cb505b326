"""Distribution, mean and quantiles of the fading, and its correlation over position."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from channel_models._propagation.fading import WAVES, Fading, field_amplitudes
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams

DRAWS = 3000
CHANCE = 6e-5  # how often a normal number is more than 4 standard errors off
HERE = np.array([[3.7, -1.2]])
CASES = [
    (fading, k, antennas, combining)
    for fading, k in (("rayleigh", None), ("rician", 0.5), ("rician", 8.0))
    for antennas, combining in ((1, "mrc"), (4, "mrc"), (4, "selection"))
]


def branch_cdf(x, k, summed=1):
    """P(sum of branch powers < x) for Rician k: 2 (k+1) times it is noncentral chi-squared."""
    return (
        stats.ncx2.cdf(2 * (k + 1) * x, 2 * summed, 2 * k * summed)
        if k
        else stats.gamma.cdf(x, summed)
    )


def cdf(x, k, antennas, combining):
    return branch_cdf(x, k, antennas) if combining == "mrc" else branch_cdf(x, k) ** antennas


@pytest.mark.parametrize("where", [None, HERE], ids=["every round", "at a place"])
@pytest.mark.parametrize(("fading", "k", "antennas", "combining"), CASES)
def test_distribution_mean_and_quantiles(fading, k, antennas, combining, where):
    model = Fading(fading=fading, antennas=antennas, combining=combining)
    draws = np.array(
        [
            model.power(Streams(seed, seed), 1, k_factor=k, position_wavelengths=where, block=2)[0]
            for seed in range(DRAWS)
        ]
    )
    assert stats.kstest(draws, lambda x: cdf(x, k or 0.0, antennas, combining)).pvalue > CHANCE
    assert abs(draws.mean() - model.mean_power(k)) <= 4 * draws.std() / np.sqrt(DRAWS)
    for outage in (0.02, 0.3, 0.9):
        share = np.mean(draws < model.quantile(outage, k))
        assert abs(share - outage) <= 4 * np.sqrt(outage * (1 - outage) / DRAWS)


@pytest.mark.parametrize(("fading", "k", "antennas", "combining"), CASES)
@pytest.mark.parametrize("outage", [1e-6, 0.05, 0.5, 0.99])
def test_quantiles_are_exact(fading, k, antennas, combining, outage):
    quantile = Fading(fading=fading, antennas=antennas, combining=combining).quantile(outage, k)
    assert cdf(quantile, k or 0.0, antennas, combining) == pytest.approx(outage, rel=1e-7)


@pytest.mark.parametrize("antennas", [1, 2, 7])
@pytest.mark.parametrize("k", [1e-9, 0.3, 8.0, 316.0, 1e6])
def test_mean_of_the_strongest_rician_branch(k, antennas):
    mean = Fading(fading="rician", antennas=antennas, combining="selection").mean_power(k)
    if k < 1e-6:
        assert mean == pytest.approx(sum(1 / m for m in range(1, antennas + 1)), rel=1e-8)
    elif k < 1e5:
        mode, width = k / (k + 1), 15 / np.sqrt(k + 1)
        whole, _ = integrate.quad(
            lambda x: 1 - branch_cdf(x, k) ** antennas,
            0,
            mode + width + 40 / (k + 1),
            points=[mode],
            limit=200,
        )
        assert mean == pytest.approx(whole, rel=1e-8)
    else:
        # As K grows a branch is Gaussian about 1 with variance 2 / K.
        largest = {1: 0.0, 2: 0.5642, 7: 1.3522}[antennas]
        assert mean == pytest.approx(1 + largest * np.sqrt(2 / k), abs=1e-5)


def test_means_by_hand():
    assert Fading(antennas=4).mean_power() == 4.0
    assert Fading(antennas=4, combining="selection").mean_power() == pytest.approx(
        1 + 1 / 2 + 1 / 3 + 1 / 4
    )
    assert Fading(fading="none", antennas=4).mean_power() == 4.0
    assert Fading(fading="none", antennas=4, combining="selection").mean_power() == 1.0
    rician = Fading(fading="rician", antennas=3)
    np.testing.assert_array_equal(rician.mean_power([0.0, 2.0]), [3.0, 3.0])
    assert rician.quantile(0.1, [0.0, 2.0]).shape == (2,)
    mixed = Fading(fading="rician", antennas=3, combining="selection").mean_power([0.0, 2.0])
    assert mixed[0] == pytest.approx(1 + 1 / 2 + 1 / 3, rel=1e-15)
    assert 1 < mixed[1] < mixed[0]


def test_without_fading_the_power_is_its_mean_everywhere():
    model = Fading(fading="none", antennas=2)
    np.testing.assert_array_equal(model.power(Streams(1, 1), 3, k_factor=4.0), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(model.power(Streams(1, 1), 1, position_wavelengths=HERE), [2.0])
    assert model.quantile(0.05) == 2.0


@pytest.mark.parametrize("antennas", [1, 3, 4])
def test_rayleigh_draws_are_numpys_gamma_of_the_stream_fading(antennas):
    """Runs recorded before fading had branches keep their numbers to the last bit."""
    expected = [
        Streams(6, 2).generator("fading", client).standard_gamma(antennas) for client in range(5)
    ]
    np.testing.assert_array_equal(Fading(antennas=antennas).power(Streams(6, 2), 5), expected)
    without = Fading(fading="rician", antennas=antennas)
    np.testing.assert_array_equal(without.power(Streams(6, 2), 5, k_factor=0.0), expected)
    np.testing.assert_array_equal(
        without.power(Streams(6, 2), 5, k_factor=[0, 3, 0, 3, 0])[::2], expected[::2]
    )


def test_rounds_blocks_and_clients_fade_independently():
    draws = np.array(
        [
            [Fading().power(Streams(3, round), 2, block=block) for block in (0, 1)]
            for round in range(2000)
        ]
    ).reshape(2000, 4)
    off_diagonal = np.corrcoef(draws.T) - np.eye(4)
    assert np.abs(off_diagonal).max() < 4 / np.sqrt(2000)
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 4 / np.sqrt(2000)


@pytest.mark.parametrize("k", [0.0, 2.0])
@pytest.mark.parametrize(
    "lag", [0.1, 0.38274, 0.7, 2.3]
)  # wavelengths; the second is the first zero of J0
@pytest.mark.slow
def test_autocorrelation_over_position_is_clarkes(k, lag):
    there, expected = HERE[0] + lag * np.array([0.6, 0.8]), special.j0(2 * np.pi * lag)
    pairs = np.array(
        [
            [field_amplitudes(Streams(seed), 0, 1, k, place)[0] for place in (HERE[0], there)]
            for seed in range(4000)
        ]
    )
    products = pairs[:, 0] * pairs[:, 1].conj()
    for part, truth in ((products.real, expected), (products.imag, 0.0)):
        assert abs(part.mean() - truth) <= 4 * part.std() / np.sqrt(len(part))
    if k == 0:
        power = np.prod(np.abs(pairs) ** 2, axis=1)
        truth = 1 + expected**2 + (1 - expected**2) / WAVES
        assert abs(power.mean() - truth) <= 4 * power.std() / np.sqrt(len(power))


def test_the_field_is_one_of_place_not_of_time():
    model = Fading(fading="rician", antennas=2)

    def at(place, *, round=0, block=0, clients=1, k=3.0):
        where = np.tile(place, (clients, 1))
        return model.power(
            Streams(5, round), clients, k_factor=k, position_wavelengths=where, block=block
        )

    np.testing.assert_array_equal(at(HERE), at(HERE, round=9, block=4))
    np.testing.assert_array_equal(at(HERE), at(HERE, clients=3)[:1])
    np.testing.assert_allclose(at(HERE), at(HERE + 1e-5), rtol=1e-2)
    assert len(set(at(HERE, clients=3))) == 3
    assert abs(at(HERE)[0] / at(HERE + 5)[0] - 1) > 1e-3


@given(seed=st.integers(0, 10**6), antennas=st.integers(1, 5), k=st.floats(0, 50))
def test_the_strongest_branch_is_part_of_the_sum(seed, antennas, k):
    strongest, total = (
        Fading(fading="rician", antennas=antennas, combining=combining).power(
            Streams(seed), 1, k_factor=k, position_wavelengths=HERE
        )[0]
        for combining in ("selection", "mrc")
    )
    assert 0 < strongest <= total * (1 + 1e-12)
    assert total <= antennas * strongest * (1 + 1e-12)


@given(
    k=st.floats(0, 1e3),
    antennas=st.integers(1, 8),
    outages=st.tuples(st.floats(0.01, 0.98), st.floats(0.01, 0.98)),
)
def test_quantiles_grow_with_the_outage_and_with_combining(k, antennas, outages):
    total, strongest, single = (
        Fading(fading="rician", antennas=m, combining=c)
        for m, c in ((antennas, "mrc"), (antennas, "selection"), (1, "mrc"))
    )
    low, high = sorted(outages)
    for model in (total, strongest, single):
        assert model.quantile(low, k) <= model.quantile(high, k)
    assert single.quantile(low, k) <= strongest.quantile(low, k) * (1 + 1e-9)
    assert strongest.quantile(low, k) <= total.quantile(low, k) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"antennas": 10**11}, r"channel\.antennas must be at most 4096, got 100000000000"),
        (
            {"fading": "nakagami"},
            "channel.fading must be one of none, rayleigh, rician; got 'nakagami'",
        ),
        ({"antennas": 0}, "channel.antennas must be a whole number of at least 1, got 0"),
        (
            {"combining": "equal-gain"},
            "channel.combining must be one of mrc, selection; got 'equal-gain'",
        ),
    ],
)
def test_bad_fields_are_one_line(fields, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        Fading(**fields)


@pytest.mark.parametrize("k", [-1.0, np.nan, np.inf])
def test_a_bad_k_factor_is_refused(k):
    with pytest.raises(InputError, match=r"^k_factor must be"):
        Fading(fading="rician").power(Streams(0), 2, k_factor=[1.0, k])
