"""[CA-HFP] Fig. 5: communication and computation of a whole training over the pruning ratio."""

from typing import Any

from studies.papers.ca_hfp._ca_hfp import CA_HFP, FEDAVG, FIGURES, PRUNING, planned, scheme
from studies.report.claims import Check, decreasing
from studies.report.curves import COLOURS, LINES, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Table, Verdict, over_seeds
from studies.report.summaries import accuracy_columns
from wirelessfl.experiment import Experiment

ALPHA = 1.0
RATIOS = (0.25, 0.5, 0.75, 0.9)
SAME = 1e-9  # CA-HFP and FedMP send the same shapes


def label_of(ratio: float, name: str) -> str:
    """A row of the table."""
    return f"{ratio:.0%}: {name}"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """The runs of Fig. 4 with alpha 1."""
    setting = FIGURES[scale]
    rows = [(0.0, FEDAVG), *((ratio, name) for ratio in RATIOS for name in PRUNING)]
    return {
        label_of(ratio, name): planned(setting, ALPHA, scheme(name, setting, ratio))
        for ratio, name in rows
    }


def _bits(run: Run) -> float:
    return float((run.series("uplink_bits") + run.series("downlink_bits")).sum())


def table(runs: Runs) -> Table:
    """Gigabits up and down and TFLOPs of all clients over all rounds, and the accuracy."""
    return Table(
        tuple(
            {
                "ratio: scheme": label,
                "gigabits": over_seeds(seeds, lambda run: _bits(run) / 1e9),
                "tflop": over_seeds(seeds, lambda run: float(run.series("flops").sum() / 1e12)),
                **accuracy_columns(seeds),
            }
            for label, seeds in runs.items()
        )
    )


def _lowest(column: str) -> Check:
    """Check that no scheme costs less than CA-HFP at the same ratio."""

    def check(table: Table) -> Verdict:
        lower = []
        for ratio in RATIOS:
            means = {name: table.sample(label_of(ratio, name), column).mean for name in PRUNING}
            lower += [
                f"{name} at {ratio:.0%}: {mean:.4g} against {means[CA_HFP]:.4g}"
                for name, mean in means.items()
                if mean < means[CA_HFP] * (1 - SAME)
            ]
        return Verdict(
            not lower, "lower: " + ", ".join(lower) if lower else "none is lower at any ratio"
        )

    return check


ROWS = tuple(label_of(ratio, CA_HFP) for ratio in RATIOS)
CLAIMS = (
    Claim(
        "CA-HFP's communication falls with the ratio",
        decreasing("gigabits", ROWS),
        kind="arithmetic",
    ),
    Claim(
        "CA-HFP's computation falls with the ratio", decreasing("tflop", ROWS), kind="arithmetic"
    ),
    Claim(
        "No other scheme communicates less at the same ratio (FedMP as much)",
        _lowest("gigabits"),
        kind="arithmetic",
    ),
    Claim(
        "No other scheme computes less at the same ratio (FedMP as much)",
        _lowest("tflop"),
        kind="arithmetic",
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) communication and (b) computation over the ratio of filters; FedAvg prunes nothing."""
    found = table(runs)
    axes = panels(figure, 2)
    shown = (
        ("gigabits", "gigabits up and down", "(a) communication"),
        ("tflop", "TFLOP", "(b) computation"),
    )
    for panel, (column, axis, title) in zip(axes, shown, strict=True):
        dense = found.sample(label_of(0.0, FEDAVG), column).mean
        panel.axhline(dense, color="black", linewidth=1, linestyle=":", label=FEDAVG)
        for index, name in enumerate(PRUNING):
            means = [found.sample(label_of(ratio, name), column).mean for ratio in RATIOS]
            # Decreasing sizes, so that markers of equal cost remain visible inside each other.
            size = 3 + 2 * (len(PRUNING) - index)
            style = {
                "color": COLOURS[index],
                "linestyle": LINES[index],
                "marker": "o",
                "markersize": size,
            }
            panel.plot(RATIOS, means, **style, label=name)
        panel.set_xticks(RATIOS, [f"{ratio:.0%}" for ratio in RATIOS])
        panel.set(xlabel="filters pruned", ylabel=axis, title=title, ylim=(0, None))
        panel.grid(alpha=0.3)
    legend_below(figure, axes[0])
