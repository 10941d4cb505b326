"""Validators of user input and their messages."""

import numpy as np
import pytest

from wirelessfl.errors import InputError, check_choice, check_count, check_number


def test_an_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize(
    "value", [0, 1.5, np.float64(2), np.int64(3), np.float32(1), (1, 2.0), [0.5], np.ones(3), ()]
)
def test_numbers_and_sequences_of_numbers_pass(value):
    check_number("f", value, at_least=0, at_most=3)


@pytest.mark.parametrize(
    "value",
    ["1", np.str_("1"), None, True, np.True_, 1j, [1, "2"], [[1.0]], np.ones((2, 2)), object()],
)
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InputError, match=r"^f must be a number, got "):
        check_number("f", value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, [1.0, np.nan]])
def test_a_number_must_be_finite(value):
    with pytest.raises(InputError, match=r"^f must be finite, got (nan|inf|-inf)$"):
        check_number("f", value)


@pytest.mark.parametrize(
    ("limit", "good", "bad", "message"),
    [
        ({"above": 0}, 1e-300, 0.0, "f must be above 0, got 0"),
        ({"at_least": 1}, 1, 0.5, "f must be at least 1, got 0.5"),
        ({"at_most": 1}, 1, 1.5, "f must be at most 1, got 1.5"),
        ({"above": 0}, (1, 2), (1, -2), "f must be above 0, got -2"),
    ],
)
def test_limits(limit, good, bad, message):
    check_number("f", good, **limit)
    with pytest.raises(InputError) as caught:
        check_number("f", bad, **limit)
    assert str(caught.value) == message


def test_choice_names_field_choices_and_value():
    check_choice("f", "a", ("a", "b"))
    with pytest.raises(InputError) as caught:
        check_choice("f", "c", iter(("a", "b")))
    assert str(caught.value) == "f must be one of a, b; got 'c'"


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", None])
def test_a_count_is_a_whole_number_of_at_least_its_limit(value):
    check_count("f", 1)
    check_count("f", 0, at_least=0)
    with pytest.raises(InputError, match=r"^f must be a whole number of at least 1, got "):
        check_count("f", value)
