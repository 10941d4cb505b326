"""Numbers of weights that are kept: of a vector, and divided over layers."""

import math
from collections.abc import Sequence
from math import prod

from wirelessfl.errors import check_count, check_number


def prune_count(pruning_ratio: float, size: int) -> int:
    """Number of weights to prune, ceil(pruning_ratio x size): [WFL] W-1.5.

    It is rounded up, so that the latency threshold holds. A relative 1e-12 is subtracted first: the
    rounding error of the product must not prune an additional weight.

    Args:
        pruning_ratio: Fraction of weights to prune, within [0, 1].
        size: Number of weights.

    Returns:
        The number of weights to prune.

    Example:
        >>> prune_count(0.5, 5)
        3
    """
    return min(size, math.ceil(pruning_ratio * size * (1.0 - 1e-12)))


def retained_count(keep: float, size: int) -> int:
    """Number of ones of a layer's mask, size - floor((1 - keep) size): [MCE-PL] eq. (3).

    A relative 1e-12 is added to the product: its rounding error must not keep an additional weight.

    Args:
        keep: Fraction of weights to keep, within [0, 1].
        size: Number of weights.

    Returns:
        The number of weights to keep.
    """
    return size - math.floor((1.0 - keep) * size * (1.0 + 1e-12))


def keep_count(pruning_ratio: float, size: int) -> int:
    """Number of weights to keep, K = floor((1 - pruning_ratio) size).

    It is size - `prune_count`: [WFL] W-1.5, and K of TopK in [SPS].

    Args:
        pruning_ratio: Fraction of weights to prune, within [0, 1].
        size: Number of weights.

    Returns:
        The number of weights to keep.

    Raises:
        InputError: The ratio is not within [0, 1].
    """
    check_number("training.pruning_ratio", pruning_ratio, at_least=0.0, at_most=1.0)
    return size - prune_count(pruning_ratio, size)


def uniform_counts(shapes: Sequence[Sequence[int]], kept: int) -> tuple[int, ...]:
    """Weights kept in each tensor, with the same density everywhere up to rounding.

    Args:
        shapes: Shape of each tensor.
        kept: Weights kept in all tensors together.

    Returns:
        One number for each tensor; they sum to `kept`.

    Raises:
        InputError: `kept` is not within 0 and the number of weights.
    """
    sizes = [prod(shape) for shape in shapes]
    return _apportion(sizes, sizes, kept)


def erk_counts(shapes: Sequence[Sequence[int]], kept: int) -> tuple[int, ...]:
    """Weights kept in each tensor by the Erdos-Renyi-kernel rule (RigL, Evci et al. 2020).

    The density is min(1, e (n_in + n_out + kh + kw) / (n_in n_out kh kw)): e times the sum of a
    tensor's shape, at most its size, with the one e for which the counts sum to `kept`. A tensor
    without kernel axes has n_in and n_out alone. Rounded by largest remainders, among equals the
    earlier tensor first.

    Args:
        shapes: Shape of each tensor.
        kept: Weights kept in all tensors together.

    Returns:
        One number for each tensor; they sum to `kept`.

    Raises:
        InputError: `kept` is not within 0 and the number of weights.
    """
    return _apportion([sum(shape) for shape in shapes], [prod(shape) for shape in shapes], kept)


def _apportion(weights: Sequence[int], sizes: Sequence[int], kept: int) -> tuple[int, ...]:
    """Whole numbers near min(size, e weight) that sum to `kept`, exact by integer arithmetic.

    A layer that reaches its size is removed and the others divide the rest again. As e only grows,
    no layer returns.
    """
    check_count("kept", kept, at_least=0)
    check_number("kept", kept, at_most=sum(sizes))
    counts = list(sizes)
    sharing = list(range(len(sizes)))  # layers below their size
    rest = kept
    while True:
        total = sum(weights[layer] for layer in sharing)
        full = [layer for layer in sharing if rest * weights[layer] >= sizes[layer] * total]
        if not full:
            break
        rest -= sum(sizes[layer] for layer in full)
        sharing = [layer for layer in sharing if layer not in full]
    remainders = {}
    for layer in sharing:
        counts[layer], remainders[layer] = divmod(rest * weights[layer], total)
    missing = rest - sum(counts[layer] for layer in sharing)
    for layer in sorted(sharing, key=lambda layer: -remainders[layer])[:missing]:
        counts[layer] += 1
    return tuple(counts)
