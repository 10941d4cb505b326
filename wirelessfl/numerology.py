"""5G NR numerologies: sub-carrier spacings, resource blocks, slots."""

from wirelessfl.errors import InputError

SUBCARRIERS = 12  # of a resource block, 3GPP TS 38.211 section 4.4.4.1
SUBCARRIER_SPACINGS_HZ = (15e3, 30e3, 60e3)


def check_spacing(field: str, subcarrier_spacing_hz: float) -> None:
    """Raise `InputError` unless it is one of `SUBCARRIER_SPACINGS_HZ`."""
    if subcarrier_spacing_hz not in SUBCARRIER_SPACINGS_HZ:
        spacings = ", ".join(f"{spacing:g}" for spacing in SUBCARRIER_SPACINGS_HZ)
        raise InputError(f"{field} must be one of {spacings}; got {subcarrier_spacing_hz!r}")


def resource_block_hz(subcarrier_spacing_hz: float) -> float:
    """Width of a resource block, 12 sub-carriers: 180, 360 or 720 kHz."""
    check_spacing("subcarrier_spacing_hz", subcarrier_spacing_hz)
    return SUBCARRIERS * subcarrier_spacing_hz
