"""[CA-HFP] Fig. 6: completion time and accuracy by rank.

Ranks pair slow devices with large ratios.
"""

from functools import cache
from typing import Any

import numpy as np

from channel_models.static import Static
from studies.papers.ca_hfp._ca_hfp import (
    CA_HFP,
    DAPPERFL,
    FEDAVG,
    FEDMP,
    FIGURES,
    PRUNEFL,
    PRUNING,
    LearningSetup,
    kept_fraction,
    planned,
    prunefl,
)
from studies.report.claims import Check, highest, lowest
from studies.report.curves import COLOURS, panels
from studies.report.results import Claim, Runs, Table, over_seeds
from studies.report.summaries import accuracy_columns, common_accuracy, until_accuracy
from wirelessfl.config.scenario_file import Tables
from wirelessfl.experiment import Experiment
from wirelessfl.radio.snr_and_rate import shannon_rate_bps, snr
from wirelessfl.rng import Streams
from wirelessfl.scenario.scenario import Scenario

RATIOS = {
    "rank 0": (0.25, 0.0),
    "rank 1": (0.25, 0.5),
    "rank 2": (0.5, 0.75),
    "rank 3": (0.75, 0.9),
}
# The class of a device is its speed and rate relative to the fastest; the paper has no time model.
CLASSES = {0.0: 1.0, 0.25: 0.75, 0.5: 0.5, 0.75: 0.25, 0.9: 0.1}
# Algorithms that take a ratio for each client.
RANKED = {FEDMP: "fedmp", DAPPERFL: "dapperfl", CA_HFP: "ca-hfp"}
SCHEMES = (FEDAVG, *PRUNING)
# The fastest class.
CPU_HZ = 3e9
DISTANCE_M = 300.0
POWER_W = 0.631
DOWNLINK_BPS = 100e6


def label_of(rank: str, name: str) -> str:
    """A row of the table."""
    return f"{rank}: {name}"


@cache
def cell(rank: str) -> Tables:
    """Ten clients on equal bands without fading, with clocks and rates by class.

    Rates follow from the transmit powers: log2(1 + h p / sigma^2) is the class times its value at
    full power.

    Args:
        rank: A key of `RATIOS`.

    Returns:
        The sections of the experiment.
    """
    first, second = RATIOS[rank]
    classes = np.repeat([CLASSES[first], CLASSES[second]], 5)
    scenario = Scenario(distance_m=DISTANCE_M, transmit_power_w=POWER_W)
    gain = Static().mean_gain(scenario, Streams(0))
    efficiency = shannon_rate_bps(1.0, snr(gain, POWER_W, scenario.noise_power_w))
    power_w = (np.exp2(classes * efficiency) - 1.0) * scenario.noise_power_w / gain
    return {
        "scenario": {
            "clients": 10,
            "distance_m": DISTANCE_M,
            "cpu_hz": (CPU_HZ * classes).tolist(),
            "transmit_power_w": power_w.tolist(),
            "downlink_rate_bps": (DOWNLINK_BPS * classes).tolist(),
        },
        "channel": {"model": "static"},
        "allocation": {"method": "fixed-ratio"},
    }


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Five schemes at four ranks."""
    setting = FIGURES[scale]
    return {
        label_of(rank, name): planned(
            setting, 1.0, {**cell(rank), "training": training(name, rank, setting)}
        )
        for rank in RATIOS
        for name in SCHEMES
    }


def training(name: str, rank: str, setting: LearningSetup) -> dict[str, Any]:
    """The fields of a scheme at a rank.

    FedAvg prunes nothing and has the devices of a rank only. PruneFL has one mask for all clients,
    independent of ranks: it keeps as many weights as the sub-models of a rank have in the mean over
    clients.

    Args:
        name: One of `SCHEMES`.
        rank: A key of `RATIOS`.
        setting: Network and data set.

    Returns:
        The changed fields of section training.
    """
    if name == FEDAVG:
        return {"algorithm": "fedavg"}
    if name == PRUNEFL:
        fractions = [kept_fraction(setting, ratio) for ratio in RATIOS[rank]]
        return prunefl(setting, round(float(np.mean(fractions)), 4))
    return {"algorithm": RANKED[name], "ratios": rank.replace(" ", "-")}


def table(runs: Runs) -> Table:
    """Accuracy, seconds of a round, and until the accuracy that all schemes of a rank reach."""
    rows = {}
    for rank in RATIOS:
        shown = {name: runs[label_of(rank, name)] for name in SCHEMES}
        targets = common_accuracy(shown.values())
        for name, seeds in shown.items():
            rows[label_of(rank, name)] = {
                **accuracy_columns(seeds),
                "round_s": over_seeds(seeds, lambda run: float(run.series("round_s").mean())),
                "completion_s": until_accuracy(seeds, targets, "clock_s"),
                "gflop": over_seeds(seeds, lambda run: float(run.series("flops").mean() / 1e9)),
                "thousands_up": over_seeds(
                    seeds, lambda run: float(run.series("uplink_bits").mean() / 32e3)
                ),
            }
    return Table(tuple({"rank: scheme": label, **rows[label]} for label in runs))


def _shortest(rank: str) -> Check:
    others = [label_of(rank, name) for name in SCHEMES if name != CA_HFP]
    return lambda table: lowest(table, "completion_s", label_of(rank, CA_HFP), others)


def _highest(rank: str) -> Check:
    others = [label_of(rank, name) for name in PRUNING if name != CA_HFP]
    return lambda table: highest(table, "accuracy", label_of(rank, CA_HFP), others)


CLAIMS = (
    *(
        Claim(f"At {rank}, CA-HFP is the first at the accuracy that all reach", _shortest(rank))
        for rank in RATIOS
    ),
    *(
        Claim(f"At {rank}, CA-HFP is the most accurate of the schemes that prune", _highest(rank))
        for rank in RATIOS
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) completion time and (b) accuracy, bars by rank."""
    found = table(runs)
    axes = panels(figure, 2)
    shown = (
        ("completion_s", "seconds to the accuracy that all reach", "(a) completion time"),
        ("accuracy", "test accuracy, last ten rounds", "(b) accuracy"),
    )
    width = 0.8 / len(SCHEMES)
    for panel, (column, axis, title) in zip(axes, shown, strict=True):
        for index, name in enumerate(SCHEMES):
            samples = [found.sample(label_of(rank, name), column) for rank in RATIOS]
            at = np.arange(len(RATIOS)) + (index - 0.5 * (len(SCHEMES) - 1)) * width
            heights = [sample.mean for sample in samples]
            errors = [sample.standard_error for sample in samples]
            panel.bar(at, heights, width, yerr=errors, color=COLOURS[index], capsize=2, label=name)
        panel.set_xticks(range(len(RATIOS)), list(RATIOS))
        panel.set(ylabel=axis, title=title)
        panel.grid(alpha=0.3, axis="y")
        panel.set_axisbelow(True)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(SCHEMES), fontsize="small")
