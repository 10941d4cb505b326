"""[SPS] Table 4: test accuracy over sparsity, logistic regression on images by writer.

MNIST by writer is used in place of FEMNIST: its ten classes are easier than the 62, so that the
printed accuracies are listed for reference only. At `small` scale there are three of the five
sparsities, and nothing is searched: see `_sps_writers.RATES`.
"""

from itertools import chain
from typing import Any

from studies.papers.sps._sps import (
    ASP,
    FEDHT,
    FEDIHT,
    FINAL_TOPK,
    LOCAL,
    PROPOSED,
    SPARSE_PROXSKIP,
    coded_mbits,
    label_of,
    total_mbits,
)
from studies.papers.sps._sps_writers import (
    BASELINES,
    METHODS,
    SPARSITIES,
    best_of,
    data_of,
    final_columns,
    lead,
    planned,
    searched,
)
from studies.report.claims import Check, compare
from studies.report.curves import COLOURS, LINES
from studies.report.results import Claim, Runs, Table, Verdict, over_seeds
from studies.report.summaries import best_accuracy
from studies.search.search import Search
from wirelessfl.experiment import Experiment

PRINTED = SPARSITIES["paper"]
CLAIMED = SPARSITIES["small"]  # common to both scales
PAPER: dict[str, tuple[float, ...]] = {
    FINAL_TOPK: (0.847, 0.799, 0.696, 0.401, 0.255),
    FEDHT: (0.866, 0.857, 0.847, 0.766, 0.664),
    FEDIHT: (0.868, 0.856, 0.827, 0.746, 0.654),
    ASP: (0.779, 0.775, 0.768, 0.722, 0.647),
    LOCAL: (0.867, 0.861, 0.847, 0.789, 0.729),
    SPARSE_PROXSKIP: (0.870, 0.864, 0.853, 0.805, 0.728),
}


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Six methods at every sparsity."""
    return planned(scale, SPARSITIES[scale])


def searches(scale: str) -> dict[str, Search]:
    """A search for every method and sparsity at `paper` scale."""
    return searched(scale, SPARSITIES[scale])


def table(runs: Runs) -> Table:
    """Final, best and printed accuracy (the latter of FEMNIST), loss, and upload of a client."""
    printed = {
        label_of(name, sparsity): accuracy
        for name, row in PAPER.items()
        for sparsity, accuracy in zip(PRINTED, row, strict=True)
    }
    return Table(
        tuple(
            {
                "method": label,
                **final_columns(seeds),
                "paper_accuracy_femnist": printed[label],
                "best_accuracy": over_seeds(seeds, best_accuracy),
                "upload_mbits": total_mbits(seeds),
                "upload_coded_mbits": coded_mbits(seeds),
            }
            for label, seeds in runs.items()
        )
    )


def _labels(names: tuple[str, ...], sparsity: float) -> list[str]:
    return [label_of(name, sparsity) for name in names]


def _most_accurate(sparsity: float) -> Check:
    return lambda table: lead(
        table, "accuracy", _labels(PROPOSED, sparsity), _labels(BASELINES, sparsity)
    )


def _lead_grows(table: Table) -> Verdict:
    least, most = (
        best_of(table, "accuracy", _labels(PROPOSED, sparsity))
        - best_of(table, "accuracy", _labels(BASELINES, sparsity))
        for sparsity in (CLAIMED[0], CLAIMED[-1])
    )
    return compare(most, least)


def _least_accurate(name: str, sparsities: tuple[float, ...]) -> Check:
    others = tuple(other for other in METHODS if other != name)

    def check(table: Table) -> Verdict:
        leads = {
            sparsity: [
                table.sample(label_of(other, sparsity), "accuracy")
                - table.sample(label_of(name, sparsity), "accuracy")
                for other in others
            ]
            for sparsity in sparsities
        }
        figures = ", ".join(
            f"{100 * sparsity:g} %: {min(lead.mean for lead in found):.3g}"
            for sparsity, found in leads.items()
        )
        return Verdict.of(
            chain.from_iterable(leads.values()),
            f"lowest of the others less that of {name}: {figures}",
        )

    return check


CLAIMS = (
    *(
        Claim(
            f"At {100 * at:g} %, Sparse-ProxSkip or its local variant is the most accurate",
            _most_accurate(at),
        )
        for at in CLAIMED
    ),
    Claim("Their lead over the best baseline is larger at 99 % than at 80 %", _lead_grows),
    Claim(
        "At 80 and 90 %, Accelerated-Server-Pruning is the least accurate",
        _least_accurate(ASP, CLAIMED[:2]),
    ),
    Claim("At 99 %, Final-TopK is the least accurate", _least_accurate(FINAL_TOPK, CLAIMED[2:])),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy over sparsity."""
    found = table(runs)
    figure.set_size_inches(6.4, 4.4)
    axes = figure.subplots()
    shown = [sparsity for sparsity in PRINTED if label_of(METHODS[0], sparsity) in runs]
    for index, name in enumerate(METHODS):
        samples = [found.sample(label_of(name, sparsity), "accuracy") for sparsity in shown]
        axes.errorbar(
            range(len(shown)),
            [sample.mean for sample in samples],
            [sample.standard_error for sample in samples],
            color=COLOURS[index],
            linestyle=LINES[index],
            linewidth=2.4 if name in PROPOSED else 1.4,
            capsize=2,
            label=name,
        )
    axes.set_xticks(range(len(shown)), [f"{100 * sparsity:g} %" for sparsity in shown])
    axes.set(xlabel="sparsity", ylabel="test accuracy", title=data_of(next(iter(runs.values()))))
    axes.grid(alpha=0.3)
    figure.legend(
        loc="outside lower center",
        ncols=3,
        fontsize="small",
        title="mean ± standard error over seeds",
    )
