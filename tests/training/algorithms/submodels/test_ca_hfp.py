"""CA-HFP's fields, and that it learns."""

import numpy as np
import pytest

from training.algorithms.submodels.ca_hfp import CaHfp
from training.engine.program import Accumulate, Train
from training.submodels.ratios import FilterRatios
from training.submodels.scores import FilterScore
from training.task import Task
from wirelessfl.config.fields import build, flat, known_fields
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery


def test_all_fields_lie_in_one_section():
    table = {
        "ratios": "rank-2",
        "score": "taylor",
        "curvature": "secant",
        "reconstruct": "holders",
        "momentum": 0.9,
    }
    algorithm = build(CaHfp, "training", table)
    assert algorithm.ranks == FilterRatios(ratios="rank-2")
    assert algorithm.score == FilterScore(score="taylor", curvature="secant")
    assert flat(algorithm).items() >= table.items()
    assert {"filter_ratio", "score_scope", "random_rounds", "dense_download", "dataset"} <= set(
        known_fields(CaHfp)
    )


def test_fields_reach_the_program():
    fields = {"learning_rate": 0.3, "momentum": 0.9, "weight_decay": 1e-4, "clip_norm": 5.0}
    train = Train(part="shared", steps=7, stream="batches/shared", **fields)
    assert CaHfp(local_steps=7, **fields).method.program == (train,)
    asked = CaHfp(local_epochs=2, score=FilterScore(curvature="exact-fisher")).method.program
    assert asked[0] == Accumulate(part="shared", epochs=2, stream="batches/score")
    assert CaHfp(
        local_steps=7, **fields, score=FilterScore(score="l1", curvature="exact-fisher")
    ).method.program == (train,)
    assert CaHfp(learning_rate=0.1, momentum=0.9).method.effective_rate(0) == pytest.approx(1.0)


@pytest.mark.parametrize("score", ["curvature", "l1"])
def test_half_of_the_filters_learns_digits(score):
    algorithm = CaHfp(
        task=Task(partition="iid", batch_size=32),
        ranks=FilterRatios(ratios="uniform", filter_ratio=0.5),
        score=FilterScore(score=score),
        learning_rate=0.1,
        local_epochs=1,
        momentum=0.5,
    )
    trainer = algorithm.trainer(clients=4, seed=0, runtime=Runtime(executor="loop"))
    state = trainer.init(0)
    for _ in range(12):
        state, metrics = trainer.step(state, np.zeros(4), Delivery.all(4))
    assert metrics.extra["filter_ratio"] == pytest.approx(0.5)
    assert trainer.evaluate(state) > 0.6


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"momentum": 1.0}, "training.momentum must be below 1, got 1"),
        (
            {"reconstruct": "none"},
            "training.reconstruct must be one of residual, holders, zero-fill; got 'none'",
        ),
        ({"learning_rate": 0}, "training.learning_rate must be above 0, got 0"),
        ({"local_epochs": 0}, "training.local_epochs must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, said):
    with pytest.raises(InputError, match=said):
        CaHfp(**fields)
