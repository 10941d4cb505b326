"""Antenna sectors of the base station over the horizontal angle."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from wirelessfl.errors import InputError, check_number
from wirelessfl.values import Array

BEAMWIDTH_DEG = 65.0
MOST_ATTENUATION_DB = 30.0
MOST_GAIN_DBI = 100.0  # beyond any antenna


@dataclass(frozen=True, kw_only=True)
class Sector:
    """Sectors of the cell; the fields are keys of section `channel`.

    One sector is an omnidirectional antenna of 0 dBi. Three sectors face 0, 120 and 240 degrees
    from the x axis; each has the gain G - min(12 (phi / 65 deg)^2, 30 dB) at phi from its
    direction, the horizontal pattern of TR 38.901 Table 7.3-1, and a client is served by its best
    one.

    **Differs:** the vertical part of the pattern and its tilt are omitted.

    Attributes:
        sectors: 1 or 3.
        sector_gain_dbi: G, dBi.
    """

    sectors: Literal[1, 3] = 1
    sector_gain_dbi: float = 8.0

    def __post_init__(self) -> None:
        if self.sectors not in (1, 3) or isinstance(self.sectors, bool):
            raise InputError(f"channel.sectors must be 1 or 3, got {self.sectors!r}")
        check_number(
            "channel.sector_gain_dbi",
            self.sector_gain_dbi,
            at_least=-MOST_GAIN_DBI,
            at_most=MOST_GAIN_DBI,
        )

    def gain_db(self, position_m: Array) -> Array:
        """Gain of the best sector.

        Args:
            position_m: Positions, metres, (..., 2).

        Returns:
            dBi, (...,).
        """
        if self.sectors == 1:
            return np.zeros(position_m.shape[:-1])
        angle_deg = np.rad2deg(np.arctan2(position_m[..., 1], position_m[..., 0]))
        # the best sector is the one that looks the nearest way, at most 60 degrees off
        off_deg = (angle_deg + 60.0) % 120.0 - 60.0
        gain: Array = self.sector_gain_dbi - np.minimum(
            12.0 * (off_deg / BEAMWIDTH_DEG) ** 2, MOST_ATTENUATION_DB
        )
        return gain
