"""[MCE-PL] Table I: accuracy where all agents keep the same fraction, by labels of an agent."""

from typing import Any

import numpy as np

from studies.papers.mce_pl._mce_pl import (
    DSGD,
    DSGDPROX,
    FL,
    IND_MASK,
    LABELS,
    LAST_EVALUATIONS,
    LOTTERY,
    MCE_PL,
    costs,
    homogeneous,
    labels_of,
    planned,
    row,
)
from studies.report.claims import Check, all_of, compare, decreasing, highest
from studies.report.curves import COLOURS, panels
from studies.report.results import Claim, Runs, Table, Verdict
from studies.report.summaries import accuracy_columns
from wirelessfl.experiment import Experiment

DENSE = (DSGD, FL, DSGDPROX)
SPARSE = (LOTTERY, IND_MASK, MCE_PL)
KEEP_RATIOS = (0.3, 0.5)
PAPER = {  # 3, 4 and 5 labels
    "DSGD": (0.6218, 0.5811, 0.5660),
    "FL": (0.6112, 0.6097, 0.6072),
    "DSGDProx": (0.7550, 0.6863, 0.6143),
    "LotteryDSGD (0.3)": (0.6687, 0.6212, 0.5755),
    "LotteryDSGD (0.5)": (0.5612, 0.6686, 0.5217),
    "ind-mask (0.3)": (0.7092, 0.6520, 0.5876),
    "ind-mask (0.5)": (0.6934, 0.6740, 0.5922),
    "MCE-PL (0.3)": (0.7498, 0.6951, 0.6048),
    "MCE-PL (0.5)": (0.7603, 0.6943, 0.6244),
}


def schemes(scale: str) -> dict[str, dict[str, Any]]:
    """The rows of Table I with their fields of section training; retention ratios in brackets."""
    whole = {name: homogeneous(scale, name) for name in DENSE}
    return whole | {
        f"{name} ({keep:g})": homogeneous(scale, name, keep)
        for name in SPARSE
        for keep in KEEP_RATIOS
    }


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Nine schemes with three, four and five labels per agent (small: three and five)."""
    return {
        row(labels, name): planned(scale, labels, training)
        for labels in LABELS[scale]
        for name, training in schemes(scale).items()
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
                "paper_accuracy_20_agents": printed[label],
                **accuracy_columns(seeds, LAST_EVALUATIONS),
                **costs(seeds),
            }
            for label, seeds in runs.items()
        )
    )


def _first(keep: float) -> Check:
    """MCE-PL is above all others at every number of labels."""
    mine = f"{MCE_PL} ({keep:g})"

    def check(table: Table) -> Verdict:
        verdicts = [
            highest(
                table,
                "accuracy",
                row(labels, mine),
                [row(labels, name) for name in (*DENSE, *_sparse(keep))],
            )
            for labels in labels_of(table)
        ]
        return all_of(verdicts)

    return check


def _sparse(keep: float) -> list[str]:
    return [f"{name} ({keep:g})" for name in SPARSE if name != MCE_PL]


def _above(higher: str, lower: str) -> Check:
    """Check that one row is above another at every number of labels."""

    def check(table: Table) -> Verdict:
        verdicts = []
        for labels in labels_of(table):
            verdict = compare(
                *(table.sample(row(labels, name), "accuracy") for name in (higher, lower))
            )
            verdicts.append(verdict.with_figures(f"{labels} labels: {verdict.figures}"))
        return all_of(verdicts)

    return check


def _falls(name: str) -> Check:
    return lambda table: decreasing("accuracy", [row(labels, name) for labels in labels_of(table)])(
        table
    )


CLAIMS = (
    *(
        Claim(
            f"MCE-PL that keeps {keep:g} is more accurate than the dense schemes "
            "and the others that keep as much",
            _first(keep),
        )
        for keep in KEEP_RATIOS
    ),
    *(
        Claim(
            f"MCE-PL is more accurate than ind-mask, both keeping {keep:g}",
            _above(f"{MCE_PL} ({keep:g})", f"{IND_MASK} ({keep:g})"),
        )
        for keep in KEEP_RATIOS
    ),
    *(
        Claim(
            f"ind-mask that keeps {keep:g} is more accurate than DSGD",
            _above(f"{IND_MASK} ({keep:g})", DSGD),
        )
        for keep in KEEP_RATIOS
    ),
    *(
        Claim(f"The more labels an agent has, the less accurate is {name}", _falls(name))
        for name in ("MCE-PL (0.3)", "MCE-PL (0.5)", "ind-mask (0.3)", DSGD)
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy of the nine schemes, one panel per number of labels."""
    found = table(runs)
    places = labels_of(found)
    axes = panels(figure, len(places))
    for panel, labels in zip(axes, places, strict=True):
        samples = {name: found.sample(row(labels, name), "accuracy") for name in PAPER}
        at = np.arange(len(samples))
        heights = [sample.mean for sample in samples.values()]
        errors = [sample.standard_error for sample in samples.values()]
        colours = [COLOURS[0]] * 3 + [COLOURS[1]] * 2 + [COLOURS[4]] * 2 + [COLOURS[2]] * 2
        panel.barh(at, heights, xerr=errors, color=colours, capsize=2)
        panel.set_yticks(at, list(samples), fontsize="small")
        panel.invert_yaxis()
        panel.set(
            title=f"{labels} labels per agent",
            xlabel="test accuracy, last evaluations",
            xlim=(0, 1),
        )
        panel.grid(alpha=0.3, axis="x")
        panel.set_axisbelow(True)
