"""What a mask, or the weights that it keeps, take on the air: exact bits by the ways to count them,
and the bytes.

Of a layer with n maskable entries k are kept. Biases and other tensors without a mask are not
counted, as in [MCE-PL].

| way | bits of a layer | the receiver knows before |
|---|---|---|
| `entry` | n: one bit an entry (text of [MCE-PL]) | n |
| `ones` | k: the number of ones (its official code); a count that no receiver could read | |
| `entropy` | ceil(log2 C(n, k)) + ceil(log2(n + 1)): which of the masks with k ones, and k | n |
| `values` | 32 n: every weight | n |
| `nonzero` | 32 k: kept weights without their indices (its official code) | the mask |

The numbers are those of a model's layers together. They need counts alone, so that they are there
before any mask is: `retained_counts` gives the nominal ones.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from training.arrays import Mask
from training.sparsity.counts import retained_count
from training.sparsity.packing import pack_mask, unpack_mask
from wirelessfl.errors import InputError, check_choice

BITS_PER_WEIGHT = 32


_FEW = 64  # ones that are counted in whole numbers: there C(n, k) can be a power of two (k = 1)


def payload_bits(kept: Sequence[Mask] | Sequence[int], sizes: Sequence[int], mode: str) -> float:
    """Bits of one agent's message by the way `mode` of counting (a key of `PAYLOAD_BITS`).

    `kept` has the mask of each layer (any shape, True = kept) or the number of ones in it, `sizes`
    the entries of each layer. `InputError` for another mode, for numbers that do not fit each
    other, or for a layer that keeps more than it has.
    """
    check_choice("payload_bits.mode", mode, PAYLOAD_BITS)
    counts = [
        int(np.count_nonzero(each)) if isinstance(each, np.ndarray) else int(each) for each in kept
    ]
    if len(counts) != len(sizes):
        raise InputError(
            f"payload_bits.kept must have one entry for each of {len(sizes)} layers, got {len(counts)}"
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
    """`payload_bits` of the longest message of masks with at most `kept` ones a layer: half-full
    ones say the most.
    """
    half = [min(count, size // 2) for count, size in zip(kept, sizes, strict=True)]
    return max(payload_bits(counts, sizes, mode) for counts in (kept, half))


def retained_counts(keep: Sequence[float], sizes: Sequence[int]) -> list[int]:
    """n - floor((1 - keep) n) of each layer: the ones of a mask before filters are cut,
    [MCE-PL] eq. (3).
    """
    return [retained_count(share, size) for share, size in zip(keep, sizes, strict=True)]


def network_bits(agent_bits: ArrayLike, degrees: ArrayLike, *, broadcast: bool = False) -> float:
    """Bits of all agents' messages in an iteration, from those of each agent, (K,), and its
    neighbours, (K,).

    Every neighbour is sent a copy of its own: sum_i degree_i bits_i, as [MCE-PL] counts. With
    `broadcast` they all hear one message: sum_i bits_i, over agents with a neighbour.
    """
    degree = np.asarray(degrees, dtype=np.float64)
    return float(
        np.sum(np.asarray(agent_bits, dtype=np.float64) * (degree > 0 if broadcast else degree))
    )


def pack_masks(masks: Sequence[Mask]) -> bytes:
    """The masks of all layers in one bitmap, ceil(sum of n / 8) bytes: what `entry` counts, filled
    up to a byte.
    """
    return pack_mask(np.concatenate([np.ravel(mask) for mask in masks]))


def unpack_masks(data: bytes, shapes: Sequence[tuple[int, ...]]) -> list[Mask]:
    """The masks of `pack_masks`, of these shapes; `InputError` for another number of bytes."""
    sizes = [math.prod(shape) for shape in shapes]
    whole = unpack_mask(data, sum(sizes))
    parts = np.split(whole, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def choice_bits(kept: int, size: int) -> int:
    """ceil(log2 C(size, kept)): bits of the number of one of the masks with `kept` ones.

    From whole numbers for a few ones or zeros, else from lgamma, whose rounding (1e-8 of a bit for
    a million entries) matters to nobody: C(n, k) is no power of two unless k is 0, 1, n - 1 or n
    (Sylvester).
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


def upload_bits(mask: Mask, count_mask_bits: bool) -> float:
    """Exact payload of one client's kept weights, 32 bits each, and with `count_mask_bits` one bit
    per weight more.

    The bitmap tells the server which weights these are; [WFL] leaves it out ([WFL] eq. (14)). Who
    keeps nothing sends nothing.
    """
    kept = int(np.count_nonzero(mask))
    return float(BITS_PER_WEIGHT * kept + (mask.size if count_mask_bits and kept else 0))
