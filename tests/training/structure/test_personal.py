"""`training.personal`: the parts of a model that stay with the clients."""

import numpy as np
import pytest
from helpers.cli import call

from training.algorithms.server.fedalt import FedAlt
from training.algorithms.server.fedavg import FedAvg
from training.algorithms.server.fedsim import FedSim
from training.engine.program import Train
from training.engine.spec import EngineSpec
from training.task import Task
from wirelessfl.config.scenario_file import experiment_hash, from_tables
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

K = 3


def layout(personal, model="cnn", dataset="fashion-mnist"):
    task = Task(dataset=dataset, model=model, personal=personal)
    return EngineSpec.of(task, personalised=True).build_model()[1]


def names(personal, **task):
    made = layout(personal, **task)
    return [entry.name for entry in made.entries if entry.offset < made.personal_size]


def test_parts_are_named_by_modules_parameters_or_words():
    conv = ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"]
    head = ["fc2.weight", "fc2.bias"]
    assert names(("conv1", "conv2")) == conv
    assert names("conv1") == conv[:2]
    assert names("features") == [*conv, "fc1.weight", "fc1.bias"]
    assert names("head") == head
    assert names(("fc2.bias", "conv1.weight")) == ["conv1.weight", "fc2.bias"]
    assert layout(("conv1", "conv2")).personal_size == 832 + 51_264
    assert names("head", model="resnet20", dataset="cifar10") == ["fc.weight", "fc.bias"]
    assert names(None, model="digits-cnn", dataset="digits") == conv  # the model's own


def test_statistics_of_batch_norm_stay_with_the_features():
    made = layout("features", model="resnet20", dataset="cifar10")
    assert made.personal_buffer_size == made.size - made.parameter_size > 0


@pytest.mark.parametrize(
    ("personal", "model", "words"),
    [
        (
            "conv3",
            "cnn",
            r"training\.personal must be features, head, none or parts of model 'cnn' "
            r"\(conv1, conv2, fc1, fc2\), got 'conv3' \(did you mean conv2\?\)",
        ),
        ("fetures", "cnn", r"got 'fetures' \(did you mean features\?\)"),
        (("conv1", "conv1"), "cnn", r"must name each part once, got 'conv1' twice"),
        (("conv1", "conv2", "fc1", "fc2"), "cnn", r"got no shared one"),
        (None, "cnn", r"must have a personal and a shared part, got no personal one: choose"),
        ("head", "logistic", r"got no shared one"),
    ],
)
def test_bad_parts_are_one_line(personal, model, words):
    with pytest.raises(InputError, match=words) as error:
        layout(personal, model=model)
    assert "\n" not in str(error.value)


def rounds(algorithm, ratios=(0.0, 0.3, 1.0)):
    trainer = algorithm.trainer(clients=K, seed=0, runtime=Runtime(executor="loop"))
    state = trainer.init(0)
    for _ in range(2):
        state, metrics = trainer.step(state, np.array(ratios), Delivery.all(K))
    trainer.close()
    return state, metrics


@pytest.mark.parametrize("personal", ["features", "head", ("fc1.bias",)])
@pytest.mark.parametrize("cls", [FedAlt, FedSim])
def test_only_the_shared_part_is_sent_and_averaged(cls, personal):
    task = Task(batch_size=16, personal=personal)
    state, metrics = rounds(cls(task=task, learning_rate=0.05))
    made = EngineSpec.of(task, personalised=True).build_model()[1]
    assert metrics.uplink_bits[0] == 32 * made.shared_size
    assert state.personal.shape == (K, made.personal_size)
    assert not np.array_equal(state.personal[0], state.personal[1])


def test_none_shares_the_whole_model_without_personal_steps():
    algorithm = FedAlt(task=Task(batch_size=16, personal="none"), learning_rate=0.05)
    method = algorithm.method
    assert [phase.part for phase in method.program if isinstance(phase, Train)] == ["shared"]
    state, metrics = rounds(algorithm)
    assert metrics.uplink_bits[0] == 32 * state.shared.size == 32 * 5008
    assert state.personal.shape == (K, 0)
    # Without a personal part both algorithms prune and train the same weights.
    other, _ = rounds(FedSim(task=Task(batch_size=16, personal="none"), learning_rate=0.05))
    assert np.array_equal(state.shared, other.shared)


def test_an_algorithm_that_shares_the_whole_model_is_not_affected():
    plain, divided = (FedAvg(task=Task(personal=personal)) for personal in (None, "features"))
    one, two = (algorithm.demand(K) for algorithm in (plain, divided))
    assert np.array_equal(one.fixed_upload_bits, two.fixed_upload_bits)


def test_the_field_is_part_of_an_experiment(capsys, monkeypatch, tmp_path):
    usual = from_tables({})
    chosen = from_tables({"training": {"personal": ["conv1"]}})
    assert experiment_hash(usual) != experiment_hash(chosen)
    done = call(
        capsys,
        monkeypatch,
        "run",
        "--rounds",
        1,
        "--out",
        tmp_path / "run",
        "--json",
        "--set",
        "training.personal=head",
        "--set",
        "training.batch_size=16",
    )
    assert done.status == 0
    assert 'personal = "head"' in (tmp_path / "run" / "experiment.toml").read_text()
    bad = call(capsys, monkeypatch, "run", "--set", 'training.personal=["conv9"]')
    assert (bad.status, len(bad.err.splitlines())) == (2, 1)
    assert "got 'conv9'" in bad.err
