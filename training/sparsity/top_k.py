"""How many weights stay and where: exact top-k over a vector or layer by layer, and shares of the
layers.
"""

import time
from collections.abc import Sequence
from typing import Any, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.arrays import Mask
from training.sparsity.counts import keep_count
from wirelessfl.errors import InputError, check_count, check_number

Scores = NDArray[np.floating]
_Vector = TypeVar("_Vector", NDArray[Any], Tensor)


@overload
def top_k(scores: Scores, kept: int) -> Mask: ...
@overload
def top_k(scores: Tensor, kept: int) -> Tensor: ...
def top_k(scores: Scores | Tensor, kept: int) -> Mask | Tensor:
    """Mask (N,) of exactly the `kept` largest of `scores` (N,); among equals those of highest index
    stay.

    The rule for ties is that of `keep_most_important`: what comes first goes first, as in a stable
    ascending sort. So masks of the same scores are nested. `scores` reversed, and the mask reversed
    again, has the other rule. A tensor gives a bool tensor on its device: float32 and float64 on a
    CPU without a copy, all others by `torch.topk`, which has run on a CPU but never on a GPU.
    Raises `InputError` for NaN and for `kept` outside [0, N].
    """
    check_count("kept", kept, at_least=0)
    check_number("kept", kept, at_most=len(scores))
    if isinstance(scores, Tensor):
        scores = scores.detach()
        if scores.device.type != "cpu" or scores.dtype not in (torch.float32, torch.float64):
            return _top_k_by_torch(scores, kept)
        return torch.from_numpy(top_k(scores.numpy(), kept))
    if scores.size and np.isnan(scores.max()):
        raise _not_a_number(int(np.argmax(np.isnan(scores))))
    return keep_most_important(scores, scores.size - kept)


def nested_top_k(scores: _Vector, pruning_ratios: Sequence[float]) -> tuple[_Vector, ...]:
    """One mask (N,) of the same `scores` (N,) for each ratio; that of a larger ratio lies within
    that of a smaller.
    """
    return tuple(top_k(scores, keep_count(ratio, len(scores))) for ratio in pruning_ratios)


def prune_further(mask: _Vector, scores: _Vector, kept: int) -> _Vector:
    """The `kept` largest of `scores` (N,) among what `mask` (N,) has: nested although scores change
    between rounds.
    """
    further = mask & False
    further[mask] = top_k(scores[mask], kept)
    return further


def top_k_layers(scores: _Vector, layers: Sequence[slice], kept: Sequence[int]) -> _Vector:
    """Mask (N,) that keeps in each of `layers` its number of largest `scores` (N,), and everything
    outside them.

    `layers` are the places of tensors in the flat vector (`Entry.slice`), `kept` has one count for
    each.
    """
    if len(layers) != len(kept):
        raise InputError(
            f"kept must have one count for each of {len(layers)} layers, got {len(kept)}"
        )
    mask = scores == scores  # NaN outside the layers is nobody's score
    mask[:] = True
    for layer, count in zip(layers, kept, strict=True):
        mask[layer] = top_k(scores[layer], count)
    return mask


def time_top_k(
    size: int = 15_000_000, pruning_ratio: float = 0.5, repeats: int = 9
) -> tuple[float, ...]:
    """Seconds of each of `repeats` calls of `top_k` on |normal| float32 scores (size,), after one
    that is not timed.
    """
    scores = np.abs(np.random.default_rng(0).standard_normal(size, dtype=np.float32))
    kept, seconds = keep_count(pruning_ratio, size), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        top_k(scores, kept)
        seconds.append(time.perf_counter() - start)
    return tuple(seconds[1:])


def _top_k_by_torch(scores: Tensor, kept: int) -> Tensor:
    """`top_k` where the scores are: topk for the threshold alone, for which of equals it takes is
    not defined.
    """
    bad = torch.isnan(scores)
    if bool(bad.any()):
        raise _not_a_number(int(bad.nonzero()[0]))
    if kept == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    threshold = torch.topk(scores, kept, sorted=False).values.min()
    mask = scores > threshold
    ties = (scores == threshold).nonzero().view(-1)
    mask[ties[len(ties) - (kept - int(mask.sum())) :]] = True
    return mask


def _not_a_number(index: int) -> InputError:
    return InputError(f"scores must be numbers, got nan at index {index}")


_BLOCK = 65_536  # numbers that lie in a core's cache: faster than one pass over a long vector


def keep_most_important(importance: NDArray[np.floating], pruned: int) -> Mask:
    """Mask (N,) that prunes exactly the `pruned` smallest of `importance` (N,), among equals those
    of lowest index.

    One ranking over the whole vector, so masks for growing `pruned` are nested.
    """
    if pruned == 0:
        return np.ones(importance.shape, dtype=np.bool_)
    # Ranked downwards: NumPy's selection is slow (200 ms for 15 million) where many equals come
    # first, as zeros.
    kept, ranked = importance.size - pruned, np.negative(importance)
    ranked.partition(kept)
    threshold = -ranked[kept]  # the most important of what is pruned
    mask = np.asarray(importance > threshold)
    missing = kept - np.count_nonzero(mask)
    for stop in range(
        importance.size, 0, -_BLOCK
    ):  # its equals from the end, until none is missing
        if not missing:
            break
        block = slice(max(0, stop - _BLOCK), stop)
        ties = np.flatnonzero(importance[block] == threshold)[-missing:]
        mask[block][ties] = True
        missing -= ties.size
    return mask
