"""The water-filling on plain arrays, NumPy's or torch's on any device, with gradients where the
library has them.

The level mu = 1 / sqrt(lambda) is found on detached numbers. Around the optimum the clients inside
their bounds (I) and those at their ceiling (C) stay the same, and there the optimum has a closed
form, [WFL] eq. (47) with bounds:

    mu = (1 - sum_C s / (c - a) + sum_I s / a) / sum_I sqrt(w c s) / a,
    b_I = (mu sqrt(w c s) - s) / a.

Where clients with a = 0 stand on their step, mu = sqrt(s / (w c)) is theirs and they share what the
others leave. Differentiating that closed form is differentiating sum b(mu) = 1 implicitly: no
derivative of the search is needed, and none of its passes is recorded. The value of b is the
search's, which does not cancel for tiny a.
"""

from typing import Any

import numpy as np

from optimizers._waterfilling.curve import ROUNDING
from optimizers._waterfilling.waterfill import fill, in_blocks
from wirelessfl.errors import InputError


def waterfill(
    slack_s: Any, prunable_s: Any, upload_s: Any, weight: Any = 1.0
) -> tuple[Any, Any, Any]:
    """Optimal `bandwidth_fraction`, `pruning_ratio` (..., K) and `price` (...,) of plain arrays,
    without checks.

    max sum_k w_k min(1, c_k b_k / (a_k b_k + s_k)) over sum_k b_k <= 1 ([WFL] eq. (34) with the
    ratio inserted); c = `slack_s`, a = `prunable_s`, s = `upload_s` over the whole band, all in
    seconds, w = `weight`. Arguments are numbers or arrays of one library that broadcast to (...,
    K); what comes back is of the same library and device and differentiable with respect to all of
    them. Clients with slack < 0 get no band and ratio 1.
    """
    values = (slack_s, prunable_s, upload_s, weight)
    like = next((value for value in values if getattr(value, "shape", ())), None)
    if like is None:
        raise InputError(
            "slack_s, prunable_s, upload_s or weight must be an array of clients, got numbers only"
        )
    xp = _namespace(like, values)
    c, a, s, w = (_float64(xp, value, like) for value in values)
    if not c.shape == a.shape == s.shape or w.ndim:
        c, a, s, w = xp.broadcast_arrays(c, a, s, w)
    with np.errstate(all="ignore"):  # 0 / 0 and 1 / 0 stand where no client uses the result
        band, ratio, price = in_blocks(xp, _search, *(_detached(value) for value in (c, a, s, w)))
        if any(getattr(value, "requires_grad", False) for value in (c, a, s, w)):
            band, price = _closed_form(xp, c, a, s, w, band, price)
            ratio = _pruning_ratio(xp, c, a, s, band)
    return band, ratio, price


def _search(
    xp: Any, slack_s: Any, prunable_s: Any, upload_s: Any, weight: Any
) -> tuple[Any, Any, Any]:
    leverage_s2, room_s, floor = slack_s * upload_s, slack_s - prunable_s, xp.zeros_like(slack_s)
    leverage_s2 = xp.where((leverage_s2 > 0) & (leverage_s2 < xp.inf), leverage_s2, 0.0)
    ceiling = xp.where(room_s > 0, upload_s / room_s, xp.inf)
    band, price = fill(xp, leverage_s2, prunable_s, upload_s, weight, floor, ceiling)
    return band, _pruning_ratio(xp, slack_s, prunable_s, upload_s, band), price


def _closed_form(
    xp: Any, slack_s: Any, prunable_s: Any, upload_s: Any, weight: Any, band: Any, price: Any
) -> tuple[Any, Any]:
    """`band` and `price` again, now as functions of the clients; every quotient is kept finite
    where it is not used.
    """
    topped = _is_full(slack_s, prunable_s, upload_s, band) & (upload_s > 0)
    inside, steps = (
        (band > 0) & ~topped & (prunable_s > 0),
        (band > 0) & ~topped & (prunable_s == 0),
    )
    root_s = xp.sqrt(xp.where(inside | steps, weight * slack_s * upload_s, 1.0))
    work_s = xp.where(inside, prunable_s, 1.0)
    pace, back = xp.where(inside, root_s / work_s, 0.0), xp.where(inside, upload_s / work_s, 0.0)
    ceiling = xp.where(topped, upload_s / xp.where(topped, slack_s - prunable_s, 1.0), 0.0)
    room, stepped = 1.0 - ceiling.sum(axis=-1), steps.any(axis=-1)
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


def _namespace(like: Any, values: tuple[Any, ...]) -> Any:
    if isinstance(like, np.ndarray):
        return np
    from array_api_compat import array_namespace  # only arrays of another library need it

    return array_namespace(*values)


def _float64(xp: Any, value: Any, like: Any) -> Any:
    if not hasattr(value, "shape"):
        return xp.asarray(value, dtype=xp.float64, device=like.device)
    return value if value.dtype == xp.float64 else xp.astype(value, xp.float64)


def _detached(value: Any) -> Any:
    return value.detach() if hasattr(value, "detach") else value
