"""Coded masks: real bytes against the entropy bound of the demand."""

import numpy as np
import pytest

from training.sparsity.coding import (
    pack_coded,
    pack_coded_mask,
    unpack_coded,
    unpack_coded_mask,
)
from training.sparsity.packing import mask_bytes
from training.sparsity.payload import payload_bits, sparse_bits
from wirelessfl.errors import InputError

pytestmark = pytest.mark.extras
pytest.importorskip("constriction")

OVERHEAD_BYTES = 12  # number of ones, and the last words of the coder


def masks():
    rng = np.random.default_rng(3)
    yield from (np.zeros(9, dtype=bool), np.ones(9, dtype=bool), np.zeros(0, dtype=bool))
    for size in (1, 2, 31, 1000, 20_000):
        for density in (0.001, 0.05, 0.5, 0.97):
            yield rng.random(size) < density


def test_masks_and_weights_come_back_within_the_bound_of_the_demand():
    rng = np.random.default_rng(4)
    for mask in masks():
        size, kept = mask.size, int(mask.sum())
        data = pack_coded_mask(mask)
        assert np.array_equal(unpack_coded_mask(data, size), mask)
        assert 8 * len(data) <= 1.01 * payload_bits([kept], [size], "entropy") + 8 * OVERHEAD_BYTES
        vector = np.where(mask, rng.standard_normal(size), 0).astype(np.float32)
        both = pack_coded(vector, mask)
        restored, again = unpack_coded(both, size)
        assert np.array_equal(again, mask)
        assert restored.tobytes() == vector.tobytes()
        assert 8 * len(both) <= 1.01 * sparse_bits(kept, size, "coded") + 8 * OVERHEAD_BYTES


def test_a_mask_of_a_large_network_costs_its_entropy():
    """1.66 million weights at density 0.05: less than a third of a bitmap."""
    size = 1_660_000
    mask = np.random.default_rng(0).random(size) < 0.05
    length = len(pack_coded_mask(mask))
    bound = payload_bits([int(mask.sum())], [size], "entropy") / 8
    assert bound <= length <= 1.002 * bound
    assert mask_bytes(0, size) == 207_500
    assert length == pytest.approx(59_500, rel=0.01)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xff\x00\x00\x00", b"\x05\x00\x00\x00\x00"])
def test_bytes_that_are_no_code_are_refused(data):
    with pytest.raises(InputError, match=r"packing\.coded"):
        unpack_coded_mask(data, 100)


def test_a_cut_code_is_refused():
    data = pack_coded_mask(np.random.default_rng(1).random(4000) < 0.1)
    for end in (len(data) - 1, len(data) // 2 // 4 * 4):
        with pytest.raises(InputError, match=r"packing\.coded"):
            unpack_coded_mask(data[:end], 4000)
