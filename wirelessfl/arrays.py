"""Names of array types."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PerClient = float | tuple[float, ...]
# Also a range or distribution as text, see `wirelessfl.scenario.spread`.
Spreadable = float | tuple[float, ...] | str

# The fields of a scenario of type `Spreadable`.
PER_CLIENT = (
    "transmit_power_w",
    "cpu_hz",
    "cycles_per_weight",
    "distance_m",
    "downlink_rate_bps",
    "weight",
)
