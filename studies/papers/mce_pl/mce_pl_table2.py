"""[MCE-PL] Table II: accuracy under different retention ratios, and the effect of Fil.

The official code cuts filters of at most 20 ones in ind-mask and not in MCE-PL; here both are run
without Fil and with it, so that they are compared at equal settings and equal retention.

At small scale MCE-PL, ind-mask and ind-weipru cannot be distinguished beyond chance, so the order
of the first three is not shown; nor does the lead over ind-mask grow with the labels. That
averaging costs accuracy holds, avr-weipru most: after 60 iterations the averaged models have barely
begun to learn. Fil costs both mask methods about 0.05.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from studies.papers.mce_pl._mce_pl import (
    AVR_WEIPRU,
    DIS_PFL,
    FIGURE_LABELS,
    IND_MASK,
    IND_WEIPRU,
    LABELS,
    LAST_EVALUATIONS,
    MASKS,
    MCE_PL,
    PAR_WEIPRU,
    costs,
    heterogeneous,
    labels_of,
    planned,
    row,
)
from studies.report.claims import Check, averaged, compare
from studies.report.curves import COLOURS, panels
from studies.report.results import Claim, Runs, Table, Verdict
from studies.report.summaries import accuracy_columns
from wirelessfl.experiment import Experiment

FILTERED = 20  # ones at which the official code cuts a filter
SCHEMES = (MCE_PL, IND_MASK, IND_WEIPRU, AVR_WEIPRU, PAR_WEIPRU, DIS_PFL)
PAPER = {  # 3, 4 and 5 labels
    MCE_PL: (0.7088, 0.6451, 0.5759),
    IND_MASK: (0.6808, 0.6140, 0.5413),
    IND_WEIPRU: (0.6239, 0.5484, 0.4813),
    AVR_WEIPRU: (0.5515, 0.5187, 0.4564),
    PAR_WEIPRU: (0.6068, 0.5251, 0.4643),
    DIS_PFL: (0.5742, 0.5609, 0.5617),
}


def with_fil(name: str) -> str:
    """The name of a scheme with Fil."""
    return f"{name}, Fil {FILTERED}"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Six schemes with three, four and five labels per agent (small: three and five).

    Two of them also run with Fil at one number of labels.
    """
    plain = {
        row(labels, name): planned(scale, labels, heterogeneous(scale, name))
        for labels in LABELS[scale]
        for name in SCHEMES
    }
    labels = FIGURE_LABELS[scale]
    return plain | {
        row(labels, with_fil(name)): planned(
            scale, labels, {**heterogeneous(scale, name), "filter_threshold": FILTERED}
        )
        for name in MASKS
    }


def table(runs: Runs) -> Table:
    """Accuracy (last evaluations, and best) and traffic."""
    printed = {
        row(labels, name): figures[labels - 3]
        for name, figures in PAPER.items()
        for labels in (3, 4, 5)
    }
    return Table(
        tuple(
            {
                "labels: scheme": label,
                "paper_accuracy_20_agents": printed.get(label),
                **accuracy_columns(seeds, LAST_EVALUATIONS),
                **costs(seeds),
            }
            for label, seeds in runs.items()
        )
    )


def _above(higher: str, lower: str) -> Check:
    """Check that one scheme is above another in the mean over numbers of labels."""

    def check(table: Table) -> Verdict:
        places = labels_of(table)
        means = [
            averaged(table, "accuracy", [row(labels, name) for labels in places])
            for name in (higher, lower)
        ]
        verdict = compare(*means)
        each = ", ".join(
            f"{labels} labels: {_gap(table, labels, higher, lower)}" for labels in places
        )
        return verdict.with_figures(f"{verdict.figures}; {each}")

    return check


def _gap(table: Table, labels: int, higher: str, lower: str) -> Any:
    return table.sample(row(labels, higher), "accuracy") - table.sample(
        row(labels, lower), "accuracy"
    )


def _above_with_fil(table: Table) -> Verdict:
    labels = _filtered_at(table)
    return compare(*(table.sample(row(labels, with_fil(name)), "accuracy") for name in MASKS))


def _filtered_at(table: Table) -> int:
    found = {str(cells[table.columns[0]]) for cells in table.rows}
    return next(labels for labels in labels_of(table) if row(labels, with_fil(MCE_PL)) in found)


def _margin_grows(table: Table) -> Verdict:
    fewest, *_, most = labels_of(table)
    return compare(*(_gap(table, labels, MCE_PL, IND_MASK) for labels in (most, fewest)))


ORDER = (MCE_PL, IND_MASK, IND_WEIPRU, PAR_WEIPRU, AVR_WEIPRU)
CLAIMS = (
    *(
        Claim(f"{higher} is more accurate than {lower}", _above(higher, lower))
        for higher, lower in pairwise(ORDER)
    ),
    Claim("MCE-PL is more accurate than Dis-PFL", _above(MCE_PL, DIS_PFL)),
    Claim("The margin of MCE-PL over ind-mask grows with the labels of an agent", _margin_grows),
    Claim(
        "MCE-PL is more accurate than ind-mask where both cut filters of 20 ones", _above_with_fil
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy of the schemes, one panel per number of labels."""
    found = table(runs)
    places = labels_of(found)
    axes = panels(figure, len(places))
    for panel, labels in zip(axes, places, strict=True):
        names = [name for name in (*SCHEMES, *map(with_fil, MASKS)) if row(labels, name) in runs]
        samples = [found.sample(row(labels, name), "accuracy") for name in names]
        at = np.arange(len(names))
        colours = [
            COLOURS[2 if name.startswith(MCE_PL) else 4 if name.startswith(IND_MASK) else 0]
            for name in names
        ]
        errors = [sample.standard_error for sample in samples]
        panel.barh(at, [sample.mean for sample in samples], xerr=errors, color=colours, capsize=2)
        panel.set_yticks(at, names, fontsize="small")
        panel.invert_yaxis()
        panel.set(
            title=f"{labels} labels per agent",
            xlabel="test accuracy, last evaluations",
            xlim=(0, 1),
        )
        panel.grid(alpha=0.3, axis="x")
        panel.set_axisbelow(True)
