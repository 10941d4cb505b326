"""Sector antennas against the pattern of TR 38.901."""

import numpy as np
import pytest

from channel_models._geometry.sector import Sector
from wirelessfl.errors import InputError


def at(angle_deg, distance_m=100.0):
    angle = np.deg2rad(angle_deg)
    return distance_m * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def test_one_sector_is_alike_everywhere():
    np.testing.assert_array_equal(Sector().gain_db(at(np.arange(360.0))), 0.0)


def test_three_sectors_have_the_standards_pattern():
    """8 dBi ahead, 3 dB less at half the beam width, 12 (60/65)^2 dB less between sectors."""
    gain = Sector(sectors=3).gain_db(at([0.0, 32.5, -32.5, 60.0, 120.0, 240.0, 180.0, 272.5]))
    meet = 8.0 - 12.0 * (60.0 / 65.0) ** 2
    np.testing.assert_allclose(gain, [8.0, 5.0, 5.0, meet, 8.0, 8.0, meet, 5.0], atol=1e-9)


def test_best_sector_serves():
    angle = np.linspace(-180.0, 180.0, 721)
    off = (angle[:, None] - np.array([0.0, 120.0, 240.0]) + 180.0) % 360.0 - 180.0
    every = 6.0 - np.minimum(12.0 * (off / 65.0) ** 2, 30.0)
    np.testing.assert_allclose(
        Sector(sectors=3, sector_gain_dbi=6.0).gain_db(at(angle)), every.max(axis=1), atol=1e-9
    )


def test_gain_does_not_depend_on_distance():
    np.testing.assert_allclose(
        Sector(sectors=3).gain_db(at(77.0, 1.0)),
        Sector(sectors=3).gain_db(at(77.0, 1e4)),
        atol=1e-9,
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sectors": 2}, "channel.sectors must be 1 or 3, got 2"),
        ({"sectors": True}, "channel.sectors must be 1 or 3, got True"),
        ({"sector_gain_dbi": float("inf")}, "channel.sector_gain_dbi must be finite, got inf"),
    ],
)
def test_bad_input_is_one_line(fields, message):
    with pytest.raises(InputError) as caught:
        Sector(**fields)
    assert str(caught.value) == message
