"""Clients that a round does not serve, by scheme: columns and a note for every study."""

import numpy as np
from numpy.typing import NDArray

from studies.report.one_run.run import Run
from studies.report.results import Experiments, Runs, Sample, Table
from wirelessfl.experiment import Experiment
from wirelessfl.values import ON_TIME

COLUMNS = ("late_per_round", "infeasible_per_round", "left_out_per_round")
ROUNDING = 1e-12  # of a ratio at its cap


def with_unserved(table: Table, experiments: Experiments, runs: Runs) -> Table:
    """The table with the counts of `unserved` as its last columns, where any of them is above 0.

    Without these columns every client of every round was served.
    """
    counted = _counted(experiments, runs)
    if not _any(counted):
        return table
    label = table.columns[0]
    return Table(tuple({**row, **counted[str(row[label])]} for row in table.rows))


def unserved_note(experiments: Experiments, runs: Runs) -> str:
    """The same counts as a line for a figure; '' where every client of every round was served."""
    counted = _counted(experiments, runs)
    if not _any(counted):
        return ""
    by_label = "; ".join(
        f"{label}: " + " / ".join(f"{sample.mean:.3g}" for sample in cells.values())
        for label, cells in counted.items()
        if _any({label: cells})
    )
    return f"clients per round late / infeasible / left out (others 0): {by_label}"


def unserved(experiment: Experiment, run: Run) -> dict[str, float]:
    """Clients per round that are late, infeasible and `left out`, means over the rounds of a run.

    `late`: the update did not arrive by the deadline, apart from lost ones. `infeasible`: planned
    to be late although pruned to the cap, or pruned beyond it. `left out`: pruned completely, so
    that nothing is uploaded (starved, crowded out or excluded by a selection).

    Args:
        experiment: The experiment, for its deadline and its cap.
        run: The records.

    Returns:
        The counts by `COLUMNS`.
    """
    ratio = run.series("pruning_ratio")
    planned_s = run.series("planned_s")
    lost = run.series("lost") == 1
    delivered = run.series("delivered") == 1
    cap = experiment.max_pruning_ratio
    in_time = planned_s <= experiment.scenario.deadline_s * ON_TIME  # null: never
    over = (ratio > cap + ROUNDING) | ~in_time & (ratio >= cap - ROUNDING)
    counts = (~delivered & ~lost, over, ratio >= 1.0)
    return dict(zip(COLUMNS, map(_per_round, counts), strict=True))


def _per_round(clients: NDArray[np.bool_]) -> float:
    return float(clients.sum(axis=1).mean())


def _counted(experiments: Experiments, runs: Runs) -> dict[str, dict[str, Sample]]:
    """The counts of every label over its seeds."""
    found = {}
    for label, seeds in runs.items():
        pairs = zip(experiments[label], seeds, strict=True)
        counts = [unserved(experiment, run) for experiment, run in pairs]
        found[label] = {name: Sample(tuple(count[name] for count in counts)) for name in COLUMNS}
    return found


def _any(counted: dict[str, dict[str, Sample]]) -> bool:
    return any(sample.mean > 0 for cells in counted.values() for sample in cells.values())
