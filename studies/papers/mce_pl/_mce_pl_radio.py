"""MCE-PL in the peer-to-peer cell: radio, deadlines and sources of the retention ratios."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.papers.mce_pl._mce_pl import (
    FIGURE_LABELS,
    MCE_PL,
    PAPER_SCALES,
    heterogeneous,
    planned,
)
from studies.report.one_run.run import Run
from wirelessfl.config.scenario_file import Tables, from_tables, merge, to_tables
from wirelessfl.experiment import Experiment
from wirelessfl.planning import plan

SHORT = "short deadline"
MIDDLE = "middle deadline"
LONG = "long deadline"
# Deadlines at which the mean of the allocated ratios is that of the paper's list, 1/2, and 4/5.
DEADLINES_S = {
    "small": {SHORT: 0.01, MIDDLE: 0.0129, LONG: 0.0168},
    "paper": {SHORT: 0.172, MIDDLE: 0.214, LONG: 0.27},
}
# Per agent: all masks are transmitted in about the training time of an agent that keeps a half.
BANDWIDTH_HZ = 2e6
CPU_HZ = 3e9  # of the agents that keep most in the list
CAP = 0.95

EQUAL_BANDS = f"{SHORT}, equal bands"
BALANCED = f"{SHORT}, one ratio, best bands"
RING = f"{SHORT}, ring"
SHORT_HALF = f"{SHORT}, at most a half"
MIDDLE_HALF = f"{MIDDLE}, at most a half"
ONCE = "list from the allocation, waits"
AT_MOST_HALF = {SHORT_HALF: SHORT, MIDDLE_HALF: MIDDLE}
LIST = "paper's list, waits"
ONE = "its mean for all, waits"
HALF = "a half for all, waits"
DEADLINES = (SHORT, MIDDLE, LONG)
ALLOCATED = (*DEADLINES, *AT_MOST_HALF, EQUAL_BANDS, BALANCED, RING)
GIVEN = (LIST, ONE, HALF, ONCE)
# Allocators other than "select", which takes as many agents as fit with the best ratios.
METHODS = {EQUAL_BANDS: "equal", BALANCED: "max-min"}


def variants(scale: str) -> dict[str, list[Experiment]]:
    """Ratios from the allocation of every iteration, and fixed ratios, under the same fading.

    Args:
        scale: A key of `DEADLINES_S`.

    Returns:
        Label -> one experiment per seed.
    """
    own = heterogeneous(scale, MCE_PL)
    mean = round(float(np.mean(PAPER_SCALES[scale].ratios)), 4)
    fields = {name: value for name, value in own.items() if name != "keep_ratios"}
    given = {LIST: own, ONE: {**fields, "keep_ratio": mean}, HALF: {**fields, "keep_ratio": 0.5}}
    more: dict[str, dict[str, Any]] = {
        RING: {"graph": "ring"},
        **{label: {"keep_at_most": 0.5} for label in AT_MOST_HALF},
    }
    allocated = {
        label: {**fields, "retention": "allocation", **more.get(label, {})} for label in ALLOCATED
    }
    found = {label: _planned(scale, each, label) for label, each in {**allocated, **given}.items()}
    per_seed = [{**fields, "keep_ratios": _listed(one)} for one in found[MIDDLE_HALF]]
    once = [_planned(scale, each, ONCE)[place] for place, each in enumerate(per_seed)]
    return found | {ONCE: once}


def _listed(experiment: Experiment) -> list[float]:
    """The ratios that the allocation of `experiment` leaves when every agent has its mean gain."""
    mean = from_tables(merge(to_tables(experiment), {"channel": {"csi": "mean"}}))
    algorithm: Any = mean.algorithm
    clients = mean.scenario.clients
    kept = 1.0 - plan(mean, algorithm.demand(clients)).allocation.pruning_ratio
    listed: list[float] = np.round(kept * np.array(algorithm.keep.ratios(clients)), 4).tolist()
    return listed


def _planned(scale: str, training: dict[str, Any], label: str) -> list[Experiment]:
    fixed = label in GIVEN
    allocation = {"method": "min-latency"} if fixed else {"method": METHODS.get(label, "select")}
    cell: Tables = {
        "scenario": {
            "deadline_s": DEADLINES_S[scale].get(
                AT_MOST_HALF.get(label, label), DEADLINES_S[scale][SHORT]
            ),
            "bandwidth_hz": BANDWIDTH_HZ * PAPER_SCALES[scale].agents,
            "cpu_hz": list(_cpu_hz(scale)),
        },
        "channel": {"model": "peer-to-peer"} | ({"graph": "ring"} if label == RING else {}),
        "allocation": {**allocation, **({} if fixed else {"max_pruning_ratio": CAP})},
    }
    return planned(scale, FIGURE_LABELS[scale], training, cell)


@cache
def _cpu_hz(scale: str) -> tuple[float, ...]:
    """CPU frequencies in proportion to the work that the paper's list leaves."""
    listed = planned(scale, FIGURE_LABELS[scale], heterogeneous(scale, MCE_PL))[0]
    work = listed.algorithm.demand(PAPER_SCALES[scale].agents).fixed_updates
    return tuple(np.round(CPU_HZ * work / work.max(), -3).tolist())


def retention(run: Run) -> NDArray[np.float64]:
    """The retention ratio of every iteration.

    Args:
        run: A complete run.

    Returns:
        r_i as given or as the allocation left it, (rounds, K); 0 for agents that do not
        participate.
    """
    ratio = run.series("pruning_ratio")
    algorithm: Any = run.experiment.algorithm
    kept: NDArray[np.float64] = (1.0 - ratio) * np.array(algorithm.keep.ratios(ratio.shape[1]))
    return kept
