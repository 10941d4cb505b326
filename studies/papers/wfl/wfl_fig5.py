"""[WFL] Fig. 5: the proposed scheme under thresholds of 15 to 30 ms, on Fashion-MNIST."""

from typing import Any

from studies.papers.wfl._wfl import learning_cells, over_schemes
from studies.report.claims import decreasing, increasing
from studies.report.curves import COLOURS, draw_curves, legend_below, panels
from studies.report.results import Claim, Runs, Table, Verdict
from studies.report.summaries import common_accuracy, until_accuracy
from wirelessfl.config.scenario_file import Tables
from wirelessfl.experiment import Experiment

THRESHOLDS_MS = (15, 20, 25, 30)
LABELS = tuple(f"{milliseconds} ms" for milliseconds in THRESHOLDS_MS)
SCENARIO_S_RATIO = (0.79, 0.69, 0.58, 0.47)  # calibrated; the paper prints only a curve


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """The proposed scheme, once per threshold."""
    schemes: dict[str, Tables] = {
        label: {"scenario": {"deadline_s": milliseconds / 1e3}}
        for label, milliseconds in zip(LABELS, THRESHOLDS_MS, strict=True)
    }
    return over_schemes(schemes, scale)


def table(runs: Runs) -> Table:
    """Final loss, accuracy and ratio, and the rounds until the common accuracy."""
    targets = common_accuracy(runs.values(), last=1)
    return Table(
        tuple(
            {
                "threshold": label,
                "paper": None,
                **learning_cells(seeds),
                "rounds_to_common_accuracy": until_accuracy(seeds, targets),
            }
            for label, seeds in runs.items()
        )
    )


def _expected_ratios(table: Table) -> Verdict:
    means = [table.sample(label, "mean_ratio").mean for label in LABELS]
    holds = all(
        abs(mean - expected) <= 0.02 for mean, expected in zip(means, SCENARIO_S_RATIO, strict=True)
    )
    return Verdict(
        holds, ", ".join(f"{label}: {mean:.3f}" for label, mean in zip(LABELS, means, strict=True))
    )


CLAIMS = (
    Claim("A larger threshold gives a lower training loss", decreasing("loss", LABELS)),
    Claim("A larger threshold gives a higher test accuracy", increasing("accuracy", LABELS)),
    Claim(
        "A larger threshold needs fewer rounds to the same accuracy",
        decreasing("rounds_to_common_accuracy", LABELS),
    ),
    Claim(
        "The optimal pruning ratio falls as the threshold grows",
        decreasing("mean_ratio", LABELS),
        kind="by construction",
    ),
    Claim(
        "The mean ratios are those of our calibration (not printed in the paper): "
        "0.79, 0.69, 0.58, 0.47 within 0.02",
        _expected_ratios,
        kind="calibrated",
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) loss, (b) accuracy, (c) mean pruning ratio over the threshold."""
    axes = panels(figure, 3)
    draw_curves(axes[0], runs, "loss", "(a) loss")
    draw_curves(axes[1], runs, "accuracy", "(b) accuracy")
    ratios = [learning_cells(runs[label])["mean_ratio"] for label in LABELS]
    axes[2].errorbar(
        THRESHOLDS_MS,
        [ratio.mean for ratio in ratios],
        yerr=[ratio.standard_error for ratio in ratios],
        marker="o",
        color=COLOURS[0],
        capsize=3,
    )
    axes[2].set(
        xlabel="latency threshold (ms)",
        ylabel="mean pruning ratio",
        title="(c) optimal ratio",
        ylim=(0, 1),
    )
    axes[2].set_xticks(THRESHOLDS_MS)
    axes[2].grid(alpha=0.3)
    legend_below(figure, axes[0])
