"""[MCE-PL] Fig. 7: accuracy over traffic under different retention ratios.

The table gives the traffic of an iteration by three ways of counting, with a copy for every
neighbour as the paper counts, and broadcast once to all of them:

| | a mask | a model |
|---|---|---|
| `printed` | one bit for each entry | 32 bits for each weight |
| `code`, not decodable alone | one bit for each one | 32 bits for each kept weight |
| `readable` | index among the masks with as many ones | 32 bits for each kept weight, a bitmap |

At small scale an iteration of MCE-PL takes 32, 22 and 12 times less than that of the cheapest other
scheme by these ways. The accuracy that all reach is that of avr-weipru, which has learnt nothing:
so the traffic until then is that of the first ten iterations, a seventh of Dis-PFL's.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from studies.papers.mce_pl._mce_pl import (
    AVR_WEIPRU,
    DIS_PFL,
    FIGURE_LABELS,
    LAST_EVALUATIONS,
    MCE_PL,
    PAR_WEIPRU,
    draw_over_traffic,
    heterogeneous,
    planned,
    sent_until,
)
from studies.report.claims import Check, highest
from studies.report.curves import legend_below, panels
from studies.report.results import Cell, Claim, Runs, Sample, Table, Verdict
from studies.report.summaries import accuracy_columns, common_accuracy
from wirelessfl.experiment import Experiment

SHOWN = (MCE_PL, AVR_WEIPRU, PAR_WEIPRU, DIS_PFL)
OTHERS = SHOWN[1:]
WAYS: Mapping[str, tuple[str, str]] = {  # of counting: payload of a mask, and of a model
    "printed": ("entry", "values"),
    "code": ("ones", "nonzero"),
    "readable": ("entropy", "nonzero"),
}
MAGNITUDE = 10.0


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Four schemes of Table II."""
    return {
        name: planned(scale, FIGURE_LABELS[scale], heterogeneous(scale, name)) for name in SHOWN
    }


def table(runs: Runs) -> Table:
    """Accuracy, megabytes until the common accuracy, and of an iteration by way of counting."""
    targets = common_accuracy(runs.values(), LAST_EVALUATIONS)
    rows = []
    for name, seeds in runs.items():
        reached = [sent_until(run, target) for run, target in zip(seeds, targets, strict=True)]
        cells: dict[str, Cell] = {
            "scheme": name,
            **accuracy_columns(seeds, LAST_EVALUATIONS),
            "to_common_accuracy_mb": Sample(tuple(reached)),
        }
        for way in WAYS:
            unicast, broadcast = zip(
                *(iteration_mb(run.experiment, way) for run in seeds), strict=True
            )
            cells |= {f"{way}_mb": Sample(unicast), f"{way}_broadcast_mb": Sample(broadcast)}
        rows.append(cells)
    return Table(tuple(rows))


def iteration_mb(experiment: Experiment, way: str) -> tuple[float, float]:
    """Traffic of all agents' messages in an iteration.

    Args:
        experiment: An experiment with agents.
        way: A key of `WAYS`.

    Returns:
        Megabytes by unicast and by broadcast.
    """
    algorithm: Any = experiment.algorithm
    of_mask, of_model = WAYS[way]
    sends_masks = not hasattr(algorithm, "count_mask_bits")
    fields = (
        {"payload": of_mask}
        if sends_masks
        else {"payload": of_model, "count_mask_bits": way == "readable"}
    )
    clients = experiment.scenario.clients
    bits = replace(algorithm, **fields).demand(clients).fixed_upload_bits
    degrees = algorithm.graph.adjacency_matrix(clients, experiment.run.seed).sum(axis=1)
    return float(degrees @ bits / 8e6), float(bits.sum() / 8e6)


def _magnitude(column: str) -> Check:
    """Check that MCE-PL has at most a tenth of the lowest value of the others."""

    def check(table: Table) -> Verdict:
        least = min(OTHERS, key=lambda name: table.sample(name, column).mean)
        mine, rival = (table.sample(name, column) for name in (MCE_PL, least))
        times = rival.mean / mine.mean
        figures = f"{least}: {rival.mean:.4g} MB, {MCE_PL}: {mine.mean:.4g} MB, {times:.1f} times"
        return Verdict.of([rival - mine.scaled(MAGNITUDE)], figures)

    return check


CLAIMS = (
    Claim(
        "An iteration of MCE-PL takes a tenth or less, as the paper counts",
        _magnitude("printed_mb"),
        kind="arithmetic",
    ),
    Claim("So it does as the official code counts", _magnitude("code_mb"), kind="arithmetic"),
    Claim(
        "So it does where every message can be read", _magnitude("readable_mb"), kind="arithmetic"
    ),
    Claim(
        "MCE-PL needs a tenth or less of any other's traffic to the accuracy that all reach",
        _magnitude("to_common_accuracy_mb"),
    ),
    Claim("MCE-PL ends highest", lambda table: highest(table, "accuracy", MCE_PL, OTHERS)),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy over the megabytes sent to neighbours."""
    (axes,) = panels(figure, 1)
    figure.set_size_inches(5.4, 4.2)
    draw_over_traffic(axes, runs, "shares of Section V-C")
    legend_below(figure, axes)
