"""An external study that searches settings: two tasks, one of them with different rates."""

from typing import Any

from studies.report.claims import above
from studies.report.curves import draw_curves, legend_below, panels
from studies.report.results import Claim, Experiments, Runs, Table, over_seeds
from studies.search.ranges import LogUniform
from studies.search.search import Search
from wirelessfl.config.scenario_file import from_tables

SCALES = ("small", "reduced")
LABELS = ("searched", "also searched", "as it is")


def experiments(scale: str) -> Experiments:
    return {
        label: [
            from_tables(
                {
                    "scenario": {"clients": 3},
                    "channel": {"model": "two-state"},
                    "allocation": {"method": "min-latency"},
                    "training": {
                        "algorithm": "bowl",
                        "learning_rate": 0.01 * (index + 1),
                        "stacked": True,
                    },
                    "run": {"rounds": 4, "seed": seed, "eval_every": 2},
                }
            )
            for seed in (0, 1)
        ]
        for index, label in enumerate(LABELS)
    }


def searches(scale: str) -> dict[str, Search]:
    space = {
        "training.learning_rate": LogUniform(1e-3, 10.0),
        "training.probability": LogUniform(0.3, 1.0),
    }
    trials = {"small": 4, "reduced": 6}[scale]
    return {
        label: Search(space=space, trials=trials, second_trials=2, local_steps=10)
        for label in LABELS[:2]
    }


def table(runs: Runs) -> Table:
    return Table(
        tuple(
            {"settings": label, "accuracy": over_seeds(seeds, lambda run: run.final_accuracy)}
            for label, seeds in runs.items()
        )
    )


CLAIMS = (Claim("Searching helps", above("accuracy", *LABELS[1:])),)


def figure(runs: Runs, figure: Any) -> None:
    (axes,) = panels(figure, 1)
    draw_curves(axes, runs, "loss", "loss")
    legend_below(figure, axes)
