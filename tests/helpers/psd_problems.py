"""Allocation problems with a noise density: scenario S of [WFL] and random classes."""

from typing import Any

import numpy as np

from helpers.problems import (
    GLOBAL_WEIGHTS,
    IMPORTANCE_S,
    PERSONAL_S,
    PRUNABLE_S,
    random_problems,
    scenario_rates,
)
from optimizers import AllocationProblem, NoisePsdProblem

BANDWIDTH_HZ = 20e6
NOISE_W = 1e-14  # that of the fixed model, -110 dBm


def scenario_psd(**changes: Any) -> NoisePsdProblem:
    """Scenario S with N0 = sigma^2 K / B, so that the noise on an equal band is sigma^2.

    `changes` replace fields.
    """
    values: dict[str, Any] = {
        "deadline_s": 0.025,
        "fixed_s": PERSONAL_S + IMPORTANCE_S,
        "prunable_s": PRUNABLE_S,
        "upload_bits": 32 * GLOBAL_WEIGHTS,
        "snr": (2 ** (scenario_rates() / BANDWIDTH_HZ) - 1) / 10,
        "bandwidth_hz": BANDWIDTH_HZ,
    }
    return NoisePsdProblem(**(values | changes))


def with_psd(
    p: AllocationProblem, rng: np.random.Generator, decades: float = 3.0
) -> NoisePsdProblem:
    """`p` with SNRs spread over +-`decades` and the bits that keep its full-band upload times."""
    rate = np.asarray(p.rate_bps)
    snr = np.where(rate > 0, 10.0 ** rng.uniform(-decades, decades, p.shape), 0.0)
    upload_s, fixed_s = (np.where(rate > 0, value, 0.0) for value in (p.upload_s, p.fixed_upload_s))
    bits_per_s = 1e6 * np.log2(1 + snr)
    return NoisePsdProblem(
        deadline_s=p.deadline_s,
        fixed_s=p.fixed_s,
        prunable_s=p.prunable_s,
        upload_bits=np.where(rate > 0, upload_s * bits_per_s, p.upload_bits),
        fixed_upload_bits=np.where(rate > 0, fixed_s * bits_per_s, p.fixed_upload_bits),
        snr=snr,
        bandwidth_hz=1e6,
        weight=p.weight,
        max_pruning_ratio=p.max_pruning_ratio,
    )


def random_psd_problems(
    count: int, seed: int = 0, most_clients: int = 12, decades: float = 3.0
) -> list[tuple[str, NoisePsdProblem]]:
    """`count` named problems that go round all classes."""
    rng = np.random.default_rng(seed)
    return [
        (name, with_psd(p, rng, decades)) for name, p in random_problems(count, seed, most_clients)
    ]
