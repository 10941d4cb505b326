"""Fields of local SGD that algorithms inherit: defaults, checks, and the phase they describe."""

from dataclasses import dataclass, fields

import pytest

from training.engine.local_sgd import LocalSgd, LocalSteps
from training.engine.program import Prune, Train
from training.engine.spec import EngineSpec
from training.task import Task
from wirelessfl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Slower(LocalSgd):
    """An algorithm with another default and a field of its own."""

    learning_rate: float = 0.001
    weighted: bool = True


def test_fields_describe_one_phase_on_the_whole_model():
    settings = LocalSgd(local_steps=3, momentum=0.9, weight_decay=1e-4, clip_norm=5.0)
    assert settings.phase(proximal=0.1) == Train(
        part="shared",
        steps=3,
        learning_rate=0.01,
        momentum=0.9,
        weight_decay=1e-4,
        clip_norm=5.0,
        proximal=0.1,
        stream="batches/shared",
    )


def test_epochs_take_the_place_of_steps():
    phase = LocalSgd(local_steps=3, local_epochs=2).phase()
    assert (phase.steps, phase.epochs) == (None, 2)


def test_an_algorithm_inherits_fields_checks_and_phase():
    assert [field.name for field in fields(Slower)] == [
        *(field.name for field in fields(LocalSgd)),
        "weighted",
    ]
    assert Slower().phase().learning_rate == 0.001
    with pytest.raises(InputError, match=r"training\.learning_rate must be above 0, got -1"):
        Slower(learning_rate=-1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, "training.learning_rate must be above 0, got 0"),
        ({"local_steps": -1}, "training.local_steps must be a whole number of at least 0, got -1"),
        ({"local_epochs": 0}, "training.local_epochs must be a whole number of at least 1, got 0"),
        ({"weight_decay": -0.1}, "training.weight_decay must be at least 0, got -0.1"),
        ({"momentum": 1.5}, "training.momentum must be at most 1, got 1.5"),
        ({"clip_norm": 0.0}, "training.clip_norm must be above 0, got 0"),
    ],
)
def test_out_of_range_fields_are_refused(settings, message):
    with pytest.raises(InputError) as error:
        LocalSgd(**settings)
    assert str(error.value) == message


def test_local_steps_alone_have_no_optimiser_fields():
    assert [field.name for field in fields(LocalSteps)] == [
        "learning_rate",
        "local_steps",
        "local_epochs",
    ]


def test_the_engine_of_a_task_takes_its_model_and_batch_size():
    task = Task(model="mlp", dataset="mnist", batch_size=32, width=0.5)
    assert EngineSpec.of(task, personalised=False, device="cpu") == EngineSpec(
        model="mlp", form=task.form, personalised=False, batch_size=32, device="cpu"
    )


def test_epoch_steps_are_nominal_and_only_where_a_program_has_epochs():
    task = Task(dataset="mnist", model="mnist-cnn", batch_size=100)
    epochs = LocalSgd(local_epochs=1).phase()
    assert task.epoch_steps(6, (epochs,)) == [100] * 6  # 60,000 / 6 clients / 100
    prune = Prune(steps=1, learning_rate=0.1, stream="batches/importance")
    assert task.epoch_steps(6, (prune, LocalSgd(local_steps=4).phase())) == [0] * 6
