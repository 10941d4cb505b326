"""Run all points of a grid in this process; the command line runs them in worker processes."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from studies.grid.points import grid
from studies.grid.result import SweepResult
from studies.runner.processes import worker_processes
from studies.runner.sweep import run_all
from wirelessfl.config.axis import Axis
from wirelessfl.config.scenario_file import Tables


def run_grid(
    tables: Tables,
    vary: Mapping[str, Any],
    *,
    seeds: int,
    zipped: bool,
    to_accuracy: float | None,
    out: Path,
    jobs: int,
    data_root: Path | None,
) -> tuple[SweepResult, Sequence[str]]:
    """Run a grid until it is complete; see `studies.api.sweep` for the arguments.

    Returns:
        The result, and one line per failed run.
    """
    axes = [Axis.of(name, values) for name, values in vary.items()]
    points = grid(tables, axes, seeds=seeds, zipped=zipped)
    experiments = [experiment for point in points for experiment in point.experiments]
    failures: list[str] = []
    workers = ThreadPoolExecutor(1) if jobs == 1 else worker_processes(jobs)
    with workers as executor:
        run_all(
            experiments,
            out,
            executor=executor,
            jobs=jobs,
            data_root=data_root,
            on_failure=lambda path, error: failures.append(f"{path}: {error}"),
        )
    return SweepResult.read(axes, points, out, to_accuracy), failures
