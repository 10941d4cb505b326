"""[WFL] Fig. 2: loss and accuracy under fixed pruning ratios, on MNIST and Fashion-MNIST."""

from typing import Any

from studies.papers.wfl._wfl import learning_cells, over_schemes
from studies.report.claims import TEN_CLASSES, beyond_chance, decreasing, increasing
from studies.report.curves import COLOURS, draw_curves, legend_below, panels
from studies.report.results import Claim, Runs, Table, over_seeds
from wirelessfl.config.scenario_file import Tables
from wirelessfl.experiment import Experiment

RATIOS = (0.0, 0.2, 0.4, 0.6, 0.8)
DATASETS = {"MNIST": "mnist", "Fashion-MNIST": "fashion-mnist"}


def _label(dataset: str, ratio: float) -> str:
    return f"{dataset}, ratio {ratio:g}"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Every ratio on both data sets, on equal bands; the deadline has no effect."""
    schemes: dict[str, Tables] = {
        _label(dataset, ratio): {
            "allocation": {"method": "fixed-ratio", "pruning_ratio": ratio},
            "training": {"dataset": plugin},
        }
        for dataset, plugin in DATASETS.items()
        for ratio in RATIOS
    }
    return over_schemes(schemes, scale)


def table(runs: Runs) -> Table:
    """Training loss and test accuracy at the end of the runs; the paper prints only curves."""
    return Table(
        tuple(
            {"setting": label, "paper": None, **learning_cells(seeds)}
            for label, seeds in runs.items()
        )
    )


def _claims(dataset: str) -> tuple[Claim, Claim]:
    labels = [_label(dataset, ratio) for ratio in RATIOS]
    return (
        Claim(
            f"{dataset}: the training loss rises with the pruning ratio", increasing("loss", labels)
        ),
        Claim(
            f"{dataset}: the test accuracy falls as the pruning ratio rises",
            beyond_chance(decreasing("accuracy", labels), "accuracy", labels, TEN_CLASSES),
        ),
    )


CLAIMS = tuple(claim for dataset in DATASETS for claim in _claims(dataset))


def figure(runs: Runs, figure: Any) -> None:
    """(a), (b) loss over the rounds per ratio; (c) final accuracy over the ratio."""
    *loss_axes, accuracy_axes = panels(figure, 3)
    for axes, letter, dataset in zip(loss_axes, "ab", DATASETS, strict=True):
        chosen = {f"ratio {ratio:g}": runs[_label(dataset, ratio)] for ratio in RATIOS}
        draw_curves(axes, chosen, "loss", f"({letter}) {dataset}")
    for index, dataset in enumerate(DATASETS):
        accuracy = [
            over_seeds(runs[_label(dataset, ratio)], lambda run: run.final_accuracy)
            for ratio in RATIOS
        ]
        accuracy_axes.errorbar(
            RATIOS,
            [sample.mean for sample in accuracy],
            yerr=[sample.standard_error for sample in accuracy],
            marker="os"[index],
            color=COLOURS[index],
            capsize=3,
            label=dataset,
        )
    accuracy_axes.set(
        xlabel="pruning ratio", ylabel="test accuracy", title="(c) final accuracy", xticks=RATIOS
    )
    accuracy_axes.grid(alpha=0.3)
    accuracy_axes.legend(fontsize="small")
    legend_below(figure, loss_axes[0])
