"""The studies of the convergence theorems: their setting, and both sides from the records."""

from dataclasses import replace

import pytest
from helpers import studies as synthetic

from studies.papers.ca_hfp import ca_hfp_theorem1 as ca_hfp
from studies.papers.wfl import wfl_theorem1 as wfl
from training.convergence import CaHfpConstants, WflConstants, ca_hfp_bound, wfl_bound

ROUNDS = 4


def run_of(experiment, **extra):
    made = synthetic.run_of(
        [None] * (ROUNDS - 1) + [0.5], clients=experiment.scenario.clients, extra=extra
    )
    return replace(made, made_from=experiment)


@pytest.mark.parametrize("study", [wfl, ca_hfp])
@pytest.mark.parametrize("scale", ["small", "paper"])
def test_every_planned_run_can_be_measured_and_is_plain_sgd(study, scale):
    for seeds in study.experiments(scale).values():
        for experiment in seeds:
            algorithm = experiment.algorithm
            assert not algorithm.method.spec().layout().batch_norm
            assert (algorithm.bound_every > 0, algorithm.momentum) == (True, 0.0)
            assert getattr(algorithm, "clip_norm", None) is None


def test_the_sides_of_wfl_are_those_of_the_records():
    experiment = wfl.experiments("small")[wfl.of_ratio(0.4)][0]
    constants = {
        "shared_smoothness": 2.0,
        "personal_smoothness": 3.0,
        "pruning_error": 0.5,
        "shared_moment": 0.7,
        "shared_noise": 0.11,
        "personal_noise": 0.13,
    }
    sides = {"loss": 2.3, "ratios": 4.0, "holders": 2.0}
    gradients = {"personal_gradient": 1.5, "shared_gradient": 0.25}
    run = run_of(experiment, **constants, **sides, **gradients)
    expected = wfl_bound(
        WflConstants(**constants),
        gap=2.3,
        rounds=ROUNDS,
        clients=10,
        weights=3760,
        holders=2.0,
        ratios=4.0 * ROUNDS,
        shared_rate=0.02,
        personal_rate=0.02,
        shared_steps=5,
        personal_steps=5,
    )
    assert wfl.right_side(run) == pytest.approx(expected)
    assert wfl.left_side(run) == pytest.approx(0.02 * 5 * (1.5 / 8 + 0.25 / 2))


@pytest.mark.parametrize(("error", "value"), [("eq5", 0.25), ("eq13", 0.75)])
def test_the_sides_of_ca_hfp_are_those_of_the_records(error, value):
    experiment = ca_hfp.experiments("small")[ca_hfp.label_of("zeros", 0.1)][0]
    constants = {"smoothness": 2.0, "noise": 0.3, "dissimilarity": 0.4}
    run = run_of(
        experiment, **constants, loss=2.3, gradient=0.6, pruning_error=0.25, zeroed_error=0.75
    )
    expected = ca_hfp_bound(
        CaHfpConstants(**constants), gap=2.3, rounds=ROUNDS, rate=0.1, steps=5, pruning_error=value
    )
    assert ca_hfp.right_side(run, error) == pytest.approx(expected)
    assert ca_hfp.left_side(run) == pytest.approx(0.6)
