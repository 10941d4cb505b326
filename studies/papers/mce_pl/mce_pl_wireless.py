"""MCE-PL under a deadline: retention ratios from the allocation, the paper's list, or one for all.

This study extends the paper: [MCE-PL] gives its ratios and says that they should come from "an
optimization problem that considers latency or load balancing". Here agents multicast their masks in
the peer-to-peer cell. A mask has the same number of bits whatever it keeps, and its rate is that of
the neighbour with the worst channel; the retention ratio decides the training time. So the
allocation gives agents with weak links more band and the rest of the deadline to training; where
not all masks fit before the deadline, the largest number that fits is sent and the other agents do
not participate.

CPU frequencies follow the paper's list: without a radio all agents would train for the same time.
The round waits for all agents, since a late agent has trained and only its message would be lost: a
list that does not fit the channel takes longer rounds.

The allocation maximises retention, but a mask that keeps everything has nothing to learn. The first
runs showed this cost; the variants of at most a half, and the claims about them, were added
afterwards. So was the list that is allocated once, at the middle deadline and mean gains, and then
kept: agents whose ratios follow the fading are evaluated with the mask of their last iteration.

At small scale the network behaves as expected: no deadline is missed, retention grows with the
deadline and when fewer neighbours must receive, iterations with fixed ratios are longer. Learning
does not follow: in the same simulated time ratios from the allocation are no better than the
paper's list or its mean for all, since agents that are left 0.05 or 0.95 in an iteration are poor
in it. At most a half at the middle deadline recovers most of that (0.36 for 0.30), and a list that
is allocated once equals a half for all within the resolution of two seeds. Best bands keep no more
than equal ones do, because they include agents that equal bands exclude.
"""

from typing import Any

import numpy as np

from studies.papers.mce_pl._mce_pl import LAST_EVALUATIONS
from studies.papers.mce_pl._mce_pl_radio import (
    ALLOCATED,
    BALANCED,
    DEADLINES,
    EQUAL_BANDS,
    GIVEN,
    HALF,
    LIST,
    LONG,
    MIDDLE,
    MIDDLE_HALF,
    ONCE,
    ONE,
    RING,
    SHORT,
    SHORT_HALF,
    retention,
    variants,
)
from studies.report.claims import Check, above, difference_within, increasing, within
from studies.report.curves import COLOURS, LINES, draw_over_time, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Cell, Claim, Runs, Sample, Table, Verdict, over_seeds
from studies.report.summaries import accuracy_columns, common_accuracy, until_accuracy
from wirelessfl.experiment import Experiment
from wirelessfl.values import ON_TIME

TIE = 0.03  # accuracies that differ by less are as good


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Ratios from the allocation of every iteration, and fixed ratios, under the same fading."""
    return variants(scale)


def table(runs: Runs) -> Table:
    """Accuracy after equal iterations and equal time, retention, seconds, and bits of a mask.

    `accuracy_in_time` is the mean over the last third of the duration of the short deadline's run.
    """
    targets = common_accuracy(runs.values(), LAST_EVALUATIONS)
    budgets = [float(run.series("clock_s")[-1]) for run in runs[SHORT]]
    rows: list[dict[str, Cell]] = []
    for label, seeds in runs.items():
        kept = [retention(run) for run in seeds]
        in_time = [_accuracy_by(run, budget) for run, budget in zip(seeds, budgets, strict=True)]
        rows.append(
            {
                "variant": label,
                **accuracy_columns(seeds, LAST_EVALUATIONS),
                "accuracy_in_time": Sample(tuple(in_time)),
                "mean_retention": Sample(tuple(float(each.mean()) for each in kept)),
                "least_retention": Sample(tuple(float(each.mean(axis=0).min()) for each in kept)),
                "sat_out": over_seeds(
                    seeds, lambda run: float((run.series("uplink_bits") == 0).mean())
                ),
                "late": over_seeds(seeds, _late),
                "round_ms": over_seeds(
                    seeds, lambda run: 1e3 * float(run.series("round_s").mean())
                ),
                "kilobit_a_mask": over_seeds(seeds, _kilobit),
                "to_common_accuracy_s": until_accuracy(seeds, targets, "clock_s"),
            }
        )
    return Table(tuple(rows))


def _accuracy_by(run: Run, budget_s: float) -> float:
    """The mean over the last third of `budget_s`, interpolated between the evaluations."""
    found = run.series("accuracy")
    evaluated = ~np.isnan(found)
    moments = np.linspace(2 / 3, 1.0, 101) * budget_s
    return float(np.interp(moments, run.series("clock_s")[evaluated], found[evaluated]).mean())


def _kilobit(run: Run) -> float:
    """Bits of a message in thousands, mean over the messages sent."""
    bits = run.series("uplink_bits")
    return float(bits[bits > 0].mean() / 1e3)


def _late(run: Run) -> float:
    """The fraction of messages that arrive after the deadline."""
    sent = run.series("uplink_bits") > 0
    return float(np.mean(run.series("delivered")[sent] == 0))


def _one_size(table: Table) -> Verdict:
    found = [table.sample(label, "kilobit_a_mask").mean for label in (*ALLOCATED, *GIVEN)]
    return Verdict(max(found) <= min(found) * ON_TIME, f"{min(found):.6g} to {max(found):.6g} kbit")


def _on_time(table: Table) -> Verdict:
    worst = max(max(table.sample(label, "late").values) for label in ALLOCATED)
    return Verdict(
        worst == 0.0, f"largest share of iterations in which an agent is late: {worst:.4g}"
    )


def _same_mean(table: Table) -> Verdict:
    own, listed = (table.sample(label, "mean_retention") for label in (SHORT, LIST))
    apart = own - listed
    return Verdict.of([apart.scaled(sign, 0.02) for sign in (1.0, -1.0)], f"{own} against {listed}")


def _as_good(label: str, other: str) -> Check:
    return difference_within("accuracy", label, other, -TIE, 1.0)


CLAIMS = (
    Claim("A mask takes as many bits whatever it keeps", _one_size, kind="arithmetic"),
    Claim("Ratios from the allocation never miss the deadline", _on_time, kind="by construction"),
    Claim(
        "They leave out less than a twentieth of the messages", within("sat_out", SHORT, 0.0, 0.05)
    ),
    Claim(
        "At the short deadline they have the mean of the paper's list, within 0.02",
        _same_mean,
        kind="calibrated",
    ),
    Claim(
        "The longer the deadline, the more is kept",
        increasing("mean_retention", DEADLINES),
        kind="by construction",
    ),
    Claim(
        "The best bands leave more than equal ones",
        above("mean_retention", SHORT, EQUAL_BANDS),
        kind="by construction",
    ),
    Claim(
        "Where only two neighbours must receive an agent's mask, more is kept",
        above("mean_retention", RING, SHORT),
        kind="by construction",
    ),
    Claim(
        "One ratio for all, as large as fits, keeps less in the mean",
        above("mean_retention", SHORT, BALANCED),
        kind="by construction",
    ),
    Claim(
        "One ratio for all keeps more of the agent that keeps least",
        above("least_retention", BALANCED, SHORT),
        kind="by construction",
    ),
    Claim(
        "An iteration with the paper's list takes longer",
        above("round_ms", LIST, SHORT),
        kind="by construction",
    ),
    Claim(
        "An iteration with its mean for all takes longer still",
        above("round_ms", ONE, LIST),
        kind="by construction",
    ),
    Claim(
        "After as many iterations the allocation is no worse than the list, within 0.03",
        _as_good(SHORT, LIST),
    ),
    Claim(
        "After as many seconds it is more accurate than the list",
        above("accuracy_in_time", SHORT, LIST),
    ),
    Claim(
        "After as many seconds it is more accurate than the mean for all",
        above("accuracy_in_time", SHORT, ONE),
    ),
    Claim(
        "At the middle deadline it is sooner than a half for all",
        above("to_common_accuracy_s", HALF, MIDDLE),
    ),
    Claim("Twice the retention is more accurate", above("accuracy", MIDDLE, SHORT)),
    Claim(
        "Too long a deadline harms: who keeps nearly all has nothing to learn",
        above("accuracy", MIDDLE, LONG),
    ),
    Claim(
        "At the middle deadline at most a half is more accurate than up to all",
        above("accuracy", MIDDLE_HALF, MIDDLE),
    ),
    Claim(
        "At the short deadline at most a half is more accurate than up to all",
        above("accuracy", SHORT_HALF, SHORT),
    ),
    Claim(
        "After as many seconds at most a half at the middle deadline is above a half for all",
        above("accuracy_in_time", MIDDLE_HALF, HALF),
    ),
    Claim(
        "After as many seconds at most a half at the middle deadline is above the list",
        above("accuracy_in_time", MIDDLE_HALF, LIST),
    ),
    Claim(
        "The list allocated once is more accurate than ratios that follow the channel",
        above("accuracy", ONCE, MIDDLE_HALF),
    ),
    Claim(
        "After as many seconds the list allocated once is above a half for all",
        above("accuracy_in_time", ONCE, HALF),
    ),
    Claim(
        "After as many seconds the list allocated once is above the paper's",
        above("accuracy_in_time", ONCE, LIST),
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) accuracy over simulated seconds; (b) retention of each agent, mean over iterations."""
    axes = panels(figure, 2)
    figure.set_size_inches(9.6, 4.4)
    shown = {label: runs[label] for label in (SHORT, MIDDLE, MIDDLE_HALF, LIST, HALF, ONCE)}
    draw_over_time(axes[0], shown, "accuracy", "(a) accuracy")
    for index, label in enumerate(shown):
        kept = np.mean([retention(run).mean(axis=0) for run in runs[label]], axis=0)
        agents = np.arange(1, len(kept) + 1)
        axes[1].plot(
            agents, kept, color=COLOURS[index], linestyle=LINES[index], marker="o", markersize=3
        )
    axes[1].set(
        xlabel="agent",
        ylabel="share of convolutions that is kept",
        title="(b) retention",
        ylim=(0, 1),
    )
    axes[1].grid(alpha=0.3)
    legend_below(figure, axes[0])
