"""Tables of 5G NR: resource blocks, channel quality, modulation and coding, block sizes."""

import numpy as np

# Resource blocks by channel bandwidth (MHz) and sub-carrier spacing (kHz): 3GPP TS 38.101-1, table
# 5.3.2-1.
_MHZ = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100)
_BLOCKS = {
    15: (25, 52, 79, 106, 133, 160, 188, 216, 242, 270),
    30: (11, 24, 38, 51, 65, 78, 92, 106, 119, 133, 162, 189, 217, 245, 273),
    60: (None, 11, 18, 24, 31, 38, 44, 51, 58, 65, 79, 93, 107, 121, 135),
}
RESOURCE_BLOCKS = {
    (1e6 * mhz, 1e3 * khz): blocks
    for khz, row in _BLOCKS.items()
    for mhz, blocks in zip(_MHZ, row, strict=False)
    if blocks is not None
}

# (bits of a symbol, 1024 x code rate) from CQI 1 on; CQI 0 is out of range: TS 38.214, table
# 5.2.2.1-2.
CQI = (
    *((2, rate) for rate in (78, 120, 193, 308, 449, 602)),
    *((4, rate) for rate in (378, 490, 616)),
    *((6, rate) for rate in (466, 567, 666, 772, 873, 948)),
)

# (bits of a symbol, 1024 x code rate) of MCS 0 to 28: TS 38.214, table 5.1.3.1-1, also that of the
# PUSCH (6.1.4.1).
MCS = (
    *((2, rate) for rate in (120, 157, 193, 251, 308, 379, 449, 526, 602, 679)),
    *((4, rate) for rate in (340, 378, 434, 490, 553, 616, 658)),
    *((6, rate) for rate in (438, 466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948)),
)

# (bit/s)/Hz in increasing order, from 0 (nothing is sent) on; MCS 16 carries a little more than MCS
# 17.
EFFICIENCIES_BPS_HZ = {
    name: np.array([0.0, *sorted(bits * rate / 1024.0 for bits, rate in rows)])
    for name, rows in (("cqi", CQI), ("mcs", MCS))
}

# Exponential effective SINR mapping: beta of MCS 0 to 28, as Sionna 2.2 calibrated it for the table
# above.
EESM_BETA = (
    *(1.6, 1.61, 1.63, 1.65, 1.67, 1.7, 1.73, 1.76, 1.79, 1.82),
    *(3.97, 4.27, 4.71, 5.16, 5.66, 6.16, 6.5),
    *(9.95, 10.97, 12.92, 14.96, 17.06, 19.33, 21.85, 24.51, 27.14, 29.94, 32.05, 34.28),
)

# Sizes of transport blocks up to 3824 bits: TS 38.214, table 5.1.3.2-1.
TRANSPORT_BLOCK_BITS = (
    *range(24, 193, 8),
    *range(208, 385, 16),
    *range(408, 577, 24),
    *range(608, 769, 32),
    *(808, 848, 888, 928, 984, 1032, 1064, 1128, 1160, 1192, 1224, 1256, 1288, 1320, 1352),
    *range(1416, 1929, 64),
    *(2024, 2088, 2152, 2216, 2280, 2408, 2472, 2536, 2600, 2664, 2728, 2792, 2856),
    *range(2976, 3105, 128),
    *(3240, 3368, 3496, 3624, 3752, 3824),
)
