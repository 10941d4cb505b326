"""Water-filling on plain arrays of NumPy or torch, with gradients where the library has them.

The level mu = 1 / sqrt(lambda) is found on detached values. Around the optimum the clients inside
their bounds (I) and those at their ceiling (C) stay the same, and there the optimum has a closed
form, [WFL] eq. (47) with bounds:

    mu = (1 - sum_C s / (c - a) + sum_I s / a) / sum_I sqrt(w c s) / a,
    b_I = (mu sqrt(w c s) - s) / a.

Where clients with a = 0 stand on their step, mu = sqrt(s / (w c)) is theirs and they share the
remaining band. Differentiating that closed form differentiates sum b(mu) = 1 implicitly: no
derivative of the search is needed, and none of its passes is recorded. The value of b is that of
the search, which does not cancel for tiny a.
"""

from typing import Any

import numpy as np

from optimizers._waterfilling.curve import ROUNDING
from optimizers._waterfilling.waterfill import fill, in_blocks
from wirelessfl.allocation.ranges import LARGEST
from wirelessfl.errors import InputError
from wirelessfl.text import in_full


def waterfill(
    slack_s: Any, prunable_s: Any, upload_s: Any, weight: Any = 1.0
) -> tuple[Any, Any, Any]:
    """Optimal bands, pruning ratios and price for plain arrays, NumPy's or torch's.

    max sum_k w_k min(1, c_k b_k / (a_k b_k + s_k)) over sum_k b_k <= 1 ([WFL] eq. (34) with the
    ratio inserted), with fixed SNR and without caps and fixed bits: those, and noise with a
    density, are solved by `solve` for NumPy arrays. Results are of the library and device of the
    arguments and differentiable with respect to all of them; at a kink (a client that just becomes
    starved or unpruned) one of the one-sided derivatives is given.

    Args:
        slack_s: c, deadline less fixed work, seconds; negative for clients that take no part. Each
            argument is a number or an array, and all broadcast to (..., K).
        prunable_s: a, seconds of work of the unpruned model.
        upload_s: s, seconds to upload the unpruned model over the whole band; inf without rate,
            see `upload_seconds`.
        weight: w, without unit.

    Returns:
        `bandwidth_fraction` and `pruning_ratio`, shape (..., K), and the price of the whole band,
        shape (...,). Clients with slack < 0 or without rate get no band and ratio 1.

    Raises:
        InputError: No array among the arguments, arrays of two libraries or devices, shapes that
            do not broadcast, NaN, or values outside the ranges of `AllocationProblem`.
    """
    named = {
        "slack_s": slack_s,
        "prunable_s": prunable_s,
        "upload_s": upload_s,
        "weight": weight,
    }
    xp, (c, a, s, w) = _one_library(named)
    for name, value in zip(named, (c, a, s, w), strict=True):
        _check_range(xp, name, _detached(value))
    if not c.shape == a.shape == s.shape or w.ndim:
        c, a, s, w = _broadcast(xp, named, (c, a, s, w))
    # Clients without rate are posed as late ones: products with inf have no gradient.
    silent = s == xp.inf
    c = xp.where(silent, -1.0, c)
    s = xp.where(silent, 1.0, s)
    with np.errstate(all="ignore"):  # 0 / 0 and 1 / 0 stand where no client uses the result
        band, ratio, price = in_blocks(xp, _search, *(_detached(value) for value in (c, a, s, w)))
        if any(getattr(value, "requires_grad", False) for value in (c, a, s, w)):
            band, price = _closed_form(xp, c, a, s, w, band, price)
            ratio = _pruning_ratio(xp, c, a, s, band)
    return band, ratio, price


def upload_seconds(bits: Any, rate_bps: Any) -> Any:
    """Upload time over the whole band, with gradient 0 instead of NaN at rate 0.

    Args:
        bits: Bits to upload; a number or an array that broadcasts with `rate_bps`.
        rate_bps: Rate over the whole band, bit/s; an array, NumPy's or torch's, of any shape.

    Returns:
        `bits` / `rate_bps`, inf at rate 0, of the library of `rate_bps`.
    """
    xp, (bits, rate_bps) = _one_library({"bits": bits, "rate_bps": rate_bps})
    silent = rate_bps == 0
    return xp.where(silent, xp.inf, bits / xp.where(silent, 1.0, rate_bps))


def _search(
    xp: Any, slack_s: Any, prunable_s: Any, upload_s: Any, weight: Any
) -> tuple[Any, Any, Any]:
    leverage_s2 = slack_s * upload_s
    room_s = slack_s - prunable_s
    floor = xp.zeros_like(slack_s)
    leverage_s2 = xp.where((leverage_s2 > 0) & (leverage_s2 < xp.inf), leverage_s2, 0.0)
    ceiling = xp.where(room_s > 0, upload_s / room_s, xp.inf)
    band, price = fill(xp, leverage_s2, prunable_s, upload_s, weight, floor, ceiling)
    return band, _pruning_ratio(xp, slack_s, prunable_s, upload_s, band), price


def _closed_form(
    xp: Any, slack_s: Any, prunable_s: Any, upload_s: Any, weight: Any, band: Any, price: Any
) -> tuple[Any, Any]:
    """`band` and `price` as functions of the clients; unused quotients are kept finite."""
    topped = _is_full(slack_s, prunable_s, upload_s, band) & (upload_s > 0)
    inside = (band > 0) & ~topped & (prunable_s > 0)
    steps = (band > 0) & ~topped & (prunable_s == 0)
    root_s = xp.sqrt(xp.where(inside | steps, weight * slack_s * upload_s, 1.0))
    work_s = xp.where(inside, prunable_s, 1.0)
    pace = xp.where(inside, root_s / work_s, 0.0)
    back = xp.where(inside, upload_s / work_s, 0.0)
    ceiling = xp.where(topped, upload_s / xp.where(topped, slack_s - prunable_s, 1.0), 0.0)
    room = 1.0 - ceiling.sum(axis=-1)
    stepped = steps.any(axis=-1)
    on_step = xp.where(steps, upload_s / root_s, 0.0).sum(axis=-1) / xp.where(
        stepped, steps.sum(axis=-1), 1.0
    )
    on_ramps = (room + back.sum(axis=-1)) / xp.where(inside.any(axis=-1), pace.sum(axis=-1), 1.0)
    level = xp.where(stepped, on_step, on_ramps)
    climbed = xp.where(inside, level[..., None] * pace - back, 0.0)
    held = xp.where(steps, band, 0.0)
    share = held / xp.where(stepped, held.sum(axis=-1), 1.0)[..., None]
    moved = ceiling + climbed + share * (room - climbed.sum(axis=-1))[..., None]
    moved_price = xp.where((price > 0) & (inside | steps).any(axis=-1), level, 1.0) ** -2.0
    return band + (moved - _detached(moved)), price + (moved_price - _detached(moved_price))


def _pruning_ratio(xp: Any, slack_s: Any, prunable_s: Any, upload_s: Any, band: Any) -> Any:
    """max(0, 1 - c b / (a b + s)), and 1 for clients with negative slack."""
    size = xp.where(upload_s == 0, 1.0, band)
    full = _is_full(slack_s, prunable_s, upload_s, band)
    pruned = 1.0 - slack_s * size / xp.where(full, 1.0, prunable_s * size + upload_s)
    return xp.where(full, 0.0, xp.where(slack_s > 0, pruned, 1.0))


def _is_full(slack_s: Any, prunable_s: Any, upload_s: Any, band: Any) -> Any:
    """Clients that need not prune; those without bits need no band either."""
    return (slack_s >= prunable_s) & ((slack_s - prunable_s) * band >= upload_s * (1 - ROUNDING))


def _one_library(named: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The namespace of the arrays among the arguments, and all of them as its float64 arrays."""
    arrays = {name: value for name, value in named.items() if getattr(value, "shape", ())}
    *others, last = named
    names = f"{', '.join(others)} or {last}"
    if not arrays:
        raise InputError(f"{names} must be an array of clients, got numbers only")
    kinds = {f"{type(value).__module__.split('.')[0]}": None for value in arrays.values()}
    if len(kinds) > 1:
        raise InputError(f"arrays must be of one library, got {' and '.join(kinds)}")
    like = next(iter(arrays.values()))
    devices = {str(getattr(value, "device", "cpu")): None for value in arrays.values()}
    if len(devices) > 1:
        raise InputError(f"arrays must lie on one device, got {' and '.join(devices)}")
    xp = np if isinstance(like, np.ndarray) else _namespace(like)
    return xp, [_float64(xp, name, value, like) for name, value in named.items()]


def _namespace(like: Any) -> Any:
    from array_api_compat import array_namespace  # only arrays of another library need it

    return array_namespace(like)


def _float64(xp: Any, name: str, value: Any, like: Any) -> Any:
    if getattr(value, "shape", ()):
        return value if value.dtype == xp.float64 else xp.astype(value, xp.float64)
    if type(value) is type(like):  # a scalar of the library, which may have a gradient
        return xp.astype(value, xp.float64)
    try:
        return xp.asarray(float(value), dtype=xp.float64, device=like.device)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number or an array, got {value!r}") from None


def _check_range(xp: Any, name: str, value: Any) -> None:
    """Raise `InputError` for NaN and for values outside the range; `upload_s` may be inf."""
    if 0 in value.shape:
        return
    low, high = float(xp.min(value)), float(xp.max(value))  # both NaN where one value is
    if np.isnan(low):
        raise InputError(f"{name} must be a number for every client, got nan")
    least = -LARGEST if name == "slack_s" else 0.0
    if low < least:
        raise InputError(f"{name} must be at least {in_full(least)}, got {in_full(low)}")
    if high > LARGEST and not (name == "upload_s" and high == np.inf):
        raise InputError(f"{name} must be at most {in_full(LARGEST)}, got {in_full(high)}")


def _broadcast(xp: Any, named: dict[str, Any], values: tuple[Any, ...]) -> Any:
    try:
        return xp.broadcast_arrays(*values)
    except (ValueError, RuntimeError):
        shapes = ", ".join(
            f"{name} {tuple(value.shape)}" for name, value in zip(named, values, strict=True)
        )
        raise InputError(f"shapes must broadcast to (..., K), got {shapes}") from None


def _detached(value: Any) -> Any:
    return value.detach() if hasattr(value, "detach") else value
