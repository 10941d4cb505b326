"""An external study: the same cell under two deadlines."""

from typing import Any

from studies.report.claims import decreasing
from studies.report.curves import draw_curves, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Experiments, Runs, Table, over_seeds
from wirelessfl.config.scenario_file import from_tables

LABELS = {"20 ms": 0.02, "25 ms": 0.025}
ROUNDS = {"small": 6, "paper": 3000}


def experiments(scale: str) -> Experiments:
    return {
        label: [
            from_tables(
                {
                    "scenario": {"clients": 4, "deadline_s": deadline_s},
                    "channel": {"model": "two-state"},
                    "allocation": {"method": "even"},
                    "training": {"algorithm": "counting"},
                    "run": {
                        "rounds": ROUNDS[scale],
                        "seed": seed,
                        "eval_every": 2,
                        "checkpoint_every": 2,
                    },
                }
            )
            for seed in (0, 1)
        ]
        for label, deadline_s in LABELS.items()
    }


def table(runs: Runs) -> Table:
    def ratio(run: Run) -> float:
        return float(run.series("pruning_ratio").mean())

    return Table(
        tuple(
            {"deadline": label, "mean_ratio": over_seeds(seeds, ratio)}
            for label, seeds in runs.items()
        )
    )


CLAIMS = (Claim("A longer deadline prunes less", decreasing("mean_ratio", tuple(LABELS))),)


def figure(runs: Runs, figure: Any) -> None:
    (axes,) = panels(figure, 1)
    draw_curves(axes, runs, "loss", "loss")
    legend_below(figure, axes)
