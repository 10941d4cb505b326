"""Masks coded to their entropy by range coding, an extra: `pip install "wirelessfl[coding]"`.

A message is k as 4 bytes, the k kept weights as little-endian float32, and the code of the mask as
32-bit words. The mask is coded as N independent bits of probability k / N: at most N H(k / N) bits
up to the rounding of the coder, H being the binary entropy in bits, against the bound
log2 C(N, k) of `choice_bits`.
"""

from typing import Any

import numpy as np

from training.arrays import Mask, Vector
from training.sparsity.packing import pack_values, unpack_values
from wirelessfl.border.extras import needs_extra
from wirelessfl.errors import InputError

_COUNT = np.dtype("<u4")


def pack_coded_mask(mask: Mask) -> bytes:
    """Code a mask.

    Args:
        mask: Kept weights, (N,), N below 2^32.

    Returns:
        4 bytes of k, and about log2 C(N, k) / 8 bytes.

    Raises:
        InputError: The coder is not installed.
    """
    kept = int(np.count_nonzero(mask))
    return _COUNT.type(kept).tobytes() + _code(mask, kept)


def unpack_coded_mask(data: bytes, size: int) -> Mask:
    """Decode a mask: the inverse of `pack_coded_mask`.

    Args:
        data: The bytes.
        size: Number of weights N.

    Returns:
        The mask, (N,).

    Raises:
        InputError: The bytes are no code of a mask, or the coder is not installed.
    """
    kept = _kept(data, size)
    return _decoded(data[_COUNT.itemsize :], kept, size)


def pack_coded(vector: Vector, mask: Mask) -> bytes:
    """Pack the kept weights and the code of their mask.

    Args:
        vector: Weights, (N,).
        mask: Kept weights, (N,).

    Returns:
        4 + 4 k bytes, and about log2 C(N, k) / 8 bytes.

    Raises:
        InputError: The weights are not float32 or not of the shape of the mask, or the coder is not
            installed.
    """
    kept = int(np.count_nonzero(mask))
    return _COUNT.type(kept).tobytes() + pack_values(vector, mask) + _code(mask, kept)


def unpack_coded(data: bytes, size: int) -> tuple[Vector, Mask]:
    """Unpack kept weights and mask: the inverse of `pack_coded`.

    Args:
        data: The bytes.
        size: Number of weights N.

    Returns:
        Weights, 0 where pruned, and mask, (N,) each.

    Raises:
        InputError: The bytes are no such message, or the coder is not installed.
    """
    kept = _kept(data, size)
    values = _COUNT.itemsize * (1 + kept)
    mask = _decoded(data[values:], kept, size)
    return unpack_values(data[_COUNT.itemsize : values], mask), mask


def _kept(data: bytes, size: int) -> int:
    head = np.frombuffer(data[: _COUNT.itemsize], dtype=np.uint8)
    kept = int(head.view(_COUNT)[0]) if len(head) == _COUNT.itemsize else size + 1
    if kept > size:
        raise InputError(f"packing.coded must begin with a number of weights up to {size}")
    return kept


def _code(mask: Mask, kept: int) -> bytes:
    if kept in (0, mask.size):
        return b""
    stream = _stream()
    encoder = stream.queue.RangeEncoder()
    encoder.encode(mask.astype(np.int32), stream.model.Bernoulli(kept / mask.size))
    words: bytes = encoder.get_compressed().astype("<u4").tobytes()
    return words


def _decoded(data: bytes, kept: int, size: int) -> Mask:
    if kept in (0, size):
        found = np.full(size, kept > 0)
        complete = not data
    else:
        complete = bool(data) and len(data) % _COUNT.itemsize == 0
        words = np.frombuffer(data if complete else b"", dtype="<u4").astype(np.uint32)
        stream = _stream()
        model = stream.model.Bernoulli(kept / size)
        found = np.zeros(size, dtype=np.bool_)
        if complete:
            try:
                found = stream.queue.RangeDecoder(words).decode(model, size).astype(np.bool_)
            except (AssertionError, ValueError) as error:  # words that no encoder writes
                raise InputError(f"packing.coded has an invalid code: {error}") from None
    if not complete or np.count_nonzero(found) != kept:
        raise InputError(f"packing.coded must have a code of a mask with {kept} of {size} ones")
    return found


def _stream() -> Any:
    with needs_extra("coding", "packing.coded"):
        import constriction
    return constriction.stream
