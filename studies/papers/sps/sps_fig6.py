"""[SPS] Fig. 6: effect of the sum of the control variates, images by writer at 90 %.

MNIST by writer is used in place of FEMNIST. Sparse-ProxSkip, Accelerated-Server-Pruning and the two
variants of [SPS] Appendix D, which exchange the input of [SPS] Algorithm 1, line 12: the modified
first method loses the sum of 0, the modified second one gains it. As printed
"Sparse-ProxSkip-modified" would prune nothing ([SPS] erratum S15): here the average is taken of
TopK, and line 12 gets the trained model.
"""

from typing import Any

from studies.papers.sps._sps import AT, SPARSE_PROXSKIP, label_of
from studies.papers.sps._sps_control import ALGORITHMS, KEEPING, VIOLATING
from studies.papers.sps._sps_writers import RATES, data_of, final_columns, searched
from studies.papers.sps._sps_writers import experiments as one_per_seed
from studies.report.claims import Check, above
from studies.report.curves import COLOURS, LINES, draw_curves, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Table, Verdict, over_seeds
from studies.report.summaries import best_accuracy
from studies.search.search import Search
from wirelessfl.experiment import Experiment

ROUNDING = 1e-9  # of the sum of the clients' norms


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Two methods and their variants at 90 %, all with the rate of the first at `small` scale."""
    rate = RATES[SPARSE_PROXSKIP]
    return {
        label_of(name, AT): one_per_seed(scale, algorithm, AT, rate)
        for name, algorithm in ALGORITHMS.items()
    }


def searches(scale: str) -> dict[str, Search]:
    """The searches of Table 4 for these methods."""
    return searched(scale, (AT,), ALGORITHMS)


def _sum_by_mean(run: Run) -> Any:
    return run.series("extra.sum_control") / run.series("extra.mean_control")


def table(runs: Runs) -> Table:
    """Final accuracy and loss; largest norm of the sum of the h_i relative to their mean norm."""
    return Table(
        tuple(
            {
                "method": label,
                **final_columns(seeds),
                "best_accuracy": over_seeds(seeds, best_accuracy),
                "sum_by_mean": over_seeds(seeds, lambda run: float(_sum_by_mean(run).max())),
                "clients": over_seeds(seeds, lambda run: float(run.series("uplink_bits").shape[1])),
            }
            for label, seeds in runs.items()
        )
    )


def _zero(name: str) -> Check:
    def check(table: Table) -> Verdict:
        ratio, clients = (
            table.sample(label_of(name, AT), column) for column in ("sum_by_mean", "clients")
        )
        return Verdict(
            max(ratio.values) < ROUNDING * clients.mean,
            f"norm of the sum by mean norm: {ratio.mean:.2g}",
        )

    return check


def _larger(name: str) -> Check:
    def check(table: Table) -> Verdict:
        ratio = table.sample(label_of(name, AT), "sum_by_mean")
        return Verdict.of([ratio.scaled(1.0, -1.0)], f"norm of the sum by mean norm: {ratio}")

    return check


def _wins(keeping: str, violating: str) -> tuple[Claim, Claim]:
    better = label_of(keeping, AT)
    worse = label_of(violating, AT)
    return (
        Claim(f"{keeping} is more accurate than {violating}", above("accuracy", better, worse)),
        Claim(f"{keeping} has a lower loss than {violating}", above("loss", worse, better)),
    )


CLAIMS = (
    *(
        Claim(f"{name} keeps the sum at 0, within rounding", _zero(name), kind="by construction")
        for name in KEEPING
    ),
    *(
        Claim(f"With {name} the sum is larger than the mean norm", _larger(name))
        for name in VIOLATING
    ),
    *(
        claim
        for keeping in KEEPING
        for violating in VIOLATING
        for claim in _wins(keeping, violating)
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy and loss over rounds, and the norm of the sum by the mean norm (first seed)."""
    axes = panels(figure, 3)
    figure.set_size_inches(12.0, 4.2)
    data = data_of(next(iter(runs.values())))
    draw_curves(axes[0], runs, "accuracy", f"(a) {data}")
    draw_curves(axes[1], runs, "loss", "(b) loss, mean of the clients'")
    for index, seeds in enumerate(runs.values()):
        values = _sum_by_mean(seeds[0])
        axes[2].plot(
            range(1, len(values) + 1), values, color=COLOURS[index], linestyle=LINES[index]
        )
    axes[2].set(xlabel="round", title="(c) |sum of h| by mean |h|, first seed", yscale="log")
    axes[2].grid(alpha=0.3)
    for panel in axes:
        panel.title.set_fontsize("medium")
    legend_below(figure, axes[0])
