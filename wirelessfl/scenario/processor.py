"""The clients' processors: fixed frequency, frequency scaling, background load."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import check_choice, check_number

Array = NDArray[np.float64]

MOST_RATE_HZ = 1e5  # every background job is events of its own
CPUS = ("fixed", "dvfs", "loaded")
BACKGROUNDS = ("exponential", "deterministic")


@dataclass(frozen=True, kw_only=True)
class Processor:
    """Processing of CPU cycles; its fields stand in section `scenario` of a scenario file.

    `cpu`: `fixed` runs at `cpu_hz`; `dvfs` at the lowest frequency between `min_cpu_hz` and
    `cpu_hz` with which the client would finish at the deadline as planned; `loaded` runs at
    `cpu_hz` and is interrupted by background jobs that arrive at `background_rate_hz` and hold the
    CPU for `background_job_s` each (mean of an exponential, or always).
    """

    cpu: Literal["fixed", "dvfs", "loaded"] = "fixed"
    min_cpu_hz: float = 3e8
    background_rate_hz: float = 50.0
    background_job_s: float = 0.004
    background: Literal["exponential", "deterministic"] = "exponential"

    def __post_init__(self) -> None:
        check_choice("scenario.cpu", self.cpu, CPUS)
        for name in ("min_cpu_hz", "background_job_s"):
            check_number(f"scenario.{name}", getattr(self, name), above=0)
        check_number(
            "scenario.background_rate_hz", self.background_rate_hz, at_least=0, at_most=MOST_RATE_HZ
        )
        check_choice("scenario.background", self.background, BACKGROUNDS)
        check_number(
            "scenario.background_rate_hz x background_job_s", self.utilisation, at_most=0.99
        )

    @property
    def utilisation(self) -> float:
        """Share of time that background jobs hold the CPU."""
        return self.background_rate_hz * self.background_job_s

    def background_s(self, generator: np.random.Generator) -> float:
        """Duration of one background job on the CPU, in seconds."""
        if self.background == "deterministic":
            return self.background_job_s
        return float(generator.exponential(self.background_job_s))
