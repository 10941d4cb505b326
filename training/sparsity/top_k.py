"""Selection of weights: exact top-k over a vector or layer by layer."""

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
    """Mask of exactly the `kept` largest scores; among equals those of highest index.

    Ties are broken as in `keep_most_important`: the first are pruned first, as in a stable
    ascending sort, so that masks of the same scores are nested. For the other rule, reverse scores
    and mask. A tensor gives a mask on its device: float32 and float64 on a CPU without a copy, all
    others by `torch.topk`, which has run on a CPU but never on a GPU.

    Args:
        scores: Scores, (N,).
        kept: Number of weights to keep.

    Returns:
        The mask, (N,), an array or a tensor like the scores.

    Raises:
        InputError: A score is NaN, or `kept` is not within [0, N].

    Example:
        >>> top_k(np.array([0.3, 0.1, 0.2]), 2)
        array([ True, False,  True])
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
    """Nested masks of the same scores for several pruning ratios.

    Args:
        scores: Scores, (N,).
        pruning_ratios: Fractions of weights to prune, within [0, 1].

    Returns:
        One mask (N,) for each ratio; that of a larger ratio lies within that of a smaller one.

    Raises:
        InputError: A score is NaN, or a ratio is not within [0, 1].
    """
    return tuple(top_k(scores, keep_count(ratio, len(scores))) for ratio in pruning_ratios)


def prune_further(mask: _Vector, scores: _Vector, kept: int) -> _Vector:
    """Mask of the largest scores within another mask: nested, though scores change over rounds.

    Args:
        mask: Weights to choose from, (N,).
        scores: Scores, (N,).
        kept: Number of weights to keep.

    Returns:
        The mask, (N,).

    Raises:
        InputError: A score is NaN, or `kept` exceeds the number of weights to choose from.
    """
    further: _Vector = mask & False
    further[mask] = top_k(scores[mask], kept)
    return further


def top_k_layers(scores: _Vector, layers: Sequence[slice], kept: Sequence[int]) -> _Vector:
    """Mask of the largest scores of each layer, and of all weights outside the layers.

    Args:
        scores: Scores, (N,).
        layers: Places of the layers in the vector (`Entry.slice`).
        kept: Number of weights to keep in each layer.

    Returns:
        The mask, (N,).

    Raises:
        InputError: A score is NaN, or `kept` does not fit the layers.
    """
    if len(layers) != len(kept):
        raise InputError(
            f"kept must have one count for each of {len(layers)} layers, got {len(kept)}"
        )
    mask: _Vector = scores == scores  # array or tensor like the scores
    mask[:] = True
    for layer, count in zip(layers, kept, strict=True):
        mask[layer] = top_k(scores[layer], count)
    return mask


def _top_k_by_torch(scores: Tensor, kept: int) -> Tensor:
    """`top_k` on the device of the scores.

    `torch.topk` gives the threshold alone: its choice among equals is not defined.
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


_BLOCK = 65_536  # values that fit into a core's cache: faster than one pass over a long vector


def keep_most_important(importance: NDArray[np.floating], pruned: int) -> Mask:
    """Mask that prunes exactly the least important weights; among equals those of lowest index.

    One ranking over the whole vector, so that masks for growing `pruned` are nested.

    Args:
        importance: Importance of each weight, (N,), without NaN.
        pruned: Number of weights to prune, within [0, N].

    Returns:
        The mask of the kept weights, (N,).
    """
    if pruned == 0:
        return np.ones(importance.shape, dtype=np.bool_)
    # Ranked in descending order: NumPy's selection is slow (200 ms for 15 million) where many
    # equal values, such as zeros, come first.
    kept = importance.size - pruned
    ranked = np.negative(importance)
    ranked.partition(kept)
    threshold = -ranked[kept]  # the largest importance that is pruned
    mask = np.asarray(importance > threshold)
    missing = kept - np.count_nonzero(mask)
    # Keep equals of the threshold from the end, until none is missing.
    for stop in range(importance.size, 0, -_BLOCK):
        if not missing:
            break
        block = slice(max(0, stop - _BLOCK), stop)
        ties = np.flatnonzero(importance[block] == threshold)[-missing:]
        mask[block][ties] = True
        missing -= ties.size
    return mask
