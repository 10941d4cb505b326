"""Kept weights as bytes and back: what a client really sends, in exact numbers of bytes.

Sender and receiver know the number of weights N; k of them are kept. Values are little-endian
float32 and come back bit by bit (-0.0, denormals, NaN), pruned weights come back as 0. Bits are
packed from the most significant one, the mask in the order of the weights; the last byte is filled
up with zeros.

| form | bytes | the receiver knows before |
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
    """ceil(log2 N): bits of the index of one of N weights."""
    return max(size - 1, 0).bit_length()


def mask_bytes(kept: int, size: int) -> int:
    """Bytes of `pack_mask`; the same for any `kept`."""
    return -(-size // 8)


def values_bytes(kept: int, size: int) -> int:
    """Bytes of `pack_values`; the same for any `size`."""
    return _VALUE.itemsize * kept


def bitmap_bytes(kept: int, size: int) -> int:
    """Bytes of `pack_bitmap`."""
    return mask_bytes(kept, size) + values_bytes(kept, size)


def indexed_bytes(kept: int, size: int) -> int:
    """Bytes of `pack_indexed`: nnz (32 + ceil(log2 d)) bits of [SPS], the indices filled up to
    whole bytes.
    """
    return values_bytes(kept, size) + -(-kept * index_bits(size) // 8)


def smallest_bytes(kept: int, size: int) -> int:
    """Bytes of `pack_smallest`."""
    return 1 + min(bitmap_bytes(kept, size), indexed_bytes(kept, size))


PAYLOAD_BYTES: Mapping[str, Callable[[int, int], int]] = {
    "bitmap": bitmap_bytes,
    "values+index": indexed_bytes,
    "values": values_bytes,
    "mask": mask_bytes,
    "smallest": smallest_bytes,
}


def pack_mask(mask: Mask) -> bytes:
    """The mask (N,) alone, one bit a weight."""
    return np.packbits(mask).tobytes()


def unpack_mask(data: bytes, size: int) -> Mask:
    """The mask (size,) of `pack_mask`."""
    _check_length("mask", data, mask_bytes(0, size))
    return _bits(data, size)


def pack_values(vector: Vector, mask: Mask) -> bytes:
    """What `mask` keeps of `vector`, (N,) both, for a receiver that knows the mask."""
    if vector.dtype != np.float32 or vector.shape != mask.shape:
        raise InputError(
            f"packing.vector must be {mask.shape} float32, got {vector.shape} {vector.dtype}"
        )
    return vector[mask].astype(_VALUE, copy=False).tobytes()


def unpack_values(data: bytes, mask: Mask) -> Vector:
    """The vector (N,) of `pack_values`, 0 where pruned."""
    kept = int(np.count_nonzero(mask))
    _check_length("values", data, values_bytes(kept, mask.size))
    vector = np.zeros(mask.shape, dtype=np.float32)
    vector[mask] = np.frombuffer(data, dtype=_VALUE)
    return vector


def pack_bitmap(vector: Vector, mask: Mask) -> bytes:
    """The mask (N,), and behind it what it keeps of `vector` (N,)."""
    return pack_mask(mask) + pack_values(vector, mask)


def unpack_bitmap(data: bytes, size: int) -> tuple[Vector, Mask]:
    """Vector and mask, (size,) each, of `pack_bitmap`."""
    head = mask_bytes(0, size)
    if len(data) < head:
        raise InputError(f"packing.bitmap must be at least {head} bytes, got {len(data)}")
    mask = unpack_mask(data[:head], size)
    _check_length("bitmap", data, bitmap_bytes(int(np.count_nonzero(mask)), size))
    return unpack_values(data[head:], mask), mask


def pack_indexed(vector: Vector, mask: Mask) -> bytes:
    """What `mask` (N,) keeps of `vector` (N,), and behind it the rising indices of `index_bits`
    bits each.
    """
    values = pack_values(vector, mask)
    bits = np.unpackbits(np.flatnonzero(mask).astype(">u4").view(np.uint8)).reshape(-1, 32)
    return values + np.packbits(bits[:, 32 - index_bits(mask.size) :]).tobytes()


def unpack_indexed(data: bytes, size: int) -> tuple[Vector, Mask]:
    """Vector and mask, (size,) each, of `pack_indexed`."""
    width = index_bits(size)
    kept = (
        8 * len(data) // (8 * _VALUE.itemsize + width)
    )  # what fills up the last byte is too short for one more
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
    """The shorter one of `pack_bitmap` and `pack_indexed` for `vector` and `mask`, (N,) both.

    The byte in front tells which: 0 and 1. Indices win while less than about one weight in
    ceil(log2 N) is kept.
    """
    kept = int(np.count_nonzero(mask))
    if bitmap_bytes(kept, mask.size) <= indexed_bytes(kept, mask.size):
        return b"\x00" + pack_bitmap(vector, mask)
    return b"\x01" + pack_indexed(vector, mask)


def unpack_smallest(data: bytes, size: int) -> tuple[Vector, Mask]:
    """Vector and mask, (size,) each, of `pack_smallest`."""
    form, rest = data[:1], data[1:]
    if form not in (b"\x00", b"\x01"):
        raise InputError(
            f"packing.smallest must begin with byte 0 or 1, got {form.hex() or 'nothing'}"
        )
    return unpack_bitmap(rest, size) if form == b"\x00" else unpack_indexed(rest, size)


def entropy_bits(mask: Mask) -> float:
    """N H(k / N) with H(p) = -p log2 p - (1 - p) log2(1 - p): what a mask whose ones lie anywhere
    cannot go below.

    An estimate, no form of this file: a Rice or arithmetic coder comes near it.
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
