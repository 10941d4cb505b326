"""Kept weights as bytes and back: the exact content of a client's message.

Sender and receiver know the number of weights N; k of them are kept. Values are little-endian
float32 and are restored bit by bit (-0.0, denormals, NaN); pruned weights are restored as 0.
Bits are packed from the most significant one, the mask in the order of the weights; the last
byte is padded with zeros.

| form | bytes | known to the receiver |
|---|---|---|
| `bitmap` | ceil(N / 8) + 4 k | N |
| `values+index` | 4 k + ceil(k ceil(log2 N) / 8) | N |
| `values` | 4 k | the mask |
| `mask` | ceil(N / 8) | N |
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from training.arrays import Mask, Vector
from wirelessfl.errors import InputError

_VALUE = np.dtype("<f4")


def index_bits(size: int) -> int:
    """Bits of the index of one weight, ceil(log2 N).

    Args:
        size: Number of weights N.

    Returns:
        Bits of an index.
    """
    return max(size - 1, 0).bit_length()


def mask_bytes(kept: int, size: int) -> int:
    """Length of `pack_mask`.

    Args:
        kept: Number of kept weights k; without effect.
        size: Number of weights N.

    Returns:
        Bytes.
    """
    return -(-size // 8)


def values_bytes(kept: int, size: int) -> int:
    """Length of `pack_values`.

    Args:
        kept: Number of kept weights k.
        size: Number of weights N; without effect.

    Returns:
        Bytes.
    """
    return _VALUE.itemsize * kept


def bitmap_bytes(kept: int, size: int) -> int:
    """Length of `pack_bitmap`.

    Args:
        kept: Number of kept weights k.
        size: Number of weights N.

    Returns:
        Bytes.
    """
    return mask_bytes(kept, size) + values_bytes(kept, size)


def indexed_bytes(kept: int, size: int) -> int:
    """Length of `pack_indexed`: k (32 + ceil(log2 N)) bits as in [SPS], padded to whole bytes.

    Args:
        kept: Number of kept weights k.
        size: Number of weights N.

    Returns:
        Bytes.
    """
    return values_bytes(kept, size) + -(-kept * index_bits(size) // 8)


def smallest_bytes(kept: int, size: int) -> int:
    """Length of `pack_smallest`.

    Args:
        kept: Number of kept weights k.
        size: Number of weights N.

    Returns:
        Bytes.
    """
    return 1 + min(bitmap_bytes(kept, size), indexed_bytes(kept, size))


PAYLOAD_BYTES: Mapping[str, Callable[[int, int], int]] = {
    "bitmap": bitmap_bytes,
    "values+index": indexed_bytes,
    "values": values_bytes,
    "mask": mask_bytes,
    "smallest": smallest_bytes,
}


def pack_mask(mask: Mask) -> bytes:
    """Pack a mask, one bit for each weight.

    Args:
        mask: Kept weights, (N,).

    Returns:
        ceil(N / 8) bytes.

    Example:
        >>> pack_mask(np.array([True, False, True])).hex()
        'a0'
    """
    return np.packbits(mask).tobytes()


def unpack_mask(data: bytes, size: int) -> Mask:
    """Unpack a mask: the inverse of `pack_mask`.

    Args:
        data: The bytes.
        size: Number of weights N.

    Returns:
        Kept weights, (N,).

    Raises:
        InputError: The number of bytes is another one.
    """
    _check_length("mask", data, mask_bytes(0, size))
    return _bits(data, size)


def pack_values(vector: Vector, mask: Mask) -> bytes:
    """Pack the kept weights, for a receiver that knows the mask.

    Args:
        vector: Weights, (N,).
        mask: Kept weights, (N,).

    Returns:
        4 k bytes.

    Raises:
        InputError: The weights are not float32 or not of the shape of the mask.
    """
    if vector.dtype != np.float32 or vector.shape != mask.shape:
        raise InputError(
            f"packing.vector must be {mask.shape} float32, got {vector.shape} {vector.dtype}"
        )
    return vector[mask].astype(_VALUE, copy=False).tobytes()


def unpack_values(data: bytes, mask: Mask) -> Vector:
    """Unpack kept weights: the inverse of `pack_values`.

    Args:
        data: The bytes.
        mask: Kept weights, (N,).

    Returns:
        Weights, (N,), 0 where pruned.

    Raises:
        InputError: The number of bytes is another one.
    """
    kept = int(np.count_nonzero(mask))
    _check_length("values", data, values_bytes(kept, mask.size))
    vector = np.zeros(mask.shape, dtype=np.float32)
    vector[mask] = np.frombuffer(data, dtype=_VALUE)
    return vector


def pack_bitmap(vector: Vector, mask: Mask) -> bytes:
    """Pack the mask followed by the kept weights.

    Args:
        vector: Weights, (N,).
        mask: Kept weights, (N,).

    Returns:
        ceil(N / 8) + 4 k bytes.

    Raises:
        InputError: The weights are not float32 or not of the shape of the mask.
    """
    return pack_mask(mask) + pack_values(vector, mask)


def unpack_bitmap(data: bytes, size: int) -> tuple[Vector, Mask]:
    """Unpack mask and kept weights: the inverse of `pack_bitmap`.

    Args:
        data: The bytes.
        size: Number of weights N.

    Returns:
        Weights, 0 where pruned, and mask, (N,) each.

    Raises:
        InputError: The number of bytes does not fit the mask.
    """
    head = mask_bytes(0, size)
    if len(data) < head:
        raise InputError(f"packing.bitmap must be at least {head} bytes, got {len(data)}")
    mask = unpack_mask(data[:head], size)
    _check_length("bitmap", data, bitmap_bytes(int(np.count_nonzero(mask)), size))
    return unpack_values(data[head:], mask), mask


def pack_indexed(vector: Vector, mask: Mask) -> bytes:
    """Pack the kept weights followed by their ascending indices of `index_bits` bits each.

    Args:
        vector: Weights, (N,).
        mask: Kept weights, (N,).

    Returns:
        4 k + ceil(k ceil(log2 N) / 8) bytes.

    Raises:
        InputError: The weights are not float32 or not of the shape of the mask.
    """
    values = pack_values(vector, mask)
    bits = np.unpackbits(np.flatnonzero(mask).astype(">u4").view(np.uint8)).reshape(-1, 32)
    return values + np.packbits(bits[:, 32 - index_bits(mask.size) :]).tobytes()


def unpack_indexed(data: bytes, size: int) -> tuple[Vector, Mask]:
    """Unpack kept weights and indices: the inverse of `pack_indexed`.

    Args:
        data: The bytes.
        size: Number of weights N.

    Returns:
        Weights, 0 where pruned, and mask, (N,) each.

    Raises:
        InputError: The number of bytes is not possible, or indices do not ascend below N.
    """
    width = index_bits(size)
    # Padding of the last byte is shorter than another weight.
    kept = 8 * len(data) // (8 * _VALUE.itemsize + width)
    _check_length("values+index", data, indexed_bytes(kept, size))
    values = values_bytes(kept, size)
    padded = np.zeros((kept, 32), dtype=np.uint8)
    padded[:, 32 - width :] = _bits(data[values:], kept * width).reshape(kept, width)
    index = np.packbits(padded).view(">u4").astype(np.int64)
    if kept and (index[-1] >= size or np.any(np.diff(index) <= 0)):
        raise InputError(f"packing.values+index must have indices that rise and are below {size}")
    mask = np.zeros(size, dtype=np.bool_)
    mask[index] = True
    return unpack_values(data[:values], mask), mask


def pack_smallest(vector: Vector, mask: Mask) -> bytes:
    """Pack in the shorter form of `pack_bitmap` and `pack_indexed`.

    The first byte names the form: 0 and 1. Indices are shorter while less than about one weight in
    ceil(log2 N) is kept.

    Args:
        vector: Weights, (N,).
        mask: Kept weights, (N,).

    Returns:
        `smallest_bytes` bytes.

    Raises:
        InputError: The weights are not float32 or not of the shape of the mask.
    """
    kept = int(np.count_nonzero(mask))
    if bitmap_bytes(kept, mask.size) <= indexed_bytes(kept, mask.size):
        return b"\x00" + pack_bitmap(vector, mask)
    return b"\x01" + pack_indexed(vector, mask)


def unpack_smallest(data: bytes, size: int) -> tuple[Vector, Mask]:
    """Unpack the shorter form: the inverse of `pack_smallest`.

    Args:
        data: The bytes.
        size: Number of weights N.

    Returns:
        Weights, 0 where pruned, and mask, (N,) each.

    Raises:
        InputError: The first byte is not 0 or 1, or the rest is not of that form.
    """
    form = data[:1]
    rest = data[1:]
    if form not in (b"\x00", b"\x01"):
        raise InputError(
            f"packing.smallest must begin with byte 0 or 1, got {form.hex() or 'nothing'}"
        )
    return unpack_bitmap(rest, size) if form == b"\x00" else unpack_indexed(rest, size)


def entropy_bits(mask: Mask) -> float:
    """Entropy of a mask with k of N ones at random places, a lower bound of its coded length.

    N H(k / N) with H(p) = -p log2 p - (1 - p) log2(1 - p). A Rice or arithmetic coder comes close
    to this estimate; it is not a form of this module.

    Args:
        mask: Kept weights, any shape.

    Returns:
        Bits.
    """
    kept = int(np.count_nonzero(mask))
    return float(
        sum(count * math.log2(mask.size / count) for count in (kept, mask.size - kept) if count)
    )


def _bits(data: bytes, count: int) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=count).view(np.bool_)


def _check_length(form: str, data: bytes, length: int) -> None:
    if len(data) != length:
        raise InputError(f"packing.{form} must be {length} bytes, got {len(data)}")
