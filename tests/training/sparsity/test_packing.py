"""Packed weights: golden bytes, round trips, damaged input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from training.sparsity import packing
from training.sparsity.payload import upload_bits
from wirelessfl.errors import InputError

MASK = np.array([1, 0, 0, 1, 0, 0, 0, 0, 1, 0], dtype=bool)
VECTOR = np.array([1.0, 9, 9, -2.0, 9, 9, 9, 9, -0.0, 9], dtype=np.float32)
VALUES = "0000803f000000c000000080"  # 1, -2 and -0, little-endian
FORMS = {
    "bitmap": (packing.pack_bitmap, packing.unpack_bitmap),
    "values+index": (packing.pack_indexed, packing.unpack_indexed),
    "smallest": (packing.pack_smallest, packing.unpack_smallest),
}
vectors = arrays.arrays(
    np.float32, st.integers(1, 70), elements=st.floats(width=32, allow_subnormal=True)
)


def bits(vector):
    return vector.view(np.uint32)


def kept_only(vector, mask):
    return np.where(mask, vector, np.float32(0.0))


@pytest.mark.parametrize(
    ("packed", "golden"),
    [
        (packing.pack_mask(MASK), "9080"),
        (packing.pack_values(VECTOR, MASK), VALUES),
        (packing.pack_bitmap(VECTOR, MASK), "9080" + VALUES),
        (
            packing.pack_indexed(VECTOR, MASK),
            VALUES + "0380",
        ),  # 0, 3, 8 of four bits: 0000 0011 1000
        (packing.pack_smallest(VECTOR, MASK), "00" + "9080" + VALUES),
    ],
)
def test_golden_bytes(packed, golden):
    assert packed.hex() == golden


@given(vectors, st.data())
def test_everything_comes_back_bit_by_bit(vector, data):
    mask = data.draw(arrays.arrays(np.bool_, vector.size))
    kept = int(np.count_nonzero(mask))
    expected = bits(kept_only(vector, mask))
    for form, (pack, unpack) in FORMS.items():
        packed = pack(vector, mask)
        assert len(packed) == packing.PAYLOAD_BYTES[form](kept, mask.size)
        back, held = unpack(packed, mask.size)
        assert back.dtype == np.float32
        assert np.array_equal(held, mask)
        assert np.array_equal(bits(back), expected)
    values = packing.pack_values(vector, mask)
    assert len(values) == packing.PAYLOAD_BYTES["values"](kept, mask.size)
    assert np.array_equal(bits(packing.unpack_values(values, mask)), expected)
    alone = packing.pack_mask(mask)
    assert len(alone) == packing.PAYLOAD_BYTES["mask"](kept, mask.size)
    assert np.array_equal(packing.unpack_mask(alone, mask.size), mask)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 2, 8, 9, 256, 257, 65_537])
@pytest.mark.parametrize("which", ["none", "first", "last", "all"])
def test_sizes_at_the_edges_of_bytes_and_indices(form, size, which):
    pack, unpack = FORMS[form]
    mask = np.zeros(size, dtype=bool)
    mask[
        {"none": slice(0), "first": slice(1), "last": slice(-1, None), "all": slice(None)}[which]
    ] = True
    vector = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    back, held = unpack(pack(vector, mask), size)
    assert np.array_equal(held, mask)
    assert np.array_equal(bits(back), bits(kept_only(vector, mask)))


@pytest.mark.parametrize("value", [-0.0, 1e-45, -1e-40, np.inf, np.nan, 3.4028235e38])
@pytest.mark.parametrize("form", FORMS)
def test_special_values(form, value):
    pack, unpack = FORMS[form]
    vector, mask = np.array([1.0, value], dtype=np.float32), np.array([False, True])
    assert np.array_equal(bits(unpack(pack(vector, mask), 2)[0]), bits(kept_only(vector, mask)))


def test_what_comes_back_may_be_written_to():
    back, held = packing.unpack_bitmap(packing.pack_bitmap(VECTOR, MASK), 10)
    back[0], held[0] = 5.0, False


@pytest.mark.parametrize(("kept", "bits_of_nine"), [(56, 56 * 41), (28, 1_148), (14, 14 * 41)])
def test_values_and_index_of_sps(kept, bits_of_nine):
    assert packing.index_bits(281) == 9
    assert packing.indexed_bytes(kept, 281) == math.ceil(bits_of_nine / 8)
    assert packing.bitmap_bytes(kept, 281) == math.ceil((32 * kept + 281) / 8)


@pytest.mark.parametrize("size", [1, 8, 100, 4_096, 5_001])
def test_the_smallest_form_is_the_smallest(size):
    rng = np.random.default_rng(3)
    vector, first = rng.standard_normal(size, dtype=np.float32), set()
    for kept in {0, 1, size // 100, size // 13, size // 12, size // 8, size // 2, size}:
        mask = np.zeros(size, dtype=bool)
        mask[rng.permutation(size)[:kept]] = True
        forms = packing.pack_bitmap(vector, mask), packing.pack_indexed(vector, mask)
        packed = packing.pack_smallest(vector, mask)
        assert len(packed) == 1 + min(map(len, forms))
        first.add(packed[0])
    assert first == ({1} if size == 1 else {0, 1})  # of one weight the index has no bits


@given(arrays.arrays(np.bool_, st.integers(1, 70)))
def test_upload_bits_are_these_bytes_without_padding(mask):
    vector = np.ones(mask.size, dtype=np.float32)
    assert upload_bits(mask, count_mask_bits=False) == 8 * len(packing.pack_values(vector, mask))
    if mask.any():
        assert (
            upload_bits(mask, count_mask_bits=True)
            == 8 * len(packing.pack_bitmap(vector, mask)) - -mask.size % 8
        )
    else:  # who keeps nothing sends nothing at all
        assert upload_bits(mask, count_mask_bits=True) == 0


def test_entropy():
    mask = np.zeros(16, dtype=bool)
    assert packing.entropy_bits(mask) == packing.entropy_bits(~mask) == 0.0
    mask[:4] = True
    assert packing.entropy_bits(mask) == pytest.approx(4 * 2 + 12 * math.log2(4 / 3))
    mask[:8] = True
    assert packing.entropy_bits(mask) == 16.0
    long = np.arange(15_000_000) % 20 == 0
    assert packing.entropy_bits(long) / 8e6 == pytest.approx(
        0.537, abs=5e-4
    )  # MB at 5 % of 15 million


@given(arrays.arrays(np.bool_, st.integers(1, 70)))
def test_entropy_counts_the_masks_with_as_many_ones(mask):
    masks = math.log2(math.comb(mask.size, int(np.count_nonzero(mask))))
    assert masks - 1e-9 <= packing.entropy_bits(mask) <= masks + math.log2(mask.size + 1) + 1e-9


@pytest.mark.parametrize(
    ("unpack", "data", "message"),
    [
        (packing.unpack_mask, "90", "packing.mask must be 2 bytes, got 1"),
        (packing.unpack_bitmap, "90", "packing.bitmap must be at least 2 bytes, got 1"),
        (packing.unpack_bitmap, "9080" + VALUES[2:], "packing.bitmap must be 14 bytes, got 13"),
        (packing.unpack_indexed, VALUES + "03", "packing.values+index must be 9 bytes, got 13"),
        (
            packing.unpack_indexed,
            VALUES + "0f80",
            "packing.values+index must have indices that rise and are below 10",
        ),
        (
            packing.unpack_indexed,
            VALUES + "03a0",
            "packing.values+index must have indices that rise and are below 10",
        ),
        (
            packing.unpack_indexed,
            VALUES + "3080",
            "packing.values+index must have indices that rise and are below 10",
        ),
        (packing.unpack_smallest, "02", "packing.smallest must begin with byte 0 or 1, got 02"),
        (packing.unpack_smallest, "", "packing.smallest must begin with byte 0 or 1, got nothing"),
    ],
)
def test_damaged_bytes_are_refused_in_one_line(unpack, data, message):
    with pytest.raises(InputError) as error:
        unpack(bytes.fromhex(data), 10)
    assert str(error.value) == message


def test_values_need_their_mask():
    with pytest.raises(InputError, match=r"^packing\.values must be 12 bytes, got 8$"):
        packing.unpack_values(bytes(8), MASK)


@pytest.mark.parametrize("vector", [np.ones(9, dtype=np.float32), np.ones(10)])
def test_only_float32_of_the_masks_length_is_packed(vector):
    with pytest.raises(InputError, match=r"^packing\.vector must be \(10,\) float32, got "):
        packing.pack_values(vector, MASK)
