"""One round of a state under each of its methods: allocation, prices, and the cell's events."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from studies.page.state import PageState
from studies.views.allocation.schemes import Scheme, plans
from studies.views.channel.channel import ChannelView, view_of
from studies.views.simulation.timeline import Timeline
from wirelessfl.border import gate
from wirelessfl.errors import InputError
from wirelessfl.rounds.one_round import check_finishes, simulate_round
from wirelessfl.values import Backlog, RoundTiming


@dataclass(frozen=True, eq=False)
class Cell:
    """The first round as simulated by its cell.

    Attributes:
        timing: Times and trace of the round.
        timeline: Its bars and marks.
        note: Reason for which the round cannot end; empty where it does.
    """

    timing: RoundTiming
    timeline: Timeline
    note: str


@dataclass(frozen=True, eq=False)
class PageAnswer:
    """The first round of a state.

    Attributes:
        state: The state.
        schemes: Method -> plan of the round.
    """

    state: PageState
    schemes: Mapping[str, Scheme]

    @classmethod
    def of(cls, state: PageState) -> "PageAnswer":
        """Plan the first round under each method of a state.

        Raises:
            InputError: A field is invalid, or a method refuses the problem.
        """
        return cls(state, plans(state.tables, state.methods))

    @property
    def first(self) -> Scheme:
        """The plan of the scenario's method."""
        return next(iter(self.schemes.values()))

    @property
    def clients(self) -> NDArray[np.intp]:
        """Participants of the round; (n,)."""
        return self.first.clients

    @property
    def deadline_s(self) -> float:
        """Deadline in s."""
        return self.first.experiment.scenario.deadline_s

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Method -> the round in its cell, with actual gains."""
        return {name: _cell(scheme) for name, scheme in self.schemes.items()}

    @cached_property
    def channel(self) -> ChannelView:
        """Positions, gains and signal-to-noise ratios of the clients."""
        return view_of(self.state.tables, rounds=1)


def _cell(scheme: Scheme) -> Cell:
    experiment = scheme.experiment
    clients = experiment.scenario.clients
    demand = gate.first_demand(experiment.algorithm, clients)
    _, planned, timing = simulate_round(experiment, demand, Backlog.none(clients), 0)
    note = ""
    try:
        check_finishes(experiment.scenario, planned, timing, 0)
    except InputError as error:
        note = str(error)
    return Cell(timing, Timeline.of(timing), note)
