"""[CA-HFP] Fig. 4: accuracy over the pruning ratio for the four pruning schemes."""

from typing import Any

from studies.papers.ca_hfp._ca_hfp import CA_HFP, FEDAVG, FIGURES, PRUNING, costs, planned, scheme
from studies.report.claims import Check, averaged, compare
from studies.report.curves import COLOURS, LINES, legend_below, panels
from studies.report.results import Claim, Runs, Sample, Table, Verdict
from studies.report.summaries import accuracy_columns
from wirelessfl.experiment import Experiment

ALPHAS = (0.1, 1.0)
RATIOS = (0.25, 0.5, 0.75, 0.9)
OTHERS = tuple(name for name in PRUNING if name != CA_HFP)


def label_of(alpha: float, ratio: float, name: str) -> str:
    """A row of the table."""
    return f"alpha {alpha:g}, {ratio:.0%}: {name}"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Every scheme at every ratio, and FedAvg; those at 50 % are the runs of Table I."""
    setting = FIGURES[scale]
    rows = [(alpha, 0.0, FEDAVG) for alpha in ALPHAS]
    rows += [(alpha, ratio, name) for alpha in ALPHAS for ratio in RATIOS for name in PRUNING]
    return {
        label_of(alpha, ratio, name): planned(setting, alpha, scheme(name, setting, ratio))
        for alpha, ratio, name in rows
    }


def table(runs: Runs) -> Table:
    """Accuracy and costs."""
    return Table(
        tuple(
            {"alpha, ratio: scheme": label, **accuracy_columns(seeds), **costs(seeds)}
            for label, seeds in runs.items()
        )
    )


def _over_ratios(table: Table, alpha: float, name: str) -> Sample:
    return averaged(table, "accuracy", [label_of(alpha, ratio, name) for ratio in RATIOS])


def _ahead(alpha: float, lower: str) -> Check:
    def check(table: Table) -> Verdict:
        verdict = compare(_over_ratios(table, alpha, CA_HFP), _over_ratios(table, alpha, lower))
        leads = {ratio: _lead(table, alpha, ratio, lower) for ratio in RATIOS}
        figures = ", ".join(f"{ratio:.0%}: {lead.mean:+.3f}" for ratio, lead in leads.items())
        return Verdict.of(leads.values(), f"leads {figures}; mean over ratios {verdict.figures}")

    return check


def _lead(table: Table, alpha: float, ratio: float, lower: str) -> Sample:
    return table.sample(label_of(alpha, ratio, CA_HFP), "accuracy") - table.sample(
        label_of(alpha, ratio, lower), "accuracy"
    )


def _gap_grows(alpha: float) -> Check:
    """Check that the lead over the mean of the others is larger at the largest ratio."""

    def check(table: Table) -> Verdict:
        leads = [
            table.sample(label_of(alpha, ratio, CA_HFP), "accuracy")
            - averaged(table, "accuracy", [label_of(alpha, ratio, name) for name in OTHERS])
            for ratio in (RATIOS[-1], RATIOS[0])
        ]
        verdict = compare(*leads)
        return verdict.with_figures(
            f"lead at {RATIOS[-1]:.0%} against {RATIOS[0]:.0%}: {verdict.figures}"
        )

    return check


CLAIMS = (
    *(
        Claim(
            f"With alpha {alpha:g}, CA-HFP is more accurate than {name} at every ratio",
            _ahead(alpha, name),
        )
        for alpha in ALPHAS
        for name in OTHERS
    ),
    *(
        Claim(f"With alpha {alpha:g}, its lead grows with the ratio", _gap_grows(alpha))
        for alpha in ALPHAS
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy over the ratio of filters, one panel per alpha; FedAvg prunes nothing."""
    found = table(runs)
    axes = panels(figure, len(ALPHAS))
    for panel, alpha, letter in zip(axes, ALPHAS, "ab", strict=True):
        dense = found.sample(label_of(alpha, 0.0, FEDAVG), "accuracy")
        panel.axhline(dense.mean, color="black", linewidth=1, linestyle=":", label=FEDAVG)
        for index, name in enumerate(PRUNING):
            samples = [found.sample(label_of(alpha, ratio, name), "accuracy") for ratio in RATIOS]
            panel.errorbar(
                RATIOS,
                [sample.mean for sample in samples],
                yerr=[sample.standard_error for sample in samples],
                color=COLOURS[index],
                linestyle=LINES[index],
                marker="o",
                markersize=4,
                capsize=3,
                label=name,
            )
        panel.set_xticks(RATIOS, [f"{ratio:.0%}" for ratio in RATIOS])
        panel.set(
            xlabel="filters pruned",
            ylabel="test accuracy, last ten rounds",
            title=f"({letter}) alpha {alpha:g}",
        )
        panel.grid(alpha=0.3)
    legend_below(figure, axes[0])
