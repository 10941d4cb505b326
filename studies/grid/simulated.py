"""Simulations over a grid: channel, allocation and cell without training or run folders."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from studies.grid.measures import radio_measures
from studies.grid.points import Point
from studies.grid.result import SweepResult
from studies.report.one_run.run import Run
from studies.views.simulation.simulation import simulate
from wirelessfl.config.axis import Axis
from wirelessfl.values import RoundRecord


def simulate_grid(
    axes: Sequence[Axis],
    points: Sequence[Point],
    on_round: Callable[[], None] = lambda: None,
) -> SweepResult:
    """Simulate all seeds of all points in this process.

    Args:
        axes: The varied fields.
        points: The points of the grid.
        on_round: Called after every round.

    Returns:
        The measures of cell and radio.

    Raises:
        InputError: A point cannot start, or a client never finishes.
    """
    found = []
    for point in points:
        seeds = []
        for experiment in point.experiments:
            records: list[dict[str, Any]] = []

            def keep(record: RoundRecord, records: list[dict[str, Any]] = records) -> None:
                records.append(asdict(record))
                on_round()

            simulate(experiment, on_round=keep)
            seeds.append(radio_measures(experiment, Run(records)))
        found.append(tuple(seeds))
    return SweepResult(tuple(axes), tuple(points), tuple(found), ())
