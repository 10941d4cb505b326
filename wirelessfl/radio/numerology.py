"""Numerology of 5G NR: resource blocks, slots, transport blocks and effective SINR."""

from bisect import bisect_left
from math import ceil, floor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.errors import InputError, check_count, check_number
from wirelessfl.radio.nr_tables import EESM_BETA, MCS, RESOURCE_BLOCKS, TRANSPORT_BLOCK_BITS

Array = NDArray[np.float64]
SUBCARRIERS = 12  # sub-carriers of a resource block: 3GPP TS 38.211, section 4.4.4.1
SUBCARRIER_SPACINGS_HZ = (15e3, 30e3, 60e3)
_MOST_ELEMENTS = 156  # resource elements of a block that count: TS 38.214, section 5.1.3.2
_MOST_IN_TABLE = 3824


def check_spacing(field: str, subcarrier_spacing_hz: float) -> None:
    """Refuse a sub-carrier spacing that is not one of `SUBCARRIER_SPACINGS_HZ`.

    Args:
        field: Name of the field in the message.
        subcarrier_spacing_hz: Spacing in Hz.

    Raises:
        InputError: The spacing is another one.
    """
    if subcarrier_spacing_hz not in SUBCARRIER_SPACINGS_HZ:
        spacings = ", ".join(f"{spacing:g}" for spacing in SUBCARRIER_SPACINGS_HZ)
        raise InputError(f"{field} must be one of {spacings}; got {subcarrier_spacing_hz!r}")


def resource_block_hz(subcarrier_spacing_hz: float) -> float:
    """Width of a resource block of 12 sub-carriers (TS 38.211, section 4.4.4.1).

    Args:
        subcarrier_spacing_hz: Spacing in Hz.

    Returns:
        Width in Hz: 180, 360 or 720 kHz.
    """
    check_spacing("subcarrier_spacing_hz", subcarrier_spacing_hz)
    return SUBCARRIERS * subcarrier_spacing_hz


def slot_s(subcarrier_spacing_hz: float) -> float:
    """Length of a slot of 14 symbols, inverse to the spacing (TS 38.211, section 4.3.2).

    Args:
        subcarrier_spacing_hz: Spacing in Hz.

    Returns:
        Length in s, 1 ms at 15 kHz.
    """
    check_spacing("subcarrier_spacing_hz", subcarrier_spacing_hz)
    return 1e-3 * 15e3 / subcarrier_spacing_hz


def resource_blocks(bandwidth_hz: float, subcarrier_spacing_hz: float = 15e3) -> int:
    """Number of resource blocks of a carrier without guard bands (3GPP TS 38.101-1, table 5.3.2-1).

    Frequency range 1: 5 to 50 MHz at 15 kHz, 5 to 100 MHz at 30 kHz, 10 to 100 MHz at 60 kHz.

    Args:
        bandwidth_hz: Channel bandwidth in Hz.
        subcarrier_spacing_hz: Spacing in Hz.

    Returns:
        Number N_RB of resource blocks.

    Raises:
        InputError: The table does not have this bandwidth or spacing.
    """
    check_spacing("subcarrier_spacing_hz", subcarrier_spacing_hz)
    if (bandwidth_hz, subcarrier_spacing_hz) not in RESOURCE_BLOCKS:
        known = ", ".join(
            f"{hz / 1e6:g}" for hz, spacing in RESOURCE_BLOCKS if spacing == subcarrier_spacing_hz
        )
        raise InputError(
            f"bandwidth_hz must be one of {known} MHz "
            f"at sub-carriers of {subcarrier_spacing_hz:g} Hz, "
            f"got {bandwidth_hz!r}"
        )
    return RESOURCE_BLOCKS[bandwidth_hz, subcarrier_spacing_hz]


def transport_block_bits(
    mcs: int,
    resource_blocks: int,
    *,
    symbols: int = 14,
    reference_elements: int = 12,
    layers: int = 1,
) -> int:
    """Size of a transport block in one slot (3GPP TS 38.214, section 5.1.3.2).

    N_info = N_RE R Q_m layers with N_RE = min(156, 12 symbols - reference_elements) per resource
    block is quantised, then looked up (up to 3824 bits) or filled up to code blocks of equal whole
    bytes with their checksums.

    Args:
        mcs: Modulation and coding scheme of table 1; from 0 to 28.
        resource_blocks: Number of resource blocks.
        symbols: OFDM symbols of the slot; at most 14.
        reference_elements: Resource elements per block for reference signals.
        layers: Number of spatial layers.

    Returns:
        Size in bits.

    Raises:
        InputError: Unknown MCS, a slot of more than 14 symbols, or no element left to carry data.
    """
    bits_per_symbol, rate_x1024 = MCS[_row(mcs)]
    for field, count in (
        ("resource_blocks", resource_blocks),
        ("symbols", symbols),
        ("layers", layers),
    ):
        check_count(field, count)
    check_number("symbols", symbols, at_most=14)
    check_count("reference_elements", reference_elements, at_least=0)
    elements = min(_MOST_ELEMENTS, SUBCARRIERS * symbols - reference_elements)
    if elements <= 0:
        raise InputError(
            f"reference_elements must be below {SUBCARRIERS * symbols}, got {reference_elements}"
        )
    information = elements * resource_blocks * bits_per_symbol * layers * rate_x1024 / 1024.0
    if information <= _MOST_IN_TABLE:
        step = 2.0 ** max(3, _log2(information) - 6)
        least = max(24.0, step * floor(information / step))
        bits: int = TRANSPORT_BLOCK_BITS[bisect_left(TRANSPORT_BLOCK_BITS, least)]
        return bits
    step = 2.0 ** (_log2(information - 24.0) - 5)
    quantised = max(3840.0, step * floor((information - 24.0) / step + 0.5))
    most_per_code_block = 3816 if rate_x1024 <= 256 else 8424
    single = rate_x1024 > 256 and quantised <= 8424
    code_blocks = 1 if single else ceil((quantised + 24.0) / most_per_code_block)
    return 8 * code_blocks * ceil((quantised + 24.0) / (8 * code_blocks)) - 24


def effective_sinr(sinr: ArrayLike, mcs: int) -> Array:
    """Uniform SINR that is equivalent to different ones per sub-carrier.

    Exponential effective SINR mapping -beta ln mean exp(-sinr / beta), with the beta of the MCS.
    The result lies between the smallest and the mean.

    Args:
        sinr: Linear SINR per sub-carrier; (..., N).
        mcs: Modulation and coding scheme; from 0 to 28.

    Returns:
        Linear SINR; (...,).

    Raises:
        InputError: Unknown MCS.
    """
    beta = EESM_BETA[_row(mcs)]
    exponents = np.asarray(sinr, dtype=np.float64) / beta
    least = exponents.min(axis=-1, keepdims=True)
    found = least[..., 0] - np.log(np.exp(least - exponents).mean(axis=-1))
    return np.asarray(beta * found)


def _row(mcs: int) -> int:
    check_count("mcs", mcs, at_least=0)
    check_number("mcs", mcs, at_most=len(MCS) - 1)
    return mcs


def _log2(bits: float) -> int:
    return int(bits).bit_length() - 1
