"""Network, data, graph, rates, schemes and reported columns of the studies of [MCE-PL]."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.report.curves import COLOURS, LINES
from studies.report.isolated import points
from studies.report.one_run.run import Run
from studies.report.results import Runs, Sample, Table, over_seeds
from studies.report.summaries import first_index
from training.sparsity.payload import BITS_PER_WEIGHT, sparse_bits
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment

MCE_PL = "MCE-PL"
IND_MASK = "ind-mask"
IND_WEIPRU = "ind-weipru"
AVR_WEIPRU = "avr-weipru"
PAR_WEIPRU = "par-weipru"
DSGD = "DSGD"
FL = "FL"
DSGDPROX = "DSGDProx"
LOTTERY = "LotteryDSGD"
DIS_PFL = "Dis-PFL"
MASKS = (MCE_PL, IND_MASK)
PRUNED = (IND_WEIPRU, AVR_WEIPRU, PAR_WEIPRU)
ALGORITHMS: Mapping[str, str] = {
    MCE_PL: "mce-pl",
    IND_MASK: "ind-mask",
    IND_WEIPRU: "ind-weipru",
    AVR_WEIPRU: "avr-weipru",
    PAR_WEIPRU: "par-weipru",
    DSGD: "dsgd",
    FL: "fl",
    DSGDPROX: "dsgdprox",
    LOTTERY: "lottery-dsgd",
    DIS_PFL: "dis-pfl",
}
# DSGDProx: the best mu for an anchor of ten rounds in pilot runs at small scale with seed 100 and
# three labels. Means of the last evaluations: DSGD 0.405; with mu = 0.01, 0.1, 1 and an anchor of
# one round 0.407, 0.398, 0.394 (nearly DSGD), of ten rounds 0.406, 0.394, 0.373.
_PROXIMAL = {"proximal_mu": 0.01, "anchor_rounds": 10}
# Labels of an agent, in Tables I and II.
LABELS: Mapping[str, tuple[int, ...]] = {"small": (3, 5), "paper": (3, 4, 5)}
# Labels of an agent, in Fig. 6 to 9 and Table III.
FIGURE_LABELS: Mapping[str, int] = {"small": 5, "paper": 4}
# Evaluations in the reported mean; the paper does not say which iteration it reports.
LAST_EVALUATIONS = 3

# Section V-C, agents 1 to 20. Section V-D, on agents 2, 4, 6 and 8, shows that these are the kept
# fractions ([MCE-PL] erratum M3).
HETEROGENEOUS = (
    *(0.4, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.2, 0.4, 0.2),
    *(0.4, 0.2, 0.3, 0.3, 0.4, 0.3, 0.1, 0.1, 0.3, 0.3),
)


@dataclass(frozen=True, kw_only=True)
class PaperScale:
    """Agents, network and data of a scale.

    Attributes:
        agents: Number of agents.
        training: The fields of section training that select network and data.
        rates: Learning rate by scheme when all agents keep the same fraction.
        mixed_rates: Learning rate by scheme when the retention ratios differ.
        rounds: Iterations of a run.
        eval_every: Iterations between evaluations.
        seeds: Seeds of the runs.
        group_lasso: The weight of R(z) where masks are learnt.
    """

    agents: int
    training: Mapping[str, Any]
    rates: Mapping[str, float]
    mixed_rates: Mapping[str, float]
    rounds: int
    eval_every: int
    seeds: tuple[int, ...]
    group_lasso: float = 0.0

    @property
    def ratios(self) -> list[float]:
        """The retention ratios of Section V-C for the agents of this scale."""
        return list(HETEROGENEOUS[: self.agents])


# The network's details are those of the official code, as the paper gives kernels and pools only.
# Fully connected layers keep 90 % whatever the ratio, also as in the code: with Fil, a tenth of 192
# would leave most classes without an output.
_COMMON = {
    "dataset": "cifar10",
    "model": "alexnet-like",
    "partition": "labels",
    "label_choice": "uniform",
}
# The best at the end of pilot runs with seed 100 and three labels, over 1, 10 and 100 for masks and
# 0.03, 0.1 and 0.3 for weights (DSGD and ind-weipru diverge at 0.3, the others were not tried
# there); FL and avr-weipru were tried at 0.1 alone, and DSGDProx and par-weipru have the rates of
# DSGD and avr-weipru.
_SMALL_RATES = {
    name: 100.0 if name in MASKS else 0.03 if name in (DSGD, DSGDPROX) else 0.1
    for name in ALGORITHMS
}
# As printed in Section V-B, and in Section V-C for different retention ratios.
_PAPER_RATES = {
    name: 1.0 if name in MASKS else 0.1 if name == LOTTERY else 0.01 for name in ALGORITHMS
}
_PAPER_MIXED = {name: 1.0 if name in MASKS else 0.001 for name in ALGORITHMS}
PAPER_SCALES: Mapping[str, PaperScale] = {
    "small": PaperScale(
        agents=10,
        training={
            **_COMMON,
            "without": ["lrn"],
            "width": 0.25,
            "train_samples": 4000,
            "test_samples": 500,
            "batch_size": 32,
        },
        rates=_SMALL_RATES,
        mixed_rates=_SMALL_RATES,
        rounds=60,
        eval_every=10,
        seeds=(0, 1),
    ),
    "paper": PaperScale(
        agents=20,
        training={**_COMMON, "batch_size": 128},
        rates=_PAPER_RATES,
        mixed_rates=_PAPER_MIXED,
        rounds=400,
        eval_every=10,
        seeds=(0, 1, 2),
        group_lasso=0.001,
    ),
}
# The paper has no radio: the round waits for all agents, and no result depends on the clock.
_CELL: Tables = {"allocation": {"method": "min-latency"}}


def planned(
    scale: str, labels: int, training: Mapping[str, Any], changes: Tables | None = None
) -> list[Experiment]:
    """The experiments of a row.

    Args:
        scale: A key of `PAPER_SCALES`.
        labels: Number of labels of each agent.
        training: The fields of section training of a scheme.
        changes: Further changed sections, such as a cell.

    Returns:
        One experiment per seed.
    """
    setting = PAPER_SCALES[scale]
    tables: Tables = {
        **_CELL,
        "scenario": {"clients": setting.agents, "deadline_s": 1e4},
        "training": {**setting.training, "labels_per_client": labels, **training},
        "run": {
            "rounds": setting.rounds,
            "eval_every": setting.eval_every,
            "checkpoint_every": 100,
        },
    }
    first = from_tables(merge(tables, changes or {}))
    return [replace(first, run=replace(first.run, seed=seed)) for seed in setting.seeds]


def homogeneous(scale: str, name: str, keep_ratio: float = 0.5) -> dict[str, Any]:
    """The fields of a scheme of [MCE-PL] Table I, where all agents keep the same fraction.

    Args:
        scale: A key of `PAPER_SCALES`.
        name: A key of `ALGORITHMS`.
        keep_ratio: Retention ratio of all agents, for schemes that prune.

    Returns:
        The fields of section training.
    """
    fields: dict[str, Any] = {
        "algorithm": ALGORITHMS[name],
        "learning_rate": PAPER_SCALES[scale].rates[name],
    }
    if name in MASKS:
        fields |= {"group_lasso": PAPER_SCALES[scale].group_lasso}
    if name in MASKS + PRUNED:
        fields |= {"fc_keep": 0.9}
    if name == DSGDPROX:
        fields |= _PROXIMAL
    return fields | (
        {"keep_ratio": keep_ratio} if name in (*MASKS, *PRUNED, LOTTERY, DIS_PFL) else {}
    )


def heterogeneous(scale: str, name: str) -> dict[str, Any]:
    """The fields of a scheme of [MCE-PL] Table II, where agents keep the ratios of Section V-C.

    Args:
        scale: A key of `PAPER_SCALES`.
        name: A key of `ALGORITHMS` whose scheme prunes.

    Returns:
        The fields of section training.
    """
    setting = PAPER_SCALES[scale]
    fields = {
        **homogeneous(scale, name),
        "learning_rate": setting.mixed_rates[name],
        "keep_ratios": setting.ratios,
    }
    fields.pop("keep_ratio")
    return fields | ({"anneal_rounds": setting.rounds} if name == DIS_PFL else {})


def row(labels: int, name: str) -> str:
    """The name of a row of the tables."""
    return f"{labels} labels: {name}"


def labels_of(table: Table) -> list[int]:
    """The numbers of labels that have rows in a table, in increasing order."""
    return sorted({int(str(cells[table.columns[0]]).partition(" ")[0]) for cells in table.rows})


def costs(runs: list[Run]) -> dict[str, Sample]:
    """The traffic columns of a table, for all agents together.

    Unicast, as the paper counts, sends a separate copy to every neighbour; a broadcast reaches all
    neighbours at once.

    Args:
        runs: One run per seed.

    Returns:
        Megabytes of 10^6 bytes: per iteration by `unicast_mb` and `broadcast_mb`, and of the whole
        run, `total_unicast_mb`; per iteration by unicast `coded_mb`, see there.
    """
    return {
        "unicast_mb": over_seeds(runs, lambda run: float(sent_mb(run).mean())),
        "broadcast_mb": over_seeds(runs, lambda run: float(sent_mb(run, "broadcast").mean())),
        "total_unicast_mb": over_seeds(runs, lambda run: float(sent_mb(run).sum())),
        "coded_mb": over_seeds(runs, coded_mb),
    }


def coded_mb(run: Run) -> float:
    """Unicast of an iteration if every message can be decoded alone, at the least number of bits.

    A mask takes the bits of its number among the masks with as many ones; a pruned model 32 bits
    for each kept weight, and those of its mask.

    Args:
        run: A complete run.

    Returns:
        Megabytes of all agents; as counted in the run for methods that send whole models or have a
        server.
    """
    counted = float(sent_mb(run).mean())
    if not counted or "extra.traffic_unicast_mb" not in run.fields:
        return counted
    experiment = run.experiment
    algorithm: Any = experiment.algorithm
    if not hasattr(algorithm, "payload"):
        return counted
    clients = experiment.scenario.clients
    if not hasattr(algorithm, "count_mask_bits"):  # masks
        bits = replace(algorithm, payload="entropy").demand(clients).fixed_upload_bits
    elif algorithm.payload == "nonzero" and not algorithm.count_mask_bits:
        size = algorithm.method.spec().layout().parameter_size
        kept = run.series("uplink_bits") / BITS_PER_WEIGHT
        bits = np.where(kept > 0, sparse_bits(kept, size, "coded"), 0.0)
    else:
        return counted
    degrees = algorithm.graph.adjacency_matrix(clients, experiment.run.seed).sum(axis=1)
    return float((bits @ degrees).mean() / 8e6)


def sent_mb(run: Run, mode: str = "unicast") -> NDArray[np.float64]:
    """Traffic of each iteration.

    Args:
        run: A complete run.
        mode: "unicast" or "broadcast".

    Returns:
        Megabytes of all agents, (rounds,); with a server, the sum of uplink and downlink.
    """
    between_agents = f"extra.traffic_{mode}_mb"
    if between_agents in run.fields:
        return run.series(between_agents)
    bits = run.series("uplink_bits") + run.series("downlink_bits")
    megabytes: NDArray[np.float64] = bits.sum(axis=1) / 8e6
    return megabytes


def sent_until(run: Run, target: float) -> float:
    """Unicast megabytes until an evaluation first reaches an accuracy.

    Args:
        run: A complete run.
        target: Accuracy in [0, 1].

    Returns:
        The megabytes, or those of the whole run if no evaluation reaches the target.
    """
    index = first_index(run, target)
    return float(sent_mb(run).cumsum()[-1 if index is None else index])


def over_traffic(
    runs: list[Run],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy over traffic, means over seeds.

    Args:
        runs: One run per seed.

    Returns:
        Unicast megabytes since the start, accuracy and its standard error, each (evaluations,).
    """
    evaluated = ~np.isnan(runs[0].series("accuracy"))
    values = np.array([run.series("accuracy")[evaluated] for run in runs])
    sent = np.mean([sent_mb(run).cumsum()[evaluated] for run in runs], axis=0)
    return sent, values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(runs))


def draw_over_traffic(axes: Any, runs: Runs, title: str, order: Sequence[str] = ()) -> None:
    """Draw accuracy over the megabytes that all agents have sent, with standard-error bands.

    Args:
        axes: Matplotlib axes; the horizontal one becomes logarithmic.
        runs: Label -> one run per seed.
        title: The title of the axes.
        order: Labels whose positions select colours and lines, those of `runs` by default.
    """
    places = list(order or runs)
    for label, seeds in runs.items():
        index = places.index(label)
        sent, mean, error = over_traffic(seeds)
        colour, line = COLOURS[index % len(COLOURS)], LINES[index % len(LINES)]
        look = {"color": colour, "linestyle": line, **points(mean)}
        axes.plot(sent, mean, linewidth=1.4, label=label, **look)
        axes.fill_between(sent, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    axes.set(
        xscale="log",
        xlabel="sent since the start (MB, unicast)",
        ylabel="test accuracy",
        title=title,
    )
    axes.grid(alpha=0.3)
