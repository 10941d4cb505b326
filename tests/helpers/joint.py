"""Joint problems for tests, and a reference on the raw variables: bands, ratios, frequencies."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from optimizers import JointProblem


def joint_problem(rng: np.random.Generator, clients: int, **changes: Any) -> JointProblem:
    """A random cell in which deadline, energy, frequency bounds and band all matter.

    `changes` replace fields.
    """
    values: dict[str, Any] = {
        "deadline_s": 0.025,
        "fixed_cycles": rng.uniform(5e6, 2e7, clients),
        "prunable_cycles": rng.uniform(1e7, 6e7, clients),
        "upload_bits": rng.uniform(2e5, 8e5, clients),
        "rate_bps": rng.uniform(5e7, 2.5e8, clients),
        "power_w": rng.uniform(0.05, 0.7, clients),
        "cpu_min_hz": rng.uniform(2e8, 1e9, clients),
        "cpu_max_hz": rng.uniform(2e9, 4e9, clients),
        "energy_budget_j": rng.uniform(0.004, 0.03, clients),
        "weight": rng.uniform(0.1, 3.0, clients),
    }
    return JointProblem(**(values | changes))


def kept_weight(p: JointProblem, pruning_ratio: np.ndarray) -> np.ndarray:
    """The objective sum w x, (...,)."""
    return (p.weight * (1.0 - pruning_ratio)).sum(axis=-1)


def changed(p: JointProblem, **changes: Any) -> JointProblem:
    """`p` with some fields replaced."""
    return replace(p, **changes)


def client_subset(p: JointProblem, order: np.ndarray) -> JointProblem:
    """`p` with its clients reordered."""
    return JointProblem(**{field.name: getattr(p, field.name)[..., order] for field in fields(p)})


def limits(p: JointProblem, kept: np.ndarray, band: np.ndarray, cpu_hz: np.ndarray) -> np.ndarray:
    """Relative slack of deadlines, budgets and band, >= 0 where all hold."""
    upload_s = kept * p.upload_bits / (band * p.rate_bps)
    cycles = p.fixed_cycles + kept * p.prunable_cycles
    latency_s = p.fixed_s + kept * p.prunable_s + cycles / cpu_hz + upload_s
    energy_j = p.capacitance * cycles * cpu_hz**2 + p.power_w * upload_s
    return np.concatenate(
        [1 - latency_s / p.deadline_s, 1 - energy_j / p.energy_budget_j, [1 - band.sum()]]
    )


def best_kept(p: JointProblem, band: np.ndarray, cpu_hz: np.ndarray) -> np.ndarray:
    """The largest kept fractions at given bands and frequencies; NaN where none is feasible.

    Each limit is linear in x.
    """
    upload_s = p.upload_bits / (band * p.rate_bps)
    in_time = (p.deadline_s - p.fixed_s - p.fixed_cycles / cpu_hz) / (
        p.prunable_s + p.prunable_cycles / cpu_hz + upload_s
    )
    effort_j = p.capacitance * cpu_hz**2
    in_budget = (p.energy_budget_j - effort_j * p.fixed_cycles) / (
        effort_j * p.prunable_cycles + p.power_w * upload_s
    )
    kept = np.minimum(np.minimum(in_time, in_budget), 1.0)
    return np.where(kept < 0, np.nan, kept)


def most_kept_by_slsqp(p: JointProblem, rng: np.random.Generator, starts: int = 6) -> float:
    """Maximum of sum w x over raw (x, b, f) by SLSQP, the best of several starts."""
    k = p.shape[-1]
    low = np.concatenate([np.zeros(k), np.full(k, 1e-6), p.cpu_min_hz / 1e9])
    high = np.concatenate([np.ones(k), np.ones(k), p.cpu_max_hz / 1e9])
    found = []
    for _ in range(starts):
        start = np.concatenate(
            [np.full(k, 0.05), rng.dirichlet(np.full(k, 5.0)), rng.uniform(low, high)[2 * k :]]
        )
        result = minimize(
            lambda v: -(p.weight @ v[:k]),
            start,
            jac=lambda v: np.concatenate([-p.weight, np.zeros(2 * k)]),
            method="SLSQP",
            bounds=list(zip(low, high, strict=True)),
            constraints={
                "type": "ineq",
                "fun": lambda v: limits(p, v[:k], v[k : 2 * k], 1e9 * v[2 * k :]),
            },
            options={"ftol": 1e-13, "maxiter": 500},
        )
        kept = result.x[:k]
        band = result.x[k : 2 * k]
        cpu_hz = 1e9 * result.x[2 * k :]
        if limits(p, kept, band, cpu_hz).min() > -1e-8:
            found.append(-result.fun)
    return max(found)


def least_energy_by_slsqp(
    p: JointProblem, kept: np.ndarray, rng: np.random.Generator, starts: int = 6
) -> float:
    """Least energy over raw (b, f) at given kept fractions by SLSQP, the best of several starts."""
    k = p.shape[-1]

    def energy_j(v: np.ndarray) -> float:
        cycles = p.fixed_cycles + kept * p.prunable_cycles
        upload_s = kept * p.upload_bits / (v[:k] * p.rate_bps)
        return float((p.capacitance * cycles * (1e9 * v[k:]) ** 2 + p.power_w * upload_s).sum())

    bounds = [(1e-4, 1.0)] * k + list(zip(p.cpu_min_hz / 1e9, p.cpu_max_hz / 1e9, strict=True))
    found = []
    for _ in range(starts):
        start = np.concatenate([rng.dirichlet(np.full(k, 5.0)), p.cpu_max_hz / 1e9])
        result = minimize(
            lambda v: 10.0 * energy_j(v),
            start,
            method="SLSQP",
            bounds=bounds,
            constraints={"type": "ineq", "fun": lambda v: limits(p, kept, v[:k], 1e9 * v[k:])},
            options={"ftol": 1e-13, "maxiter": 500},
        )
        if limits(p, kept, result.x[:k], 1e9 * result.x[k:]).min() > -1e-8:
            found.append(energy_j(result.x))
    return min(found)
