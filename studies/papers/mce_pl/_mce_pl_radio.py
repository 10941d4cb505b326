"""MCE-PL in the peer-to-peer cell: agents, radio, deadlines and ways to their retention ratios."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.papers.mce_pl._mce_pl import FIGURE_LABELS, MCE_PL, SETTINGS, heterogeneous, planned
from studies.report.results import Run
from wirelessfl.config.scenario_file import Tables, from_tables, merge, to_tables
from wirelessfl.experiment import Experiment
from wirelessfl.planning import plan

SHORT = "short deadline"
MIDDLE = "middle deadline"
LONG = "long deadline"
# Those at which the allocated ratios have the mean of the paper's list, one half, and four fifths.
DEADLINES_S = {
    "small": {SHORT: 0.01, MIDDLE: 0.0129, LONG: 0.0168},
    "paper": {SHORT: 0.172, MIDDLE: 0.214, LONG: 0.27},
}
# for each agent: all masks are on the air for about as long as an agent trains that keeps a half
BANDWIDTH_HZ = 2e6
CPU_HZ = 3e9  # of who keeps most in the list
CAP = 0.95

EQUAL_BANDS, BALANCED, RING = (
    f"{SHORT}, {what}" for what in ("equal bands", "one ratio, best bands", "ring")
)
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
METHODS = {
    EQUAL_BANDS: "equal",
    BALANCED: "max-min",
}  # else as many agents as fit, and the best ratios among them


def variants(scale: str) -> dict[str, list[Experiment]]:
    """Ratios from the allocation in every iteration, and ratios that are given, under the same
    fading.
    """
    own = heterogeneous(scale, MCE_PL)
    mean = round(float(np.mean(SETTINGS[scale].ratios)), 4)
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
    lists = [
        {**fields, "keep_ratios": _listed(experiment)} for experiment in found[MIDDLE_HALF]
    ]  # one a seed
    return found | {ONCE: [_planned(scale, each, ONCE)[place] for place, each in enumerate(lists)]}


def _listed(experiment: Experiment) -> list[float]:
    """The ratios that the allocation of `experiment` leaves where every agent has its mean gain."""
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
            "bandwidth_hz": BANDWIDTH_HZ * SETTINGS[scale].agents,
            "cpu_hz": list(_cpu_hz(scale)),
        },
        "channel": {"model": "peer-to-peer"} | ({"graph": "ring"} if label == RING else {}),
        "allocation": {**allocation, **({} if fixed else {"max_pruning_ratio": CAP})},
    }
    return planned(scale, FIGURE_LABELS[scale], training, cell)


@cache
def _cpu_hz(scale: str) -> tuple[float, ...]:
    """Clocks in proportion to what the paper's list leaves of the network."""
    listed = planned(scale, FIGURE_LABELS[scale], heterogeneous(scale, MCE_PL))[0]
    work = listed.algorithm.demand(SETTINGS[scale].agents).fixed_updates
    return tuple(np.round(CPU_HZ * work / work.max(), -3).tolist())


def retention(run: Run) -> NDArray[np.float64]:
    """r_i of every iteration, (rounds, K): as given, or what the allocation left; 0 for who sat
    out.
    """
    ratio = run.series("pruning_ratio")
    algorithm: Any = run.experiment.algorithm
    kept: NDArray[np.float64] = (1.0 - ratio) * np.array(algorithm.keep.ratios(ratio.shape[1]))
    return kept
