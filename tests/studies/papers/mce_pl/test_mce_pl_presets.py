"""The experiments of [MCE-PL] as printed and as in its official code, and their differences."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import studies
from training.decentralised.retention import Retention
from wirelessfl.config.scenario_file import from_tables, read_tables

FOLDER = Path(studies.__file__).parent / "presets"
PAPER, CODE = (
    from_tables(read_tables(FOLDER / f"mce-pl-{name}.toml")) for name in ("paper", "code")
)
RATIOS = (
    0.4,
    0.4,
    0.3,
    0.2,
    0.1,
    0.1,
    0.1,
    0.2,
    0.4,
    0.2,
    0.4,
    0.2,
    0.3,
    0.3,
    0.4,
    0.3,
    0.1,
    0.1,
    0.3,
    0.3,
)  # V-C


def test_every_difference_is_a_field():
    algorithm: Any = PAPER.algorithm
    as_code = replace(
        algorithm,
        task=replace(algorithm.task, train_fraction=0.2, pixels="symmetric"),
        keep=Retention(keep_ratios=RATIOS, fc_keep=0.9),
        learning_rate=10.0,
        fine_tune_rate=10.0,
        weight_decay=5e-4,
        group_lasso=0.0,
        payload="ones",
    )
    assert CODE.algorithm == as_code
    for field in fields(PAPER):
        if field.name != "algorithm":
            assert getattr(PAPER, field.name) == getattr(CODE, field.name)


def test_the_printed_one():
    algorithm: Any = PAPER.algorithm
    task = algorithm.task
    keep = algorithm.keep
    assert keep == Retention(keep_ratios=RATIOS, filter_threshold=20)
    assert (algorithm.learning_rate, algorithm.group_lasso, algorithm.weight_decay) == (
        1.0,
        0.001,
        0.0,
    )
    assert algorithm.fine_tune_rate in (None, 1.0)
    assert (algorithm.local_steps, algorithm.local_epochs, algorithm.weight_init) == (
        1,
        None,
        "fan-in",
    )
    assert (algorithm.initial_neighbour_keep, algorithm.initial_neighbour_fc_keep) == (0.3, 0.9)
    assert (task.dataset, task.model, task.without, task.batch_size) == (
        "cifar10",
        "alexnet-like",
        (),
        128,
    )
    assert (task.partition, task.labels_per_client, task.label_choice) == ("labels", 4, "uniform")
    assert (task.train_fraction, task.augmentation) == (1.0, "none")
    assert (algorithm.graph.graph, algorithm.graph.edge_probability) == ("erdos-renyi", 0.5)
    assert (PAPER.scenario.clients, PAPER.run.rounds) == (20, 400)
