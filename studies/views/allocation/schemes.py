"""One round of a scenario under one or several allocators, and everything that is known about each
answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers import Certificate, Repair, Sensitivities, certify, repair, sensitivities
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment
from wirelessfl.planning import PlannedRound, plan

ALLOCATION = (
    "bandwidth_fraction",
    "pruning_ratio",
    "latency_s",
    "status",
    "shortfall_s",
    "bandwidth_price",
    "deadline_price",
    "reason",
    "shortfall_fraction",
    "shortfall_hz",
)
CERTIFICATE = (
    "primal_residual",
    "stationarity",
    "complementarity",
    "dual_residual",
    "duality_gap",
)
SENSITIVITIES = (
    "bandwidth_hz",
    "deadline_s",
    "upload_bits",
    "log_cpu_hz",
    "log_transmit_power_w",
    "log_gain",
)
REPAIR = ("conflict", "shortfall_s", "shortfall_hz", "max_pruning_ratio")


@dataclass(frozen=True, eq=False)
class Scheme:
    """What one allocator plans for the first round of an experiment."""

    experiment: Experiment
    planned: PlannedRound

    @cached_property
    def certificate(self) -> Certificate:
        """How far the answer is from the optimum."""
        return certify(self.planned.problem, self.planned.allocation)

    @cached_property
    def sensitivities(self) -> Sensitivities | None:
        """What one more of everything is worth; None for allocators that optimise nothing."""
        if not getattr(self.experiment.allocator, "optimal", False):
            return None
        return sensitivities(self.planned.problem, self.planned.allocation)

    @cached_property
    def repair(self) -> Repair | None:
        """The conflict and what mends it; None where nothing is infeasible."""
        found = repair(self.planned.problem)
        return None if found.feasible else found

    @property
    def late(self) -> NDArray[np.bool_]:
        """Which clients finish after the deadline; (K,) bool."""
        return self.planned.allocation.late


def plans(tables: Tables, methods: Sequence[str]) -> dict[str, Scheme]:
    """The first round under each of `methods`, or under the scenario's own allocator; the channel
    is the same.
    """
    if not methods:
        return {"": _scheme(tables)}
    return {name: _scheme(merge(tables, {"allocation": {"method": name}})) for name in methods}


def _scheme(tables: Tables) -> Scheme:
    experiment = from_tables(tables)
    return Scheme(
        experiment, plan(experiment, experiment.algorithm.demand(experiment.scenario.clients))
    )


def scheme_as_dict(scheme: Scheme) -> dict[str, Any]:
    """Plain numbers, null where there is none; `sensitivities` and `repair` are null where they do
    not apply.
    """
    return {
        **_named(scheme.planned.allocation, ALLOCATION),
        "certificate": _named(scheme.certificate, CERTIFICATE),
        "sensitivities": None
        if scheme.sensitivities is None
        else _named(scheme.sensitivities, SENSITIVITIES),
        "repair": None if scheme.repair is None else _named(scheme.repair, REPAIR),
    }


def _named(value: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: _plain(getattr(value, name)) for name in names}


def _plain(value: Any) -> Any:
    """Arrays as lists; what is not finite as null, which JSON can hold."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
