"""The clients' processors: fixed frequency, frequency scaling, background load."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import check_choice, check_number

Array = NDArray[np.float64]

MOST_RATE_HZ = 1e5  # limits the run time: every background job is several events
CPUS = ("fixed", "dvfs", "loaded")
BACKGROUNDS = ("exponential", "deterministic")


@dataclass(frozen=True, kw_only=True)
class Processor:
    """Frequency scaling and background load of the clients' CPUs; part of section `scenario`.

    Attributes:
        cpu: Kind of processor. fixed: runs at `cpu_hz`; dvfs: runs at the lowest frequency between
            `min_cpu_hz` and `cpu_hz` with which the client would finish at the deadline as planned;
            loaded: runs at `cpu_hz` and is interrupted by background jobs. An allocation that gives
            frequencies decides in place of `cpu_hz` and `dvfs`.
        min_cpu_hz: Lowest frequency of `dvfs`, and of an allocation that gives frequencies, in Hz;
            above 0 and, under `dvfs`, at most the smallest `cpu_hz`.
        background_rate_hz: Arrival rate of background jobs in 1/s; from 0 to 1e5. The utilisation
            `background_rate_hz` x `background_job_s` is at most 0.99.
        background_job_s: Time that a background job occupies the CPU, in s; above 0; the mean where
            the times are exponential.
        background: Distribution of that time. exponential: exponential of mean `background_job_s`;
            deterministic: always `background_job_s`.

    Raises:
        InputError: A value is outside its limits.
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
        """Fraction of time in which background jobs occupy the CPU."""
        return self.background_rate_hz * self.background_job_s

    def background_s(self, rng: np.random.Generator) -> float:
        """Draw the time that one background job occupies the CPU.

        Args:
            rng: Generator of exponential times; unused for deterministic ones.

        Returns:
            Time in s.
        """
        if self.background == "deterministic":
            return self.background_job_s
        return float(rng.exponential(self.background_job_s))
