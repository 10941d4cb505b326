"""[SPS] Fig. 5: number of samples of the 554 clients of BlogFeedback."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.papers.sps._sps import CLIENTS, SCALES, fixed
from studies.report.claims import within
from studies.report.curves import COLOURS
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Table, over_seeds
from wirelessfl.experiment import Experiment

__all__ = ["CLAIMS", "SCALES", "experiments", "figure", "table"]

SAMPLES = 47_157  # 90 % of the published training rows
LABEL = "natural partition"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """A round of one local step, in which a client's work is proportional to its samples.

    It is the same at every scale.
    """
    runs = fixed("small", "proxskip", learning_rate=1e-5, probability=1.0)
    return {LABEL: [replace(one, run=replace(one.run, rounds=1)) for one in runs]}


def samples(run: Run) -> NDArray[np.float64]:
    """Number of samples of every client, (K,), from its fraction of the work."""
    work = run.series("flops")[0]
    found: NDArray[np.float64] = np.round(SAMPLES * work / work.sum())
    return found


def table(runs: Runs) -> Table:
    """Number of clients, statistics of their samples, and the fraction with fewer than 100."""
    quantities = {
        "clients": lambda run: float(len(samples(run))),
        "samples": lambda run: float(samples(run).sum()),
        "least": lambda run: float(samples(run).min()),
        "median": lambda run: float(np.median(samples(run))),
        "mean": lambda run: float(samples(run).mean()),
        "most": lambda run: float(samples(run).max()),
        "below_100": lambda run: float(np.mean(samples(run) < 100)),
    }
    return Table(
        tuple(
            {
                "partition": label,
                **{name: over_seeds(seeds, quantity) for name, quantity in quantities.items()},
            }
            for label, seeds in runs.items()
        )
    )


CLAIMS = (
    Claim(
        f"There are {CLIENTS} clients",
        within("clients", LABEL, CLIENTS, CLIENTS),
        kind="arithmetic",
    ),
    Claim(
        f"They have {SAMPLES:,} samples",
        within("samples", LABEL, SAMPLES, SAMPLES),
        kind="arithmetic",
    ),
    Claim(
        "Sizes are skewed: most clients have fewer than 100 samples",
        within("below_100", LABEL, 0.5, 1.0),
        kind="arithmetic",
    ),
    Claim("and the largest has thousands", within("most", LABEL, 1000, 3666), kind="arithmetic"),
)


def figure(runs: Runs, figure: Any) -> None:
    """Histogram on logarithmic axes; the partition is the same for all seeds."""
    sizes = samples(runs[LABEL][0])
    figure.set_size_inches(5.0, 3.6)
    axes = figure.subplots()
    whole = np.unique(np.round(np.geomspace(1.0, 4000.0, 33)))
    axes.hist(sizes, bins=np.append(whole - 0.5, whole[-1] + 0.5), color=COLOURS[0])
    axes.set(xscale="log", xlabel="samples of a client", ylabel="clients")
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
