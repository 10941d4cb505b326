"""Allocation problems: scenario S of [WFL], and random ones of every degenerate class."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from wirelessfl.allocation.interface import client_fields
from wirelessfl.allocation.problem import AllocationProblem

CYCLES_S = 360 / 3e9  # cycles per weight and step over cycles per second
PERSONAL_WEIGHTS = 5_280
GLOBAL_WEIGHTS = 16_560
PERSONAL_S = 5 * CYCLES_S * PERSONAL_WEIGHTS
IMPORTANCE_S = CYCLES_S * GLOBAL_WEIGHTS
PRUNABLE_S = 5 * CYCLES_S * GLOBAL_WEIGHTS


def scenario_rates(gain_factor: np.ndarray | float = 4.0) -> np.ndarray:
    """Full-band rates of scenario S in bit/s, 10 clients at 160 to 530 m.

    The factor 4 is the mean gain of 4 antennas.
    """
    distance_m = np.linspace(160.0, 530.0, 10)
    loss_db = 140.7 + 36.7 * np.log10(distance_m / 1e3)
    power_w = 10 ** ((28 - 30) / 10)
    noise_w = 10 ** ((-110 - 30) / 10)
    bandwidth_hz = 20e6
    return bandwidth_hz * np.log2(1 + gain_factor * 10 ** (-loss_db / 10) * power_w / noise_w)


def scenario_s(**changes: Any) -> AllocationProblem:
    """The deterministic anchor of scenario S (no fading); `changes` replace fields."""
    values: dict[str, Any] = {
        "deadline_s": 0.025,
        "fixed_s": PERSONAL_S + IMPORTANCE_S,
        "prunable_s": PRUNABLE_S,
        "upload_bits": 32 * GLOBAL_WEIGHTS,
        "rate_bps": scenario_rates(),
        "bandwidth_hz": 20e6,
    }
    return AllocationProblem(**(values | changes))


def problem(c: Any, a: Any, s: Any, w: Any = 1.0, cap: Any = 1.0) -> AllocationProblem:
    """The problem with slack c, prunable work a and full-band upload time s, all in seconds."""
    c = np.asarray(c, dtype=float)
    deadline = 2.0 * max(1.0, float(np.abs(c).max()))
    return AllocationProblem(
        deadline_s=deadline,
        fixed_s=deadline - c,
        prunable_s=a,
        upload_bits=np.asarray(s, dtype=float) * 1e6,
        rate_bps=1e6,
        weight=w,
        max_pruning_ratio=cap,
    )


def changed(p: AllocationProblem, **changes: Any) -> AllocationProblem:
    """`p` with some fields replaced."""
    return replace(p, **changes)


def client_subset(p: AllocationProblem, order: np.ndarray) -> AllocationProblem:
    """`p` with its clients reordered or some of them removed."""
    return replace(p, **{name: getattr(p, name)[..., order] for name in client_fields(p)})


Draw = Callable[[np.random.Generator, int], AllocationProblem]


def _base(rng: np.random.Generator, clients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        rng.uniform(0.5, 1.5, clients),
        rng.uniform(0.1, 2.0, clients),
        rng.uniform(0.02, 2.0, clients),
    )


def regular(rng: np.random.Generator, n: int) -> AllocationProblem:
    return problem(*_base(rng, n), rng.uniform(0.1, 3.0, n))


def ties(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    pick = rng.integers(0, 2, n)
    return problem(c[pick % n], a[pick % n], s[pick % n])


def identical(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, 1)
    return problem(np.repeat(c, n), a, s)


def no_compute(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, _, s = _base(rng, n)
    return problem(c, 0.0, s, rng.choice([0.5, 1.0], n))


def no_compute_tied(rng: np.random.Generator, n: int) -> AllocationProblem:
    return problem(1.0, np.zeros(n), rng.choice([0.5, 1.0, 2.0]))


def some_compute(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    return problem(c, np.where(rng.random(n) < 0.5, 0.0, a), s)


def tiny_compute(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    return problem(c, a * 10.0 ** rng.uniform(-18, 0, n), s)


def late_some(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    return problem(np.where(rng.random(n) < 0.4, -c, c), a, s)


def spare_band(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    return problem(c, a * 0.2, s * 0.05 / n)


def band_exactly_enough(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, _ = _base(rng, n)
    share = rng.dirichlet(np.ones(n))
    return problem(c + a, a, share * c)


def compute_bound(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    return problem(c, c + a * rng.integers(0, 2, n), s)


def four_decades(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    scale = 10.0 ** rng.uniform(-2, 2, (3, n))
    return problem(c * scale[0], a * scale[1], s * scale[2], 10.0 ** rng.uniform(-2, 2, n))


def weight_zero(rng: np.random.Generator, n: int) -> AllocationProblem:
    return problem(*_base(rng, n), np.where(rng.random(n) < 0.4, 0.0, 1.0))


def scarce_band(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    return problem(c, a, s * 10.0 ** rng.uniform(2, 5))


def rate_zero(rng: np.random.Generator, n: int) -> AllocationProblem:
    p = regular(rng, n)
    return changed(p, rate_bps=np.where(rng.random(n) < 0.3, 0.0, p.rate_bps))


def bits_zero(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    return problem(c, np.where(rng.random(n) < 0.2, 0.0, a), np.where(rng.random(n) < 0.4, 0.0, s))


def slack_zero(rng: np.random.Generator, n: int) -> AllocationProblem:
    c, a, s = _base(rng, n)
    return problem(np.where(rng.random(n) < 0.4, 0.0, c), a, s)


def caps_fit(rng: np.random.Generator, n: int) -> AllocationProblem:
    p = regular(rng, n)
    least = rng.uniform(0.0, 0.1, n) / n
    band = rng.dirichlet(np.ones(n)) * rng.uniform(0.2, 1.0)
    most = p.slack_s * band / (p.prunable_s * band + p.upload_s)
    return changed(
        p,
        max_pruning_ratio=1.0 - np.minimum(1.0, np.where(rng.random(n) < 0.6, most, least * most)),
    )


def caps_clash(rng: np.random.Generator, n: int) -> AllocationProblem:
    return changed(regular(rng, n), max_pruning_ratio=rng.uniform(0.0, 0.9, n))


CLASSES: dict[str, Draw] = {
    draw.__name__: draw
    for draw in (
        regular,
        ties,
        identical,
        no_compute,
        no_compute_tied,
        some_compute,
        tiny_compute,
        late_some,
        spare_band,
        band_exactly_enough,
        compute_bound,
        four_decades,
        weight_zero,
        scarce_band,
        rate_zero,
        bits_zero,
        slack_zero,
        caps_fit,
        caps_clash,
    )
}


def random_problems(
    count: int, seed: int = 0, most_clients: int = 12
) -> list[tuple[str, AllocationProblem]]:
    """`count` named problems that go round all classes; 1 to `most_clients` clients each."""
    rng = np.random.default_rng(seed)
    names = itertools.islice(itertools.cycle(CLASSES), count)
    return [(name, CLASSES[name](rng, int(rng.integers(1, most_clients + 1)))) for name in names]
