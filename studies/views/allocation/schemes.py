"""The first round of a scenario under one or more allocators, with certificates and repairs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers import Certificate, Repair, Sensitivities, certify, repair, sensitivities
from wirelessfl.border import gate
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment
from wirelessfl.planning import PlannedRound, participants, plan, problem_of

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
    """The plan of one allocator for the first round of an experiment.

    Attributes:
        experiment: The experiment with this allocator.
        clients: Indices of the n clients that participate in the round; (n,).
        planned: The planned round, problem and allocation of the participants alone; (n,).
    """

    experiment: Experiment
    clients: NDArray[np.intp]
    planned: PlannedRound

    @cached_property
    def certificate(self) -> Certificate:
        """Distance of the allocation from the optimum: the allocator's own, if it certifies one."""
        own = getattr(self.experiment.allocator, "certificate", None)
        if own is not None:
            found: Certificate = own(self.planned.problem)
            return found
        return certify(self.planned.problem, self.planned.allocation)

    @cached_property
    def sensitivities(self) -> Sensitivities | None:
        """Derivatives of the kept models by each resource; None for allocators without optimum."""
        if not getattr(self.experiment.allocator, "optimal", False):
            return None
        return sensitivities(self.planned.problem, self.planned.allocation)

    @cached_property
    def repair(self) -> Repair | None:
        """The smallest conflict and its repairs; None if the problem is feasible."""
        found = repair(self.planned.problem)
        return None if found.feasible else found

    @property
    def late(self) -> NDArray[np.bool_]:
        """True for participants that finish after the deadline; (n,)."""
        return self.planned.allocation.late


def plans(tables: Tables, methods: Sequence[str]) -> dict[str, Scheme]:
    """Plan the first round with several allocators under the same channel.

    Args:
        tables: The sections of the scenario.
        methods: Names of allocators; empty for that of the scenario.

    Returns:
        Name -> plan; the name is empty for the scenario's allocator.
    """
    if not methods:
        return {"": _scheme(tables)}
    return {name: _scheme(merge(tables, {"allocation": {"method": name}})) for name in methods}


def _scheme(tables: Tables) -> Scheme:
    experiment = from_tables(tables)
    participates = participants(experiment, 0)
    demand = gate.first_demand(experiment.algorithm, experiment.scenario.clients)
    planned = plan(experiment, demand.restricted_to(participates), participates=participates)
    if not participates.all():
        problem = problem_of(planned.problem, participates)
        solved = gate.solve(experiment.allocator, problem)
        planned = replace(planned, problem=problem, allocation=solved)
    return Scheme(experiment, np.flatnonzero(participates), planned)


def scheme_as_dict(scheme: Scheme) -> dict[str, Any]:
    """The plan as plain values.

    `sensitivities` and `repair` are None where they do not apply.
    """
    allocation = scheme.planned.allocation
    return {
        "clients": scheme.clients.tolist(),
        **_named(allocation, ALLOCATION),
        **({} if allocation.cpu_hz is None else _named(allocation, ("cpu_hz",))),
        "certificate": _named(scheme.certificate, CERTIFICATE),
        "sensitivities": None
        if scheme.sensitivities is None
        else _named(scheme.sensitivities, SENSITIVITIES),
        "repair": None if scheme.repair is None else _named(scheme.repair, REPAIR),
    }


def _named(value: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: _plain(getattr(value, name)) for name in names}


def _plain(value: Any) -> Any:
    """Arrays as lists; None for values that are not finite, which JSON cannot hold."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
