"""How many weights stay: counts of whole vectors and shares of layers."""

import math
from collections.abc import Sequence
from math import prod

from wirelessfl.errors import check_count, check_number


def prune_count(pruning_ratio: float, size: int) -> int:
    """ceil(pruning_ratio * size): rounding up, so that the latency threshold holds ([WFL] W-1.5).

    A relative 1e-12 is taken off first, or the rounding error of the product would now and then
    prune one more.
    """
    return min(size, math.ceil(pruning_ratio * size * (1.0 - 1e-12)))


def retained_count(keep: float, size: int) -> int:
    """size - floor((1 - keep) size): what Thres of [MCE-PL] eq. (3) keeps of a layer.

    The rounding error of the product, a relative 1e-12, keeps no weight more.
    """
    return size - math.floor((1.0 - keep) * size * (1.0 + 1e-12))


def keep_count(pruning_ratio: float, size: int) -> int:
    """K = size - ceil(pruning_ratio size) = floor((1 - pruning_ratio) size), [WFL] W-1.5 and K
    of TopK in [SPS].

    Without the rounding error of the product, see `prune_count`. Raises `InputError` for a ratio
    outside [0, 1].
    """
    check_number("training.pruning_ratio", pruning_ratio, at_least=0.0, at_most=1.0)
    return size - prune_count(pruning_ratio, size)


def uniform_counts(shapes: Sequence[Sequence[int]], kept: int) -> tuple[int, ...]:
    """Weights kept in each tensor, `kept` in all, with the same density everywhere up to rounding."""
    sizes = [prod(shape) for shape in shapes]
    return _apportion(sizes, sizes, kept)


def erk_counts(shapes: Sequence[Sequence[int]], kept: int) -> tuple[int, ...]:
    """Weights kept in each tensor, `kept` in all, by the Erdos-Renyi-kernel rule of [RigL] (Evci et
    al. 2020).

    Density min(1, e (n_in + n_out + kh + kw) / (n_in n_out kh kw)) with the one e that makes the
    counts sum to `kept`, so e times the sum of a tensor's shape, at most its size. A tensor without
    kernel axes has n_in and n_out alone. Rounded by largest remainders, among equals the earlier
    tensor first. Raises `InputError` for `kept` outside [0, number of weights].
    """
    return _apportion([sum(shape) for shape in shapes], [prod(shape) for shape in shapes], kept)


def _apportion(weights: Sequence[int], sizes: Sequence[int], kept: int) -> tuple[int, ...]:
    """Whole numbers near min(size, e weight) that sum to `kept`; exact, as all arithmetic is on
    whole numbers.

    Who reaches its size leaves, and the others share the rest anew: e only grows, so nobody comes
    back.
    """
    check_count("kept", kept, at_least=0)
    check_number("kept", kept, at_most=sum(sizes))
    counts, sharing, rest = list(sizes), list(range(len(sizes))), kept
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
