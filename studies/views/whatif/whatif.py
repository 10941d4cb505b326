"""Allocations of a scenario over values of one or two fields, for many channel draws."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from optimizers import AllocationProblem, Breakpoint, WhatIf, breakpoints, measures
from studies.report.drops import drop_seeds, has_drops, period
from studies.views.whatif.planned import Plan, planned_measures
from studies.views.whatif.vary import Vary
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.interface import merged
from wirelessfl.allocation.problem import Problem
from wirelessfl.border import gate
from wirelessfl.config.scenario_file import Tables, from_tables
from wirelessfl.errors import InputError, check_count
from wirelessfl.experiment import Experiment
from wirelessfl.planning import allocation_problem, participants, problem_of, weights
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState

PER_POINT = {
    "scenario.deadline_s": "deadline_s",
    "allocation.max_pruning_ratio": "max_pruning_ratio",
}
# Fields that decide rates under a noise density and are one number in a problem.
RATE_FIELDS = (
    "scenario.bandwidth_hz",
    "scenario.snr_gap_db",
    "scenario.max_bps_hz",
    "scenario.waterfall_threshold",
)
MOST_ALLOCATIONS = 20_000_000  # points times draws; each takes about 50 bytes until the end
BATCH = 2_000_000  # clients in one call, which bounds the memory
MOST_CURVES = 10  # largest number of values of the second field for which breakpoints are found
States = Callable[[Experiment], "Draws"]
Cells = Callable[[Experiment], Problem]


@dataclass(frozen=True, eq=False)
class Sweep:
    """A scenario file's tables, the one or two fields to vary, and the number of channel draws.

    The draws are the same at every point of the grid (common random numbers). They are spread over
    `drops`, each with a seed of its own, as first rounds of a run: as many drops as draws if the
    channel draws anything once per run, else 1, whose rounds follow each other. A channel that
    starts over is drawn once through. Standard errors are over drops, or over the rounds of the
    only one.

    Attributes:
        tables: Section -> field -> value.
        axes: One or two fields with their values.
        draws: Number of channel draws at every point.
        drops: Number of drops; None for the default above.

    Raises:
        InputError: A field is unknown or given twice, a value is out of range, there
            are too many allocations for the memory, or the drops do not fit the channel or the
            draws.
    """

    tables: Tables
    axes: Sequence[Vary]
    draws: int = 100
    drops: int | None = None

    def __post_init__(self) -> None:
        if self.drops is not None:
            check_count("--drops", self.drops)
        check_count("--draws", self.draws)
        if len(self.axes) not in (1, 2):
            raise InputError(f"--vary must be given once or twice, got {len(self.axes)} times")
        if len({(axis.section, axis.si_field) for axis in self.axes}) < len(self.axes):
            raise InputError(
                f"--vary must name two different fields, got {self.axes[1].name} twice"
            )
        allocations = prod(axis.values.size for axis in self.axes) * self.draws
        if allocations > MOST_ALLOCATIONS:
            raise InputError(
                f"points times --draws must be at most {MOST_ALLOCATIONS}, got {allocations}"
            )
        for axis in self.axes:
            experiment = from_tables(axis.in_tables(self.tables, float(axis.values[0])))
            for value in axis.values:
                axis.of(experiment, float(value))
        self._check_drops()

    def _check_drops(self) -> None:
        if self.drops is None:
            return
        if self.drops > 1 and not self.has_drops:
            raise InputError(
                f"--drops must be 1: this channel draws nothing once a run, --draws says how many "
                f"rounds there are; got {self.drops}"
            )
        if self.draws % self.drops:
            raise InputError(
                f"--draws must be a multiple of --drops, {self.drops}, got {self.draws}"
            )

    @cached_property
    def has_drops(self) -> bool:
        """True if the channel draws anything once per run."""
        return has_drops(self.experiment)

    @cached_property
    def seeds(self) -> list[int]:
        """The seed of every drop."""
        usual = self.draws if self.has_drops else 1
        return drop_seeds(self.experiment.run.seed, self.drops or usual)

    @cached_property
    def rounds(self) -> int:
        """The number of rounds of each drop, at most one pass of a channel that starts over."""
        asked = self.draws // len(self.seeds)
        return min(asked, period(self.experiment) or asked)

    @property
    def sampled(self) -> int:
        """The number of draws at every point."""
        return len(self.seeds) * self.rounds

    @property
    def varies(self) -> str:
        """The source of the spread over draws, for a caption."""
        scenario = self.experiment.scenario
        stay = "; ranges and distributions of the scenario stay those of one seed"
        return self._varies + (stay if scenario.draws_values else "")

    @property
    def _varies(self) -> str:
        drops = len(self.seeds)
        rounds = self.rounds
        if drops > 1:
            each = "" if rounds == 1 else f" of {rounds} rounds"
            return (
                f"{drops} drops{each}: positions and all else that the channel draws once a run "
                "are drawn anew"
            )
        if self.has_drops:
            return (
                f"{rounds} rounds of one drop: positions and all else that the channel draws once "
                "a run stay, --drops draws them anew"
            )
        once = f" (all that there are, of {self.draws} asked for)" if rounds < self.draws else ""
        return f"{rounds} rounds in order{once}, correlated as they are"

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment at the first value of every field."""
        tables = self.tables
        for axis in self.axes:
            tables = axis.in_tables(tables, float(axis.values[0]))
        return from_tables(tables)

    def run(self) -> WhatIf:
        """The measures at every point of the grid, over all draws."""
        grid = np.meshgrid(*(axis.values for axis in self.axes), indexing="ij")
        points = np.stack([values.ravel() for values in grid], axis=-1)
        states = self._states()
        cell = _cells(self.experiment, states)
        measured = dict[str, Array]()
        for rows in self._batches(points):
            problem = _problem(self.experiment, self.axes, points[rows], cell)
            allocator = _at(self.experiment, self.axes, points[rows[0]]).allocator
            allocation = gate.solve(allocator, problem)
            found = measures(allocation) | self._planned(points[rows], allocation, states)
            for name, values in found.items():
                measured.setdefault(name, np.empty((len(points), self.sampled)))[rows] = values
        return WhatIf(
            axes={axis.name: axis.values for axis in self.axes},
            measured={
                name: self._per_drop(values.reshape(*grid[0].shape, -1))
                for name, values in measured.items()
            },
            consecutive=len(self.seeds) == 1,
        )

    def _planned(self, points: Array, allocation: Allocation, states: States) -> dict[str, Array]:
        """Measures of the cell at `points`, (P, draws) each."""
        demand = cache(partial(gate.first_demand, self.experiment.algorithm))
        names = ["bandwidth_fraction", "kept_fraction", "latency_s", "status", "bandwidth_price"]
        if allocation.cpu_hz is not None:
            names.append("cpu_hz")
        batch: dict[str, Any] = {name: np.asarray(getattr(allocation, name)) for name in names}
        found = []
        for row, point in enumerate(points):
            here = _at(self.experiment, self.axes, point)
            draws = states(here)
            rounds = {
                name: _of_all(values[row], draws.participates) for name, values in batch.items()
            }
            plan = Plan(participates=draws.participates, **rounds)
            asked = demand(here.scenario.clients)
            found.append(planned_measures(here.scenario, draws.channel, asked, plan))
        return {name: np.stack([each[name] for each in found]) for name in found[0]}

    def _per_drop(self, values: Array) -> Array:
        """The means of the drops, (*grid, drops); the rounds themselves of a single drop."""
        if len(self.seeds) == 1 or self.rounds == 1:
            return values
        return np.asarray(values.reshape(*values.shape[:-1], -1, self.rounds).mean(axis=-1))

    def breakpoints(self) -> dict[float | None, list[Breakpoint]]:
        """Changes of the mean channel's active set along the first field.

        Returns:
            Breakpoints by value of the second field (None without one); empty where the first field
            holds whole numbers, its values cannot share one call, or the second field has too many
            values.
        """
        first = self.axes[0]
        second = self.axes[1] if len(self.axes) > 1 else None
        others = [None] if second is None else [float(value) for value in second.values]
        whole = bool(first.choices) or isinstance(first.value_in(self.experiment), int)
        if whole or _splits(first, self._one(_mean)) or len(others) > MOST_CURVES:
            return {}
        found: dict[float | None, list[Breakpoint]] = {}
        for other in others:
            here = (
                self.experiment
                if second is None or other is None
                else second.of(self.experiment, other)
            )
            found[other] = breakpoints(_along(here, first), first.values, here.allocator)
        return found

    def _batches(self, points: Array) -> Iterator[NDArray[np.intp]]:
        """Rows of `points` with equal number of clients and allocator, as many as memory allows."""
        one = self._one(_mean)
        grouping = [column for column, axis in enumerate(self.axes) if _splits(axis, one)]
        groups, group_of = np.unique(points[:, grouping], axis=0, return_inverse=True)
        for group in range(len(groups)):
            rows = np.flatnonzero(group_of.ravel() == group)
            clients = _at(self.experiment, self.axes, points[rows[0]]).scenario.clients
            size = max(BATCH // (self.sampled * clients), 1)
            yield from (rows[start : start + size] for start in range(0, len(rows), size))

    def _one(self, states: States) -> Problem:
        return _cells(self.experiment, states)(self.experiment)

    def _states(self) -> States:
        """The draws of a channel, sampled once per value of the fields it depends on."""
        matters = [axis for axis in self.axes if _moves_channel(self.experiment, axis)]
        known: dict[tuple[Any, ...], Draws] = {}

        def states(experiment: Experiment) -> Draws:
            key = tuple(axis.value_in(experiment) for axis in matters)
            if key not in known:
                known[key] = _sampled(experiment, self.seeds, self.rounds)
            return known[key]

        return states


def _of_all(values: NDArray[Any], participates: NDArray[np.bool_]) -> NDArray[Any]:
    """Values of all clients, (D, K), from those of the participants, 0 or empty for the others."""
    if values.ndim == 1 or values.shape == participates.shape:
        return values
    found = np.zeros(participates.shape, dtype=values.dtype)
    found[participates] = values.ravel()
    return found


@dataclass(frozen=True, eq=False)
class Draws:
    """Channel and participants of some draws.

    Attributes:
        channel: Gains; (draws, K).
        participates: Mask of the participants; (draws, K).
    """

    channel: ChannelState
    participates: NDArray[np.bool_]


def _splits(axis: Vary, problem: Problem) -> bool:
    """True if problems at different values of the field cannot be solved in one call.

    The bandwidth in hertz decides the rates of a problem with noise density, and a problem has one
    band; with a given rate it only decides how missing band is reported.
    """
    other_allocator = axis.section == "allocation" and axis.name not in PER_POINT
    other_rate = axis.name in RATE_FIELDS and not isinstance(problem, AllocationProblem)
    several = bool(axis.choices) or axis.name == "scenario.clients"
    return several or other_allocator or other_rate


def _at(experiment: Experiment, axes: Sequence[Vary], point: Array) -> Experiment:
    for axis, value in zip(axes, point, strict=True):
        experiment = axis.of(experiment, float(value))
    return experiment


def _first(experiment: Experiment) -> Draws:
    """The first round of the experiment, one draw."""
    return _sampled(experiment, [experiment.run.seed], 1)


def _sampled(experiment: Experiment, seeds: Sequence[int], rounds: int) -> Draws:
    """Rounds 0 to `rounds` - 1 of the experiment under each seed."""
    states = [
        gate.sample(experiment.channel, experiment.scenario, Streams(seed, round))
        for seed in seeds
        for round in range(rounds)
    ]
    paths = [state.path_gain for state in states if state.path_gain is not None]
    seeded = [replace(experiment, run=replace(experiment.run, seed=seed)) for seed in seeds]
    participates = [participants(drop, round) for drop in seeded for round in range(rounds)]
    channel = ChannelState(
        gain=np.stack([state.gain for state in states]),
        believed_gain=np.stack([state.believed_gain for state in states]),
        path_gain=np.stack(paths) if paths else None,
        participants=experiment.run.participants,
    )
    return Draws(channel, np.stack(participates))


def _moves_channel(experiment: Experiment, axis: Vary) -> bool:
    """True if the first draw at any value of the field differs from that at its first value."""
    drawn = (_first(axis.of(experiment, float(value))).channel for value in axis.values)
    first = next(drawn)
    return not all(
        np.array_equal(first.gain, other.gain)
        and np.array_equal(first.believed_gain, other.believed_gain)
        for other in drawn
    )


def _problem(experiment: Experiment, axes: Sequence[Vary], points: Array, cell: Cells) -> Problem:
    """The problems at `points`, (P, axes), over all draws, of shape (P, draws, K).

    Only distinct cells are built.
    """
    building = [column for column, axis in enumerate(axes) if axis.name not in PER_POINT]
    _, first, cell_of = np.unique(
        points[:, building], axis=0, return_index=True, return_inverse=True
    )
    cells = [cell(_at(experiment, axes, point)) for point in points[first]]
    stacked: Any = merged(cells, lambda values: np.stack(values)[cell_of.ravel()])
    changes: dict[str, Any] = {}
    for column, axis in enumerate(axes):
        if axis.name in PER_POINT:
            changes[PER_POINT[axis.name]] = points[:, column, None, None]
    if len({built.bandwidth_hz for built in cells}) > 1:
        changes["bandwidth_hz"] = None
    return cast(Problem, replace(stacked, **changes))


def _cells(experiment: Experiment, states: States) -> Cells:
    """A function that maps an experiment to its problems, with one demand per number of clients."""
    demand = cache(partial(gate.first_demand, experiment.algorithm))

    def cell(here: Experiment) -> Problem:
        asked = demand(here.scenario.clients)
        draws = states(here)
        problem = allocation_problem(
            here.scenario, draws.channel, asked, here.max_pruning_ratio, weights(here)
        )
        return problem_of(problem, draws.participates)

    return cell


def _mean(experiment: Experiment) -> Draws:
    """The mean channel and the participants of the first round as the only draw."""
    streams = Streams(experiment.run.seed)
    gain = gate.mean_gain(experiment.channel, experiment.scenario, streams)[None, :]
    first = _first(experiment)
    channel = replace(first.channel, gain=gain, believed_gain=gain)
    return replace(first, channel=channel)


def _along(experiment: Experiment, axis: Vary) -> Callable[[Array], Problem]:
    """The problems of the mean channel over values of one field, (P, K)."""
    cell = _cells(experiment, _mean)

    def at(values: Array) -> Problem:
        problem = _problem(experiment, (axis,), values[:, None], cell)
        return merged([problem], lambda fields: fields[0][:, 0])

    return at
