"""The front of deadline against kept model, over drops or rounds of the channel."""

from dataclasses import dataclass

import numpy as np

from optimizers import WhatIf
from studies.page.controls import front_deadlines
from studies.page.state import PageState
from studies.views.whatif.vary import Vary
from studies.views.whatif.whatif import Sweep
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.values import Array

POINTS = 25
DRAWS = 20
CLIENT_DRAWS = 2000  # clients times draws at each point, beyond which there are fewer draws
FEWEST_DRAWS = 4


@dataclass(frozen=True, eq=False)
class Front:
    """A what-if analysis over the deadline, for each method under the same draws.

    Attributes:
        result: Measures over the deadline, and over the methods where there are two.
        axes: The deadlines, and the methods where there are two.
        methods: Names of the methods.
        varies: Source of the spread, for a caption.
        draws: Number of draws at each point.
    """

    result: WhatIf
    axes: tuple[Vary, ...]
    methods: tuple[str, ...]
    varies: str
    draws: int

    def column(self, values: Array, method: int) -> Array:
        """Values of one method over the deadline, from those of the grid; (points,)."""
        return np.asarray(values.reshape(self.axes[0].values.size, -1)[:, method])

    def kept(self, method: int) -> tuple[Array, Array]:
        """Mean kept model of one method and its standard error, over the deadline; (points,)."""
        mean = 1.0 - self.result.mean("mean_ratio")
        error = self.result.standard_error("mean_ratio")
        return self.column(mean, method), self.column(error, method)


def front(state: PageState) -> Front:
    """Solve the rounds of many draws over the deadlines of the slider.

    Args:
        state: The state, whose own deadline has no effect.

    Returns:
        The measures of each method.

    Raises:
        InputError: A field is invalid, or a method refuses a problem.
    """
    low_s, high_s = front_deadlines(from_tables(state.base))
    spaced = np.linspace(low_s, high_s, POINTS)
    return _over(state, np.array([float(f"{value:.6g}") for value in spaced]))


def at_deadline(state: PageState) -> Front:
    """Solve the same draws at the deadline of the state alone.

    Args:
        state: The state.

    Returns:
        The measures of each method, at one point.

    Raises:
        InputError: As `front`.
    """
    return _over(state, np.array([state.experiment.scenario.deadline_s]))


def _over(state: PageState, deadlines_s: Array) -> Front:
    axes = [Vary("scenario", "deadline_s", deadlines_s)]
    methods = state.methods
    if len(methods) > 1:
        indices = np.arange(len(methods), dtype=np.float64)
        axes.append(Vary("allocation", "method", indices, methods))
    draws = min(DRAWS, max(FEWEST_DRAWS, CLIENT_DRAWS // state.experiment.scenario.clients))
    sweep = Sweep(state.tables, tuple(axes), draws)
    return Front(sweep.run(), tuple(axes), methods, sweep.varies, sweep.sampled)
