"""Constants of the environments of 3GPP TR 38.901."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Constants of one column of Tables 7.4.1-1 and 7.5-6; pairs are (line of sight, none)."""

    bs_height_m: float
    ut_height_m: float
    nearest_m: float
    farthest_m: tuple[float, float]
    bs_heights_m: tuple[float, float] = (0.0, np.inf)
    ut_heights_m: tuple[float, float] = (0.0, np.inf)
    highest_carrier_hz: float = 100e9
    shadow_std_db: tuple[float, float]
    optional_nlos: tuple[float, float] | None = None  # slope in dB a decade, its shadowing in dB
    correlation_distance_m: tuple[float, float]
    indoor_correlation_distance_m: float
    k_factor_db: tuple[float, float]  # mean, standard deviation


TABLE = {
    "umi": Environment(
        bs_height_m=10.0,
        ut_height_m=1.5,
        nearest_m=10.0,
        farthest_m=(5e3, 5e3),
        ut_heights_m=(1.5, 22.5),
        shadow_std_db=(4.0, 7.82),
        optional_nlos=(31.9, 8.2),
        correlation_distance_m=(10.0, 13.0),
        indoor_correlation_distance_m=7.0,
        k_factor_db=(9.0, 5.0),
    ),
    "uma": Environment(
        bs_height_m=25.0,
        ut_height_m=1.5,
        nearest_m=10.0,
        farthest_m=(5e3, 5e3),
        ut_heights_m=(1.5, 22.5),
        shadow_std_db=(4.0, 6.0),
        optional_nlos=(30.0, 7.8),
        correlation_distance_m=(37.0, 50.0),
        indoor_correlation_distance_m=7.0,
        k_factor_db=(9.0, 3.5),
    ),
    "rma": Environment(
        bs_height_m=35.0,
        ut_height_m=1.5,
        nearest_m=10.0,
        farthest_m=(10e3, 5e3),
        bs_heights_m=(10.0, 150.0),
        ut_heights_m=(1.0, 10.0),
        highest_carrier_hz=30e9,
        shadow_std_db=(4.0, 8.0),
        correlation_distance_m=(37.0, 120.0),
        indoor_correlation_distance_m=120.0,
        k_factor_db=(7.0, 4.0),
    ),
    "inh": Environment(
        bs_height_m=3.0,
        ut_height_m=1.0,
        nearest_m=1.0,
        farthest_m=(150.0, 150.0),
        shadow_std_db=(3.0, 8.03),
        correlation_distance_m=(10.0, 6.0),
        indoor_correlation_distance_m=6.0,
        k_factor_db=(7.0, 4.0),
    ),
}
