"""Payload of masks and weights: the figures of the papers, codes and bounds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.sparsity import packing
from training.sparsity import payload as mask_bits
from wirelessfl.errors import InputError

SIZES = (
    4_800,
    204_800,
    819_200,
    196_608,
    1_920,
)  # conv 1 to 3, fc 1 and 2 of the network of [MCE-PL]
SHAPES = ((64, 3, 5, 5), (128, 64, 5, 5), (256, 128, 5, 5), (192, 1024), (10, 192))
RATIOS = (
    0.4,
    0.4,
    0.3,
    0.2,
    0.1,
    0.1,
    0.1,
    0.2,
    0.4,
    0.2,
    0.4,
    0.2,
    0.3,
    0.3,
    0.4,
    0.3,
    0.1,
    0.1,
    0.3,
    0.3,
)  # V-C
# The degrees of the stored graph are not printed: these have its 104 edges and its range.
DEGREES = (6, 13, 11, 11, 13, 12, 11, 10, 10, 14, 12, 12, 13, 10, 7, 2, 12, 11, 8, 10)
MEGABYTE = 8e6


def agents(mode, fc_keep=0.9):
    keeps = [(ratio,) * 3 + ((fc_keep or ratio),) * 2 for ratio in RATIOS]
    return [
        mask_bits.payload_bits(mask_bits.retained_counts(keep, SIZES), SIZES, mode)
        for keep in keeps
    ]


@pytest.mark.parametrize(
    ("mode", "megabytes"), [("entry", 31.9), ("ones", 11.2), ("values", 1021), ("nonzero", 357)]
)
def test_traffic_of_an_iteration_of_mce_pl(mode, megabytes):
    """Counted as in the official code, per direction of an edge.

    FC layers keep 90 % for any ratio.
    """
    found = mask_bits.network_bits(agents(mode), DEGREES) / MEGABYTE
    assert found == pytest.approx(megabytes, abs=0.5 if megabytes > 100 else 0.05)


def test_no_degrees_explain_the_printed_ones_if_fc_layers_follow_the_ratio():
    most = [14] * 14 + [2] * 6  # within 2 and 14, 2 x 104 in all, most at the agents that keep most
    bits = sorted(agents("ones", fc_keep=None), reverse=True)
    assert sum(most) == sum(DEGREES) == 208
    assert mask_bits.network_bits(bits, most) / MEGABYTE < 10.3


def test_a_mask_is_a_32nd_of_dense_values_and_broadcast_sends_it_once():
    mask, dense = agents("entry"), agents("values")
    assert mask[0] == 1_227_328
    assert mask_bits.network_bits(dense, DEGREES) == 32 * mask_bits.network_bits(mask, DEGREES)
    assert mask_bits.network_bits(mask, DEGREES, broadcast=True) == 20 * 1_227_328
    ring = [2] * 20
    assert mask_bits.network_bits(mask, ring) == 2 * mask_bits.network_bits(
        mask, ring, broadcast=True
    )
    assert (
        mask_bits.network_bits([8.0, 8.0], [0, 1], broadcast=True) == 8.0
    )  # the first has no receiver


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=4))
def test_masks_and_their_counts_say_the_same(layers):
    kept, sizes = [min(layer) for layer in layers], [max(layer) for layer in layers]
    masks = [np.arange(size) < count for count, size in zip(kept, sizes, strict=True)]
    for mode in mask_bits.PAYLOAD_BITS:
        assert mask_bits.payload_bits(masks, sizes, mode) == mask_bits.payload_bits(
            kept, sizes, mode
        )


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 90), st.floats(0, 1)), min_size=1, max_size=4
    )
)
def test_no_mask_with_fewer_ones_takes_more_than_the_most(layers):
    sizes, most, fewer = zip(
        *((max(a, b), min(a, b), int(min(a, b) * share)) for a, b, share in layers), strict=True
    )
    for mode in mask_bits.PAYLOAD_BITS:
        bound = mask_bits.most_bits(most, sizes, mode)
        assert mask_bits.payload_bits(most, sizes, mode) <= bound
        assert mask_bits.payload_bits(fewer, sizes, mode) <= bound
    assert mask_bits.most_bits([90], [90], "entropy") == mask_bits.payload_bits(
        [45], [90], "entropy"
    )


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_number_of_a_mask_takes_the_bits_of_the_number_of_masks(one, other):
    kept, size = sorted((one, other))
    bits = mask_bits.choice_bits(kept, size)
    assert 2**bits >= math.comb(size, kept)
    assert bits == 0 or 2 ** (bits - 1) < math.comb(size, kept)
    assert bits <= math.ceil(
        packing.entropy_bits(np.arange(size) < kept) * (1 + 1e-12)
    )  # C(n, k) <= 2^(n H)
    assert mask_bits.payload_bits([kept], [size], "entropy") == bits + math.ceil(
        math.log2(size + 1)
    )


def test_the_entropy_code_of_the_whole_network():
    kept = mask_bits.retained_counts((0.3,) * 3 + (0.9,) * 2, SIZES)
    found = mask_bits.payload_bits(kept, SIZES, "entropy")
    bound = sum(packing.entropy_bits(np.arange(n) < k) for k, n in zip(kept, SIZES, strict=True))
    assert found == pytest.approx(bound, rel=1e-4)
    assert found < 0.82 * sum(SIZES)  # H(0.3) = 0.881, H(0.9) = 0.469


def test_retained_counts_are_those_of_the_official_code():
    assert mask_bits.retained_counts((0.1, 0.5, 1.0), (4_800, 75, 10)) == [480, 38, 10]
    assert mask_bits.retained_counts((0.7,), (10,)) == [7]


def test_the_masks_of_a_whole_model_as_bytes():
    rng = np.random.default_rng(0)
    masks = [rng.random(shape) < 0.3 for shape in SHAPES]
    data = mask_bits.pack_masks(masks)
    assert 8 * len(data) == mask_bits.payload_bits(
        masks, SIZES, "entry"
    )  # 153,416 bytes, nothing to fill up
    back = mask_bits.unpack_masks(data, SHAPES)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(back, masks, strict=True))
    small = mask_bits.pack_masks([masks[4][:1, :3], masks[0][:1, :1, 0, :]])
    assert len(small) == 1


@pytest.mark.parametrize(
    ("kept", "sizes", "mode", "said"),
    [
        (
            [3],
            [4],
            "bits",
            "payload_bits.mode must be one of entry, ones, entropy, values, nonzero; got 'bits'",
        ),
        ([3], [4, 5], "entry", "payload_bits.kept must have one entry for each of 2 layers, got 1"),
        ([5], [4], "ones", "payload_bits.kept must be within 0 and the layer's 4 entries, got 5"),
    ],
)
def test_numbers_that_do_not_fit(kept, sizes, mode, said):
    with pytest.raises(InputError, match=said):
        mask_bits.payload_bits(kept, sizes, mode)


def test_bytes_that_do_not_fit():
    with pytest.raises(InputError, match=r"packing\.mask must be 2 bytes, got 1"):
        mask_bits.unpack_masks(b"\x00", [(3, 3)])
