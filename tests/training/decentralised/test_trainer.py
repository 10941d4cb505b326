"""Runs without a server: one graph for radio and training, checkpoints, the common loop."""

import json

import numpy as np
import pytest
from helpers.agents import TASK, equal, rounds, started

from training.algorithms.decentralised.avr_weipru import AvrWeipru
from training.algorithms.decentralised.ind_mask import IndMask
from training.algorithms.decentralised.mce_pl import McePl
from training.decentralised.retention import maskable_entries
from wirelessfl.config.scenario_file import experiment_hash, from_tables, to_toml
from wirelessfl.errors import InputError
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.rounds import run_rounds
from wirelessfl.values import Delivery

TABLES = {
    "scenario": {"clients": 4, "deadline_s": 0.0004},
    "channel": {"model": "peer-to-peer", "graph": "ring"},
    "allocation": {"max_pruning_ratio": 0.95},
    "training": {
        "algorithm": "mce-pl",
        "graph": "ring",
        "retention": "allocation",
        "batch_size": 16,
    },
    "run": {"rounds": 3, "eval_every": 1, "executor": "loop"},
}


def experiment(**changes):
    return from_tables(
        {section: {**table, **changes.get(section, {})} for section, table in TABLES.items()}
    )


def run(item, path):
    folder = RunFolder.open(path) if path.exists() else RunFolder.create(path, to_toml(item))
    trainer = item.algorithm.trainer(clients=4, seed=0, runtime=item.run.runtime(None))
    run_rounds(item, trainer, folder, identity=experiment_hash(item, with_rounds=False))
    trainer.close()
    return [json.loads(line) for line in (path / "rounds.jsonl").read_text().splitlines()]


def test_retention_comes_from_the_allocation_under_a_deadline(tmp_path):
    records = run(experiment(), tmp_path / "whole")
    sizes = maskable_entries(started(McePl())[0]._pool.layout)
    entries = sum(entry.size for entry in sizes)
    for record in records:
        ratios = np.array(record["pruning_ratio"])
        assert np.all(
            (ratios > 0.2) & (ratios < 0.95)
        )  # the deadline is too short for the whole model
        assert record["uplink_bits"] == [entries] * 4  # which makes no mask shorter
        assert max(record["latency_s"]) <= 0.0004 * (1 + 1e-9)
        assert record["extra"]["traffic_unicast_mb"] == 2 * 4 * entries / 8e6
        assert record["extra"]["ones_share"] == pytest.approx(
            1 - ratios.mean(), abs=len(sizes) / entries
        )
        assert np.all(np.diff(np.array(record["flops"])[np.argsort(-ratios)]) >= 0)


def test_a_resumed_run_has_the_records_of_a_whole_one(tmp_path):
    whole = run(experiment(), tmp_path / "whole")
    run(experiment(run={"rounds": 1}), tmp_path / "parts")
    assert run(experiment(), tmp_path / "parts") == whole


@pytest.mark.parametrize(
    ("channel", "training", "message"),
    [
        (
            {},
            {"graph": "complete"},
            r"training.graph must be that of the channel, channel.graph = 'ring', got",
        ),
        (
            {"graph": "erdos-renyi", "edge_probability": 0.7},
            {"graph": "erdos-renyi"},
            r"training.edge_probability must be that of the channel, channel.edge_probability = 0.7, "
            "got 0.5",
        ),
        (
            {"graph": "given", "adjacency": [[0, 1], [1, 0]]},
            {"graph": "given", "adjacency": [[0, 1, 0], [1, 0, 1], [0, 1, 0]]},
            r"training.adjacency must be that of the channel",
        ),
    ],
)
def test_radio_and_training_have_one_graph(channel, training, message):
    with pytest.raises(InputError, match=message) as error:
        experiment(channel=channel, training=training)
    assert "\n" not in str(error.value)


def test_equal_graphs_may_differ_in_unused_fields():
    experiment(channel={"edge_probability": 0.7})
    experiment(training={"edge_probability": 0.3})
    from_tables(
        {"channel": {"model": "rayleigh"}, "training": {"algorithm": "mce-pl", "graph": "ring"}}
    )


def test_bad_graphs_are_one_line():
    for fields, message in (
        ({"graph": "given", "adjacency": [[0, 1], [0, 0]]}, "training.adjacency must be symmetric"),
        (
            {"graph": "given", "adjacency": [[0, 1, 0], [1, 0, 0], [0, 0, 0]]},
            "training.adjacency must be connected",
        ),
    ):
        with pytest.raises(InputError, match=message):
            from_tables({"training": {"algorithm": "mce-pl", **fields}})


@pytest.mark.parametrize("algorithm", [McePl(task=TASK), IndMask(task=TASK), AvrWeipru(task=TASK)])
def test_a_packed_state_has_bits_for_masks_and_comes_back(algorithm):
    state, _ = rounds(algorithm, 1)
    trainer, _ = started(algorithm)
    packed = trainer.pack(state)
    mask = state.rows["mask"]
    assert packed["own_mask"].nbytes == 3 * -(-mask.shape[1] // 8)
    back = trainer.unpack(packed)
    assert equal(back, state)
    assert np.array_equal(back.rows["mask"], mask)
    assert back.rows["mask"].dtype == bool
    with pytest.raises(InputError, match="training state own_mask must have shape"):
        trainer.unpack({name: array for name, array in packed.items() if name != "own_mask"})


def test_agents_that_send_nothing_do_not_affect_others():
    trainer, state = started(IndMask(task=TASK))
    heard, metrics = trainer.step(state, np.zeros(3), Delivery.all(3))
    assert not metrics.uplink_bits.any()
    assert equal(heard, trainer.step(state, np.zeros(3), Delivery.of([False] * 3))[0])
