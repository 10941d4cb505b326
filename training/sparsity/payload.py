"""Payload of a mask, or of the weights that it keeps: exact bits by the ways to count them.

Of a layer with n maskable entries k are kept. Biases and other tensors without a mask are not
counted, as in [MCE-PL].

| way | bits of a layer | known to the receiver |
|---|---|---|
| `entry` | n: one bit for each entry (text of [MCE-PL]) | n |
| `ones` | k: the number of ones (its official code); no receiver can decode it | |
| `entropy` | ceil(log2 C(n, k)) + ceil(log2(n + 1)): the mask among those with k ones, and k | n |
| `values` | 32 n: every weight | n |
| `nonzero` | 32 k: kept weights without their indices (its official code) | the mask |

The counts alone determine the payload, so that it is known before any mask is:
`retained_counts` gives the nominal ones.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from training.arrays import Mask
from training.sparsity.counts import retained_count
from training.sparsity.packing import index_bits, pack_mask, unpack_mask
from wirelessfl.errors import InputError, check_choice

BITS_PER_WEIGHT = 32

SparseEncoding = Literal["values", "values+index", "bitmap", "coded"]

_FEW = 64  # ones counted with whole numbers, where C(n, k) can be a power of two (k = 1)


def payload_bits(kept: Sequence[Mask] | Sequence[int], sizes: Sequence[int], mode: str) -> float:
    """Bits of an agent's message.

    Args:
        kept: For each layer its mask (any shape, True = kept) or the number of ones in it.
        sizes: Entries of each layer.
        mode: Way of counting, a key of `PAYLOAD_BITS`.

    Returns:
        Bits of all layers together.

    Raises:
        InputError: Another mode, another number of layers, or a layer that keeps more entries than
            it has.
    """
    check_choice("payload_bits.mode", mode, PAYLOAD_BITS)
    counts = [
        int(np.count_nonzero(each)) if isinstance(each, np.ndarray) else int(each) for each in kept
    ]
    if len(counts) != len(sizes):
        raise InputError(
            f"payload_bits.kept must have one entry for each of {len(sizes)} layers, "
            f"got {len(counts)}"
        )
    for count, size in zip(counts, sizes, strict=True):
        if not 0 <= count <= size:
            raise InputError(
                f"payload_bits.kept must be within 0 and the layer's {size} entries, got {count}"
            )
    return float(
        sum(PAYLOAD_BITS[mode](count, size) for count, size in zip(counts, sizes, strict=True))
    )


def most_bits(kept: Sequence[int], sizes: Sequence[int], mode: str) -> float:
    """Bits of the longest message of masks with at most a number of ones.

    A half-full mask has the longest code.

    Args:
        kept: Largest number of ones of each layer.
        sizes: Entries of each layer.
        mode: Way of counting, a key of `PAYLOAD_BITS`.

    Returns:
        Bits of all layers together.
    """
    half = [min(count, size // 2) for count, size in zip(kept, sizes, strict=True)]
    return max(payload_bits(counts, sizes, mode) for counts in (kept, half))


def retained_counts(keep: Sequence[float], sizes: Sequence[int]) -> list[int]:
    """Ones of each layer's mask before filters are removed: [MCE-PL] eq. (3).

    Args:
        keep: Kept fraction of each layer.
        sizes: Entries of each layer.

    Returns:
        n - floor((1 - keep) n) for each layer.
    """
    return [retained_count(fraction, size) for fraction, size in zip(keep, sizes, strict=True)]


def network_bits(agent_bits: ArrayLike, degrees: ArrayLike, *, broadcast: bool = False) -> float:
    """Bits of all agents' messages in an iteration.

    Args:
        agent_bits: Bits of each agent's message, (K,).
        degrees: Number of each agent's neighbours, (K,).
        broadcast: False for a copy to every neighbour, sum_i degree_i bits_i, as [MCE-PL] counts;
            True for one message to all neighbours, sum_i bits_i over agents with a neighbour.

    Returns:
        Bits.
    """
    bits = np.asarray(agent_bits, dtype=np.float64)
    degree = np.asarray(degrees, dtype=np.float64)
    copies = degree > 0 if broadcast else degree
    return float(np.sum(bits * copies))


def pack_masks(masks: Sequence[Mask]) -> bytes:
    """Pack the masks of all layers in one bitmap: the payload `entry`, padded to a byte.

    Args:
        masks: Mask of each layer, any shape.

    Returns:
        ceil(sum of n / 8) bytes.
    """
    return pack_mask(np.concatenate([np.ravel(mask) for mask in masks]))


def unpack_masks(data: bytes, shapes: Sequence[tuple[int, ...]]) -> list[Mask]:
    """Unpack the masks of all layers: the inverse of `pack_masks`.

    Args:
        data: The bytes.
        shapes: Shape of each layer.

    Returns:
        The mask of each layer.

    Raises:
        InputError: The number of bytes is another one.
    """
    sizes = [math.prod(shape) for shape in shapes]
    whole = unpack_mask(data, sum(sizes))
    parts = np.split(whole, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def choice_bits(kept: int, size: int) -> int:
    """Bits to number the masks with k of n ones, ceil(log2 C(n, k)).

    Computed with whole numbers for few ones or zeros, else with lgamma. The rounding of lgamma
    (1e-8 of a bit for a million entries) has no effect: C(n, k) is no power of two unless k is 0,
    1, n - 1 or n (Sylvester).

    Args:
        kept: Number of ones k.
        size: Number of entries n.

    Returns:
        Bits.

    Example:
        >>> choice_bits(2, 4)  # 6 masks
        3
    """
    fewer = min(kept, size - kept)
    if fewer <= _FEW:
        return (math.comb(size, fewer) - 1).bit_length()
    nats = math.lgamma(size + 1) - math.lgamma(kept + 1) - math.lgamma(size - kept + 1)
    return math.ceil(nats / math.log(2.0))


PAYLOAD_BITS: Mapping[str, Callable[[int, int], int]] = {
    "entry": lambda kept, size: size,
    "ones": lambda kept, size: kept,
    "entropy": lambda kept, size: choice_bits(kept, size) + size.bit_length(),
    "values": lambda kept, size: BITS_PER_WEIGHT * size,
    "nonzero": lambda kept, size: BITS_PER_WEIGHT * kept,
}


def upload_bits(mask: Mask, count_mask_bits: bool, bits_per_weight: int = BITS_PER_WEIGHT) -> float:
    """Exact payload of a client's kept weights.

    A client that keeps nothing sends nothing.

    Args:
        mask: Kept weights, any shape.
        count_mask_bits: Whether to add one bit for each weight: the bitmap by which the server
            knows the kept weights, which [WFL] eq. (14) omits.
        bits_per_weight: Bits of a kept weight.

    Returns:
        Bits.
    """
    kept = int(np.count_nonzero(mask))
    return float(bits_per_weight * kept + (mask.size if count_mask_bits and kept else 0))


def sparse_bits(nonzero: Any, size: int, payload: SparseEncoding = "values") -> Any:
    """Bits of sparse vectors: 32 for each nonzero weight, and those of their indices.

    Args:
        nonzero: Number of nonzero weights, or an array of numbers.
        size: Number d of all weights.
        payload: `values` alone, the indices being known or free as in the tables of [SPS];
            `values+index`: ceil(log2 d) bits more for the index of each; `bitmap`: one bit more for
            each of the d weights; `coded`: the entropy bound of their mask and number more, as in
            `PAYLOAD_BITS`, which `pack_coded` keeps up to 1 %.

    Returns:
        Bits, of the shape of `nonzero`.
    """
    if payload == "coded":
        found = np.vectorize(lambda kept: PAYLOAD_BITS["entropy"](int(kept), size), otypes=[float])
        index_part = found(nonzero)
        index_part = index_part if isinstance(nonzero, np.ndarray) else index_part.item()
    else:
        lengths = {"values": 0, "values+index": nonzero * index_bits(size), "bitmap": size}
        index_part = lengths[payload]
    return BITS_PER_WEIGHT * nonzero + index_part
