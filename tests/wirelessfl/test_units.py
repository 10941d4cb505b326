"""Conversions between decibels and SI units."""

import numpy as np
import pytest

from wirelessfl.units import db_to_linear, dbm_to_watt, linear_to_db, watt_to_dbm
from wirelessfl.values import Scenario


@pytest.mark.parametrize(
    ("level_db", "ratio"), [(0, 1), (10, 10), (-30, 1e-3), (3.0102999566398120, 2)]
)
def test_decibels_by_hand(level_db, ratio):
    assert float(db_to_linear(level_db)) == pytest.approx(ratio, rel=1e-14)
    assert float(linear_to_db(ratio)) == pytest.approx(level_db, abs=1e-12)


@pytest.mark.parametrize(
    ("level_dbm", "power_w"), [(30, 1), (0, 1e-3), (28, 0.6309573444801932), (-110, 1e-14)]
)
def test_dbm_by_hand(level_dbm, power_w):
    assert float(dbm_to_watt(level_dbm)) == pytest.approx(power_w, rel=1e-14)
    assert float(watt_to_dbm(power_w)) == pytest.approx(level_dbm, abs=1e-10)


def test_the_default_powers_are_exactly_their_levels():
    """A scenario file with 28 dBm is the same experiment, to the last bit, as one without."""
    assert float(dbm_to_watt(28)) == Scenario().transmit_power_w
    assert float(dbm_to_watt(-110)) == Scenario().noise_power_w


def test_any_shape_there_and_back():
    level = np.linspace(-120, 40, 12).reshape(3, 4)
    np.testing.assert_allclose(linear_to_db(db_to_linear(level)), level, atol=1e-12)
    np.testing.assert_allclose(watt_to_dbm(dbm_to_watt(level)), level, atol=1e-12)


def test_a_level_beyond_a_float_is_infinite_without_a_warning():
    assert float(dbm_to_watt(4000)) == np.inf
