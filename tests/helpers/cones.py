"""The fixed-SNR problem as cones, for objectives of the kept fractions in CVXPY."""

import warnings
from collections.abc import Callable

import cvxpy as cp
import numpy as np

from wirelessfl.allocation.problem import AllocationProblem


def best(
    p: AllocationProblem, objective: Callable[[cp.Expression], cp.Expression]
) -> tuple[float, np.ndarray]:
    """Maximise a concave CVXPY expression `objective(x)` over the kept fractions that fit `p`.

    b(x) = e/c + g (x + (a/c) v), v (1 - a x / c) >= x^2 with g = s/c + a e / c^2; every client must
    have slack.

    Returns:
        The maximum and x, (K,).
    """
    load = p.upload_s / p.slack_s
    pace = p.prunable_s / p.slack_s
    entry = p.fixed_upload_s / p.slack_s
    growth = load + pace * entry
    kept, excess, room = (cp.Variable(p.shape[-1]) for _ in range(3))
    limits = [
        growth @ kept + (growth * pace) @ excess <= 1 - entry.sum(),
        room + cp.multiply(pace, kept) <= 1,
        cp.SOC(excess + room, cp.vstack([2 * kept, excess - room]), axis=0),
        kept >= 1 - p.max_pruning_ratio,
        kept <= 1,
    ]
    problem = cp.Problem(cp.Maximize(objective(kept)), limits)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        problem.solve(
            solver=cp.CLARABEL, **dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)
        )
    return float(problem.value), np.asarray(kept.value)


def with_fixed_bits(rng: np.random.Generator, p: AllocationProblem, share: float) -> np.ndarray:
    """Fixed bits of two thirds of the clients, (K,), which need `share` of the band in total."""
    room_bits = np.maximum(p.slack_s, 0.0) * p.rate_bps * (rng.random(p.shape) > 0.3)
    return share * rng.dirichlet(np.ones(p.shape[-1])) * room_bits
