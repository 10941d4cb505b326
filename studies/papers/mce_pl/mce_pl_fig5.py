"""[MCE-PL] Fig. 5: accuracy over traffic, three labels per agent.

The paper compares LotteryDSGD that keeps 0.3 with MCE-PL that keeps 0.5 ([MCE-PL] erratum M11);
here both are drawn with both ratios.

All claims hold at small scale, where schemes that average weights have learnt little after 60
iterations; only against LotteryDSGD with both keeping 0.3 is the lead of MCE-PL beyond chance.
"""

from typing import Any

from studies.papers.mce_pl._mce_pl import (
    DSGD,
    DSGDPROX,
    LAST_EVALUATIONS,
    LOTTERY,
    MCE_PL,
    costs,
    draw_over_traffic,
    planned,
    sent_until,
)
from studies.papers.mce_pl.mce_pl_table1 import schemes
from studies.report.claims import Check, above, highest, lowest
from studies.report.curves import legend_below, panels
from studies.report.results import Claim, Runs, Sample, Table, Verdict
from studies.report.summaries import accuracy_columns, common_accuracy
from wirelessfl.experiment import Experiment

LABELS = 3
LOTTERY_3 = f"{LOTTERY} (0.3)"
LOTTERY_5 = f"{LOTTERY} (0.5)"
MCE_3 = f"{MCE_PL} (0.3)"
MCE_5 = f"{MCE_PL} (0.5)"
SHOWN = (LOTTERY_3, LOTTERY_5, DSGD, DSGDPROX, MCE_3, MCE_5)
AS_PRINTED = (LOTTERY_3, DSGD, DSGDPROX, MCE_5)
LESS = 10.0  # "far less traffic"; 32 bits against 1 make it 32 where nothing is pruned


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Runs of Table I with three labels."""
    found = schemes(scale)
    return {name: planned(scale, LABELS, found[name]) for name in SHOWN}


def table(runs: Runs) -> Table:
    """Accuracy, traffic, and the megabytes until the accuracy that all schemes reach."""
    targets = common_accuracy(runs.values(), LAST_EVALUATIONS)
    return Table(
        tuple(
            {
                "scheme": name,
                **accuracy_columns(seeds, LAST_EVALUATIONS),
                **costs(seeds),
                "to_common_accuracy_mb": Sample(tuple(map(sent_until, seeds, targets))),
            }
            for name, seeds in runs.items()
        )
    )


def _highest(mine: str, others: tuple[str, ...]) -> Check:
    return lambda table: highest(table, "accuracy", mine, [name for name in others if name != mine])


def _far_less(table: Table) -> Verdict:
    least = min(SHOWN[:4], key=lambda name: table.sample(name, "total_unicast_mb").mean)
    rival, mine = (table.sample(name, "total_unicast_mb") for name in (least, MCE_5))
    times = rival.mean / mine.mean
    return Verdict.of(
        [rival - mine.scaled(LESS)],
        f"{least}: {rival.mean:.4g} MB, {MCE_5}: {mine.mean:.4g} MB, {times:.1f} times",
    )


CLAIMS = (
    Claim(
        "MCE-PL that keeps 0.5 ends highest of what the paper draws", _highest(MCE_5, AS_PRINTED)
    ),
    Claim("MCE-PL sends less than a tenth of what any other sends", _far_less, kind="arithmetic"),
    Claim(
        "MCE-PL is at the accuracy that all reach with the least traffic",
        lambda table: lowest(table, "to_common_accuracy_mb", MCE_5, AS_PRINTED[:-1]),
    ),
    Claim(
        "MCE-PL is more accurate than LotteryDSGD, both keeping 0.3",
        above("accuracy", MCE_3, LOTTERY_3),
    ),
    Claim(
        "MCE-PL is more accurate than LotteryDSGD, both keeping 0.5",
        above("accuracy", MCE_5, LOTTERY_5),
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) the schemes of the paper's figure, (b) equal retention."""
    first, second = panels(figure, 2)
    draw_over_traffic(
        first, {name: runs[name] for name in AS_PRINTED}, "(a) as in the paper", SHOWN
    )
    draw_over_traffic(second, {name: runs[name] for name in SHOWN}, "(b) equal retention")
    legend_below(figure, second)
