"""CA-HFP under a deadline: ratios from the KKT allocation against fixed, equal and common ratios.

This study extends the papers: [CA-HFP] fixes the ratios by rank, whatever the channel; [WFL]
allocates them, but to weights. Here the allocated ratio is a fraction of bits and cycles, and every
client gets the largest sub-model that fits both.
"""

from typing import Any

from studies.papers.ca_hfp._ca_hfp import FIGURES, THREE_SEEDS, costs, planned
from studies.report.claims import Check, above, averaged, compare, within
from studies.report.curves import draw_over_time, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Sample, Table, Verdict, over_seeds
from studies.report.summaries import accuracy_columns, common_accuracy, until_accuracy
from wirelessfl.config.scenario_file import Tables, merge
from wirelessfl.experiment import Experiment

ALLOCATED = "KKT: own ratios, best bands"
EQUAL_BANDS = "own ratios, equal bands"
UNIFORM = "uniform ratio, equal bands"
RANKS = "rank 1, equal bands"
RANKS_SELECTED = "rank 1, as many as fit"
DENSE = "FedAvg, waits for all"
ALPHA = 1.0
# 42 % of the duration of a dense round on the best bands at the mean channel, so that the
# allocation prunes about half.
DEADLINE_S = {"small": 0.15, "paper": 45.0}
CAP = 0.95

# Rank 1 sends 41 % of the CNN's weights, about as much as the allocated ratios do.
VARIANTS: dict[str, Tables] = {
    ALLOCATED: {"allocation": {"method": "exact", "max_pruning_ratio": CAP}},
    EQUAL_BANDS: {"allocation": {"method": "equal", "max_pruning_ratio": CAP}},
    UNIFORM: {"allocation": {"method": "equal-common", "max_pruning_ratio": CAP}},
    RANKS: {"allocation": {"method": "fixed-ratio"}, "training": {"ratios": "rank-1"}},
    RANKS_SELECTED: {"allocation": {"method": "select"}, "training": {"ratios": "rank-1"}},
    DENSE: {"scenario": {"deadline_policy": "wait"}, "training": {"algorithm": "fedavg"}},
}


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """All variants under the same Rayleigh fading.

    Late updates are dropped, except for FedAvg, which waits.
    """
    cell: Tables = {"scenario": {"deadline_s": DEADLINE_S[scale], "deadline_policy": "drop"}}
    return {
        label: planned(FIGURES[scale], ALPHA, merge(cell, changes), THREE_SEEDS)
        for label, changes in VARIANTS.items()
    }


def _arrived(run: Run, label: str) -> Any:
    """Bits of the updates that entered the aggregation, (rounds, K)."""
    return run.series("uplink_bits") * (1.0 if label == DENSE else run.series("delivered"))


def table(runs: Runs) -> Table:
    """Accuracy, missed client-rounds, delivered fraction of dense bits, seconds and costs."""
    targets = common_accuracy(runs.values())
    rows = {}
    for label, seeds in runs.items():
        arrived = [_arrived(run, label) for run in seeds]
        dense = [full.series("uplink_bits").sum() for full in runs[DENSE]]
        fractions = [float(bits.sum() / total) for bits, total in zip(arrived, dense, strict=True)]
        rows[label] = {
            **accuracy_columns(seeds),
            "missed": Sample(tuple(float((bits == 0).mean()) for bits in arrived)),
            "arrived_share": Sample(tuple(fractions)),
            "mean_ratio": over_seeds(seeds, lambda run: float(run.series("pruning_ratio").mean())),
            "round_s": over_seeds(seeds, lambda run: float(run.series("round_s").mean())),
            **costs(seeds),
            "to_common_accuracy_s": until_accuracy(seeds, targets, "clock_s"),
        }
    return Table(tuple({"variant": label, **row} for label, row in rows.items()))


def _never_misses(table: Table) -> Verdict:
    worst = max(max(table.sample(label, "missed").values) for label in (ALLOCATED, EQUAL_BANDS))
    return Verdict(worst == 0.0, f"largest share of client-rounds without an update: {worst:.4g}")


def _sooner(slower: str) -> Check:
    return above("to_common_accuracy_s", slower, ALLOCATED)


def _lead_of_own_ratios(table: Table) -> Verdict:
    own, fixed = (
        averaged(table, "accuracy", labels)
        for labels in ((ALLOCATED, EQUAL_BANDS), (UNIFORM, RANKS))
    )
    return compare(own, fixed)


CLAIMS = (
    Claim(
        "Ratios allocated to each client never miss the deadline",
        _never_misses,
        kind="by construction",
    ),
    Claim(
        "The allocated ratios are neither 0 nor 1",
        within("mean_ratio", ALLOCATED, 0.3, 0.8),
        kind="calibrated",
    ),
    Claim(
        "One ratio for all on equal bands misses deadlines", within("missed", UNIFORM, 0.05, 1.0)
    ),
    Claim("Fixed ranks on equal bands miss deadlines", within("missed", RANKS, 0.05, 1.0)),
    Claim(
        "The best bands prune less than equal ones",
        above("mean_ratio", EQUAL_BANDS, ALLOCATED),
        kind="by construction",
    ),
    Claim(
        "KKT allocation is more accurate than one ratio for all",
        above("accuracy", ALLOCATED, UNIFORM),
    ),
    Claim(
        "KKT allocation is more accurate than fixed ranks on equal bands",
        above("accuracy", ALLOCATED, RANKS),
    ),
    Claim(
        "It is more accurate than fixed ranks of whom as many as fit",
        above("accuracy", ALLOCATED, RANKS_SELECTED),
    ),
    Claim(
        "It is more accurate than own ratios on equal bands",
        above("accuracy", ALLOCATED, EQUAL_BANDS),
    ),
    Claim(
        "Own ratios, on any bands, are more accurate than fixed or common ones", _lead_of_own_ratios
    ),
    Claim("KKT allocation is sooner than FedAvg at the accuracy that all reach", _sooner(DENSE)),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) accuracy over simulated seconds; (b) client-rounds without an update and what arrived."""
    axes = panels(figure, 2)
    figure.set_size_inches(9.6, 4.2)
    draw_over_time(axes[0], runs, "accuracy", "(a) accuracy")
    deadline_end = max(
        float(run.series("clock_s")[-1]) for label in runs if label != DENSE for run in runs[label]
    )
    axes[0].set_xlim(0, 1.05 * deadline_end)
    found = table(runs)
    places = range(len(runs))
    shown = (
        ("missed", "client-rounds without an update", "#D55E00"),
        ("arrived_share", "share of bits that arrived", "#0072B2"),
    )
    for offset, (column, name, colour) in zip((-0.2, 0.2), shown, strict=True):
        samples = [found.sample(label, column) for label in runs]
        at = [place + offset for place in places]
        means = [sample.mean for sample in samples]
        errors = [sample.standard_error for sample in samples]
        axes[1].barh(at, means, 0.38, xerr=errors, color=colour, capsize=2, label=name)
    axes[1].set_yticks(list(places), list(runs), fontsize="small")
    axes[1].invert_yaxis()
    axes[1].set(title="(b) missed and delivered updates", xlim=(0, 1.05))
    axes[1].grid(alpha=0.3, axis="x")
    axes[1].set_axisbelow(True)
    axes[1].legend(fontsize="x-small", loc="upper right")
    legend_below(figure, axes[0])
