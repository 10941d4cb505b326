"""[CA-HFP] Table II: scores that select the filters, and the benefit of reconstruction."""

from itertools import product
from typing import Any

import numpy as np

from studies.papers.ca_hfp._ca_hfp import FIGURES, SETTINGS, LearningSetup, costs, planned
from studies.report.claims import Check, averaged, compare
from studies.report.curves import COLOURS, panels
from studies.report.results import Claim, Runs, Table, Verdict
from studies.report.summaries import accuracy_columns
from wirelessfl.experiment import Experiment

SCORES = {"l1": "l1", "delta-w": "delta", "curvature": "curvature"}
MEANS = {"reconstruction": "residual", "mean over holders": "holders", "zeros": "zero-fill"}
# Half of the clients prune 50 % and half 75 % of the filters: under the uniform 50 % whose sizes
# Table I prints, one score gives all clients the same filters, and the mean over holders is the
# reconstruction.
RANK = "rank-2"
ALPHAS = {"small": (0.1, 1.0), "paper": (0.1, 1.0, 10.0)}
# "l1" with reconstruction is FedMP, for which Table I prints other figures, 76.87 in place of 86.81
# ([CA-HFP] erratum C12). Columns: CIFAR-10 with alpha 0.1, 1 and 10, then CIFAR-100. The paper does
# not define its "w/o" rows further.
PAPER = {
    ("l1", "reconstruction"): (54.83, 86.81, 88.69, 45.96, 46.23, 49.11),
    ("l1", "mean over holders"): (54.74, 84.34, 84.55, 44.14, 45.94, 46.91),
    ("delta-w", "reconstruction"): (54.89, 80.16, 85.79, 46.21, 49.13, 50.31),
    ("curvature", "reconstruction"): (73.12, 90.15, 91.50, 56.27, 61.30, 61.71),
    ("curvature", "mean over holders"): (62.84, 88.96, 90.37, 33.44, 44.24, 45.93),
}


def settings(scale: str) -> list[LearningSetup]:
    """VGG16 on CIFAR-10 and CIFAR-100; the small CNN."""
    return list(SETTINGS["paper"][1:3]) if scale == "paper" else [FIGURES["small"]]


def label_of(setting: str, score: str, mean: str) -> str:
    """A row of the table."""
    return f"{setting}: {score}, {mean}"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Three scores, each with three ways to average models of different filters."""
    return {
        label_of(setting.label(alpha), score, mean): planned(
            setting,
            alpha,
            {"training": {"ratios": RANK, "score": SCORES[score], "reconstruct": MEANS[mean]}},
        )
        for setting, alpha in product(settings(scale), ALPHAS[scale])
        for score, mean in product(SCORES, MEANS)
    }


def _printed() -> dict[str, float]:
    columns = [
        setting.label(alpha) for setting, alpha in product(settings("paper"), ALPHAS["paper"])
    ]
    return {
        label_of(column, *variant): figure / 100
        for variant, row in PAPER.items()
        for column, figure in zip(columns, row, strict=True)
    }


def table(runs: Runs) -> Table:
    """Accuracy (last ten rounds, and best), and a client's traffic and computation in a round."""
    printed = _printed()
    return Table(
        tuple(
            {
                "setting: score, mean": label,
                "paper_accuracy": printed.get(label),
                **accuracy_columns(seeds),
                **costs(seeds),
            }
            for label, seeds in runs.items()
        )
    )


def settings_of(table: Table) -> list[str]:
    """The settings that have rows in a table, the smallest alpha first."""
    return list(dict.fromkeys(str(row[table.columns[0]]).rpartition(": ")[0] for row in table.rows))


def _compared(better: tuple[str, str], worse: tuple[str, str]) -> Check:
    """Check that variant `better` is above `worse` in the mean over settings."""

    def check(table: Table) -> Verdict:
        places = settings_of(table)
        first, second = (
            averaged(table, "accuracy", [label_of(place, *variant) for place in places])
            for variant in (better, worse)
        )
        verdict = compare(first, second)
        return verdict.with_figures(
            f"{' with '.join(better)} against {' with '.join(worse)}: {verdict.figures}",
        )

    return check


def _most_at_the_strongest_skew(table: Table) -> Verdict:
    gains = {
        place: table.sample(label_of(place, "curvature", "reconstruction"), "accuracy")
        - table.sample(label_of(place, "curvature", "mean over holders"), "accuracy")
        for place in settings_of(table)
    }
    largest = max(gains, key=lambda place: gains[place].mean)
    return Verdict(
        largest.endswith("alpha 0.1"),
        ", ".join(f"{place}: {gain}" for place, gain in gains.items()),
    )


CLAIMS = (
    *(
        Claim(
            f"With the score {score}, reconstruction is more accurate than the {mean}".replace(
                "the zeros", "zeros"
            ),
            _compared((score, "reconstruction"), (score, mean)),
        )
        for score, mean in product(SCORES, ("mean over holders", "zeros"))
    ),
    Claim(
        "Reconstruction helps most under the strongest skew, alpha 0.1", _most_at_the_strongest_skew
    ),
    *(
        Claim(
            f"With reconstruction, curvature is more accurate than {score}",
            _compared(("curvature", "reconstruction"), (score, "reconstruction")),
        )
        for score in ("l1", "delta-w")
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """One panel per setting: accuracy by score, one bar per way to average."""
    found = table(runs)
    places = settings_of(found)
    axes = panels(figure, len(places))
    width = 0.8 / len(MEANS)
    for panel, place in zip(axes, places, strict=True):
        for index, mean in enumerate(MEANS):
            samples = [found.sample(label_of(place, score, mean), "accuracy") for score in SCORES]
            heights = [sample.mean for sample in samples]
            errors = [sample.standard_error for sample in samples]
            at = np.arange(len(SCORES)) + (index - 0.5 * (len(MEANS) - 1)) * width
            panel.bar(at, heights, width, yerr=errors, color=COLOURS[index], capsize=2, label=mean)
        panel.set_xticks(range(len(SCORES)), list(SCORES))
        panel.set(title=place, ylabel="test accuracy, last ten rounds", ylim=(0, 1))
        panel.title.set_fontsize("small")
        panel.grid(alpha=0.3, axis="y")
        panel.set_axisbelow(True)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(MEANS), fontsize="small")
