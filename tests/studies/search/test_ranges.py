"""Ranges of a random search: parsing, draws, and narrower ranges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.search.ranges import Choice, LogUniform, Uniform, parse_range
from wirelessfl.errors import InputError


def draws(found, count=4000):
    rng = np.random.default_rng(0)
    return np.array([found.draw(rng) for _ in range(count)])


@pytest.mark.parametrize(
    ("found", "scale"),
    [(LogUniform(1e-5, 8e-3), np.log), (Uniform(-2.0, 5.0), np.array)],
    ids=["log", "lin"],
)
def test_draws_are_uniform_on_their_scale(found, scale):
    places = (scale(draws(found)) - scale(found.low)) / (scale(found.high) - scale(found.low))
    assert places.min() >= 0
    assert places.max() <= 1
    error = 1 / math.sqrt(12 * places.size)  # standard deviation of the mean of a uniform sample
    assert abs(places.mean() - 0.5) < 4 * error
    assert abs((places < 0.25).mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / places.size)


def test_draws_have_four_digits_and_choices_are_equally_likely():
    assert all(float(f"{value:.4g}") == value for value in draws(LogUniform(1e-5, 1e-1), 50))
    counts = np.unique(draws(Choice((8, 16, 32, 64))), return_counts=True)
    assert counts[0].tolist() == [8, 16, 32, 64]
    assert np.all(np.abs(counts[1] - 1000) < 4 * math.sqrt(4000 * 0.25 * 0.75))


@given(st.floats(0, 1), st.floats(0.01, 1))
def test_the_second_range_lies_in_the_first_holds_the_value_and_is_no_wider(place, shrink):
    log = LogUniform(1e-5, 1e-1)
    lin = Uniform(2.0, 6.0)
    value = min(max(1e-5 * 1e4**place, log.low), log.high)
    inner = log.around(value, shrink)
    assert log.low <= inner.low <= value <= inner.high <= log.high
    assert math.log(inner.high / inner.low) <= shrink * math.log(1e4) * (1 + 1e-9)
    value = 2.0 + 4.0 * place
    inner = lin.around(value, shrink)
    assert lin.low <= inner.low <= value <= inner.high <= lin.high
    assert inner.high - inner.low <= shrink * 4.0 * (1 + 1e-9)


def test_the_second_range_in_the_middle_is_symmetric_and_of_the_width_asked_for():
    inner = LogUniform(1e-4, 1.0).around(1e-2, 0.5)
    assert (inner.low, inner.high) == pytest.approx((1e-3, 1e-1))
    assert Uniform(0.0, 10.0).around(5.0, 0.2) == Uniform(4.0, 6.0)
    assert Choice((8, 16, 32, 64)).around(16, 0.3) == Choice((8, 16, 32))
    assert Choice((8, 16, 32, 64)).around(64, 0.3) == Choice((32, 64))


def test_texts_are_ranges_and_back():
    for text, found in {
        "1e-05:8e-05": LogUniform(1e-5, 8e-5),
        "lin:-1:2": Uniform(-1.0, 2.0),
        "{8,16,0.5,true,iid}": Choice((8, 16, 0.5, True, "iid")),
    }.items():
        assert parse_range("training.x", text) == found
        assert parse_range("training.x", str(found)) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.1", "--over training.x must be low:high, lin:low:high or {a,b,...}, got '0.1'"),
        ("a:b", "--over training.x must be low:high, lin:low:high or {a,b,...}, got 'a:b'"),
        ("0:1", "--over training.x low end must be above 0, got 0"),
        ("2:1", "--over training.x high end must be at least 2, got 1"),
        ("lin:0:inf", "--over training.x high end must be finite, got inf"),
        ("{}", "--over training.x must have at least one value to choose from, got none"),
    ],
)
def test_what_is_no_range_is_one_line(text, said):
    with pytest.raises(InputError) as caught:
        parse_range("training.x", text)
    assert str(caught.value) == said
