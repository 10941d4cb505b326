"""Numerology of 5G NR against Sionna and against values of the standards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.errors import InputError
from wirelessfl.radio.nr_tables import MCS
from wirelessfl.radio.numerology import (
    effective_sinr,
    resource_block_hz,
    resource_blocks,
    slot_s,
    transport_block_bits,
)

CHECKED = settings(max_examples=60, deadline=None, derandomize=True)
BLOCKS = (1, 6, 25, 52, 106, 273)


@pytest.mark.parametrize(
    ("mcs", "bits"),
    [
        (0, (32, 224, 928, 1928, 3848, 9984)),
        (4, (88, 576, 2408, 4864, 9992, 25608)),
        (9, (208, 1256, 5120, 10760, 22032, 56368)),
        (10, (208, 1256, 5120, 10760, 22032, 56368)),
        (16, (408, 2408, 9992, 21000, 42016, 108552)),
        (17, (408, 2408, 9992, 21000, 42016, 108552)),
        (20, (528, 3104, 13064, 27144, 55304, 143400)),
        (27, (848, 4992, 21000, 43032, 88064, 225480)),
        (28, (888, 5120, 21504, 45096, 92200, 237776)),
    ],
)
def test_transport_blocks_are_those_of_sionna(mcs, bits):
    """Block sizes of Sionna 2.2.0: 14 symbols, 12 reference elements per block, one layer."""
    assert tuple(transport_block_bits(mcs, blocks) for blocks in BLOCKS) == bits


@CHECKED
@given(st.integers(0, 28), st.integers(1, 273), st.integers(2, 13), st.integers(1, 4))
def test_transport_blocks_are_whole_bytes_near_the_information(mcs, blocks, symbols, layers):
    """Sizes are within 6 % or 24 bits of N_info, and no smaller with one more symbol.

    6 % is a step of table and quantisation.
    """
    bits_per_symbol, rate_x1024 = MCS[mcs]
    information = (
        min(156, 12 * symbols - 12) * blocks * layers * bits_per_symbol * rate_x1024 / 1024
    )
    bits = transport_block_bits(mcs, blocks, symbols=symbols, layers=layers)
    assert bits % 8 == 0
    assert bits == pytest.approx(information, rel=0.06, abs=24)
    assert transport_block_bits(mcs, blocks, symbols=symbols + 1, layers=layers) >= bits


@pytest.mark.parametrize(
    ("mcs", "beta", "expected_db"),
    [
        (0, 1.6, 4.54105),
        (4, 1.67, 4.63113),
        (10, 3.97, 6.46822),
        (17, 9.95, 8.26119),
        (27, 32.05, 9.74667),
    ],
)
def test_effective_sinr_of_four_levels(mcs, beta, expected_db):
    levels = 10 ** (np.array([0.0, 5.0, 10.0, 15.0]) / 10)
    found = effective_sinr(np.stack([levels, levels[::-1]]), mcs)
    np.testing.assert_allclose(10 * np.log10(found), expected_db, atol=5e-6)
    np.testing.assert_allclose(found, -beta * np.log(np.exp(-levels / beta).mean()), rtol=1e-12)


def test_equal_sinr_is_its_own_effective_sinr_however_large():
    np.testing.assert_allclose(effective_sinr(np.full((2, 5), 1e6), 0), 1e6, rtol=1e-12)


@pytest.mark.parametrize(
    ("megahertz", "counts"),
    [
        (5, (25, 11, None)),
        (20, (106, 51, 24)),
        (40, (216, 106, 51)),
        (50, (270, 133, 65)),
        (100, (None, 273, 135)),
    ],
)
def test_resource_blocks_of_a_carrier(megahertz, counts):
    for spacing_hz, count in zip((15e3, 30e3, 60e3), counts, strict=True):
        if count is None:
            with pytest.raises(InputError, match="bandwidth_hz must be one of"):
                resource_blocks(megahertz * 1e6, spacing_hz)
        else:
            assert resource_blocks(megahertz * 1e6, spacing_hz) == count


@pytest.mark.parametrize("spacing_hz", [15e3, 30e3, 60e3])
def test_every_carrier_holds_its_blocks_and_little_more(spacing_hz):
    """Guard bands take at most 28 % of a carrier (11 blocks of 720 kHz in 10 MHz leave 21 %)."""
    found = 0
    for megahertz in range(1, 101):
        try:
            count = resource_blocks(megahertz * 1e6, spacing_hz)
        except InputError:
            continue
        found += 1
        assert 0.72 < count * resource_block_hz(spacing_hz) / (megahertz * 1e6) < 1
    assert found == {15e3: 10, 30e3: 15, 60e3: 14}[spacing_hz]


def test_blocks_and_slots_of_the_three_numerologies():
    assert [resource_block_hz(spacing) for spacing in (15e3, 30e3, 60e3)] == [180e3, 360e3, 720e3]
    assert [slot_s(spacing) for spacing in (15e3, 30e3, 60e3)] == [1e-3, 0.5e-3, 0.25e-3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: resource_blocks(7e6),
            "bandwidth_hz must be one of 5, 10, .* 50 MHz at sub-carriers of 15000 Hz, got",
        ),
        (
            lambda: slot_s(20e3),
            "subcarrier_spacing_hz must be one of 15000, 30000, 60000; got 20000.0",
        ),
        (lambda: transport_block_bits(29, 1), "mcs must be at most 28, got 29"),
        (
            lambda: transport_block_bits(0, 0),
            "resource_blocks must be a whole number of at least 1, got 0",
        ),
        (lambda: transport_block_bits(0, 1, symbols=15), "symbols must be at most 14, got 15"),
        (
            lambda: transport_block_bits(0, 1, symbols=1),
            "reference_elements must be below 12, got 12",
        ),
        (lambda: effective_sinr([1.0], -1), "mcs must be a whole number of at least 0, got -1"),
    ],
)
def test_errors_are_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
