"""Foreign text in one short printable line, numbers with all their digits."""

import math

import pytest

from wirelessfl.errors import InputError, check_number
from wirelessfl.text import MOST_LINE, in_full, one_line, printable


@pytest.mark.parametrize("value", [0.1, 1e6, 1 + 2**-52, 1e308, 5e-324, 123456789.0, -0.3])
def test_a_number_is_read_back_from_its_text(value):
    assert float(in_full(value)) == value


def test_limit_and_value_never_look_alike():
    with pytest.raises(InputError, match=r"at most 1e\+06, got 1000000\.0000000001"):
        check_number("x", math.nextafter(1e6, 2e6), at_most=1e6)
    with pytest.raises(InputError, match=r"at most 1, got 1\.0000000000000002"):
        check_number("x", 1 + 2**-52, at_most=1)
    with pytest.raises(InputError, match=r"at most 1e\+06, got 1000001"):
        check_number("x", 1_000_001, at_most=1e6)
    with pytest.raises(InputError, match="finite"):
        check_number("x", 10**400, at_most=1)


def test_control_characters_are_shown_as_escape_sequences():
    assert printable("a\x1b[2J\r\nb\x9b\u2028\u202e\ud800") == (
        r"a\x1b[2J\r\nb\x9b\u2028\u202e\ud800"
    )
    assert printable("größe ± ∞") == "größe ± ∞"


def test_a_long_value_is_shortened_and_the_rest_stays():
    line = one_line("field must be small, got " + 3000 * "x" + " in file a.toml")
    assert len(line) < 400
    assert line.startswith("field must be small, got xxx")
    assert line.endswith("x in file a.toml")
    assert len(one_line("a " * 10_000)) < MOST_LINE + 100
