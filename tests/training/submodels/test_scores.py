"""Scores of filters, and the filters that are kept."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.small_models import NormCnn, seeded
from hypothesis import given
from hypothesis import strategies as st

from training.engine.program import LocalResult
from training.models.digits_cnn import DigitsCnn
from training.structure.layout import Layout
from training.structure.structure import Structure
from training.submodels.estimates import RoundStatistics, RunningMean
from training.submodels.scores import FilterScore, Scorer, keep_best
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams

ROUND_0, LATER = Streams(7, 0), Streams(7, 5)
RNG = np.random.default_rng(3)


def scorer(model=DigitsCnn, **fields):
    made, layout, vector = seeded(model)
    return Scorer(FilterScore(**fields), Structure.of(made, layout)), vector


def known(values):
    return RunningMean(values.astype(np.float32), np.ones(values.shape, dtype=bool))


def row(it, gradient=None, curvature=None):
    """Estimates of which everything is known."""
    size, found = it.structure.layout.parameter_size, it.initial(1).row(0)
    gradient = np.zeros(size) if gradient is None else gradient
    curvature = np.ones(size) if curvature is None else curvature
    return replace(found, gradient=known(gradient), curvature=known(curvature))


def filters(vector, layout: Layout, name):
    """The numbers of a tensor, a row a filter."""
    (entry,) = (entry for entry in layout.entries if entry.name == name)
    return vector[entry.slice].reshape(entry.shape[0], -1).astype(np.float64)


def test_l1_is_the_sum_over_weights_and_bias():
    it, vector = scorer(score="l1")
    found, layout = it.filters(vector, it.initial(1).row(0), LATER), it.structure.layout
    assert list(found) == ["conv1", "conv2", "fc1"]
    for name, values in found.items():
        both = np.hstack([filters(vector, layout, f"{name}.{part}") for part in ("weight", "bias")])
        np.testing.assert_allclose(values, np.abs(both).sum(axis=1))


def test_batch_norm_counts_when_asked():
    found = []
    for bn in (False, True):
        it, vector = scorer(NormCnn, score="l1", score_bn=bn)
        found.append(it.filters(vector, it.initial(1).row(0), LATER)["hidden"])
    np.testing.assert_allclose(
        found[1] - found[0], np.ones(6)
    )  # scale 1 and shift 0, as they begin


@pytest.mark.parametrize("score", ["curvature", "paper", "taylor", "l1"])
def test_a_filter_of_zeros_has_no_score(score):
    it, vector = scorer(score=score)
    size = it.structure.layout.parameter_size
    for part in ("weight", "bias"):
        (entry,) = (entry for entry in it.structure.layout.entries if entry.name == f"conv2.{part}")
        vector[entry.slice].reshape(16, -1)[3] = 0
    found = it.filters(vector, row(it, RNG.normal(size=size), RNG.random(size)), LATER)["conv2"]
    assert np.flatnonzero(found == 0).tolist() == [3]


def test_without_gradients_all_second_order_scores_rank_alike():
    orders = []
    for score in ("curvature", "paper", "taylor"):
        it, vector = scorer(score=score)
        curvature = np.random.default_rng(1).random(it.structure.layout.parameter_size)
        found = it.filters(vector, row(it, curvature=curvature), LATER)
        orders.append([np.argsort(values).tolist() for values in found.values()])
    assert orders[0] == orders[1] == orders[2]


def test_the_scale_of_the_curvature_does_not_matter():
    it, vector = scorer()
    curvature = RNG.random(it.structure.layout.parameter_size)
    widths = it.structure.uniform(0.5)
    subs = [
        keep_best(it.filters(vector, row(it, curvature=scale * curvature), LATER), widths)
        for scale in (1.0, 64.0, 0.25)
    ]
    assert subs[0] == subs[1] == subs[2]


def test_taylor_is_the_growth_of_a_quadratic_when_a_filter_is_set_to_zero():
    it, vector = scorer(NormCnn, score="taylor")
    layout = it.structure.layout
    weights = vector[: layout.parameter_size].astype(np.float64)
    best = weights + RNG.normal(size=weights.size)
    hessian = RNG.random(weights.size).astype(np.float32).astype(np.float64)
    gradient = hessian * (weights - best)

    def loss(point):
        return 0.5 * np.sum(hessian * (point - best) ** 2)

    found = it.filters(vector, row(it, gradient, hessian), LATER)["hidden"]
    (entry,) = (entry for entry in layout.entries if entry.name == "conv.weight")
    for channel, score in enumerate(found):
        without = weights.copy()
        without[entry.slice].reshape(6, -1)[channel] = 0
        assert score == pytest.approx(
            loss(without) - loss(weights), rel=1e-5, abs=1e-6
        )  # g and h are float32


def test_paper_has_the_printed_sign_and_no_half():
    it, vector = scorer(NormCnn, score="paper")
    size = it.structure.layout.parameter_size
    gradient, curvature = (RNG.random(size).astype(np.float32) for _ in range(2))
    terms = (gradient + curvature * vector[:size]) * vector[:size]
    (entry,) = (entry for entry in it.structure.layout.entries if entry.name == "conv.weight")
    found = it.filters(vector, row(it, gradient, curvature), LATER)["hidden"]
    np.testing.assert_allclose(found, terms[entry.slice].reshape(6, -1).sum(axis=1), rtol=1e-5)


def test_weights_never_held_count_with_the_mean_of_their_tensor():
    it, vector = scorer(NormCnn)
    estimates = row(it, curvature=np.zeros(it.structure.layout.parameter_size))
    (entry,) = (entry for entry in it.structure.layout.entries if entry.name == "conv.weight")
    value, there = estimates.curvature.value.copy(), estimates.curvature.known.copy()
    value[entry.slice].reshape(6, -1)[:4] = np.array([2, 4, 6, 8])[:, None]
    there[entry.slice].reshape(6, -1)[4:] = False
    partly = replace(estimates, curvature=RunningMean(value, there))
    squares = (filters(vector, it.structure.layout, "conv.weight") ** 2).sum(axis=1)
    found = it.filters(vector, partly, LATER)["hidden"]
    np.testing.assert_allclose(found, squares * [2, 4, 6, 8, 5, 5])


def test_knowing_nothing_the_curvature_score_is_the_squared_weight():
    it, vector = scorer(NormCnn, random_rounds=0)
    squares = (filters(vector, it.structure.layout, "conv.weight") ** 2).sum(axis=1)
    np.testing.assert_allclose(it.filters(vector, it.initial(1).row(0), ROUND_0)["hidden"], squares)


def test_movement_is_summed_over_a_filter_and_kept_while_it_has_no_holder():
    it, vector = scorer(NormCnn, score="delta")
    layout = it.structure.layout
    (entry,) = (entry for entry in layout.entries if entry.name == "conv.weight")
    estimates, start = it.initial(1).row(0), vector[: layout.parameter_size]
    for held, step in (([0, 1, 2], 0.5), ([2, 3], -0.25)):
        mask = np.zeros(layout.size, dtype=bool)
        mask[entry.slice].reshape(6, -1)[held] = True
        seen = RoundStatistics(start, 1.0)
        for other in (0.0, 2 * step):  # two clients whose mean moves by `step`
            moved = np.where(mask, vector + np.float32(other), vector)
            seen.add(LocalResult(vector=moved, mask=mask, loss=0.0, steps=3), 1.0)
        estimates = it.learn(estimates, seen)
    found = it.filters(vector, estimates, LATER)["hidden"]
    np.testing.assert_allclose(found[:4], np.array([0.5, 0.5, 0.25, 0.25]) * 9, rtol=1e-5)
    np.testing.assert_allclose(found[4:], found[:4].mean(), rtol=1e-5)


def test_first_rounds_are_random_and_a_function_of_seed_and_round():
    it, vector = scorer(random_rounds=2)

    def draw(round, seed=7):
        return it.filters(vector, it.initial(1).row(0), Streams(seed, round))["fc1"]

    assert np.array_equal(draw(0), draw(0))
    assert not np.array_equal(draw(0), draw(1))
    assert not np.array_equal(draw(0), draw(0, seed=8))
    assert np.array_equal(draw(2), draw(3))
    assert np.array_equal(
        scorer(score="random")[0].filters(vector, it.initial(1).row(0), ROUND_0)["fc1"], draw(0)
    )


@given(
    st.lists(st.floats(-1, 1) | st.just(0.0), min_size=2, max_size=30),
    st.floats(0, 0.99),
    st.floats(0, 0.99),
)
def test_the_best_are_kept_and_more_pruning_is_a_subset(values, one, other):
    found = {"layer": np.array(values)}
    low, high = sorted((one, other))
    few, many = (
        set(keep_best(found, {"layer": max(1, round((1 - ratio) * len(values)))}).kept["layer"])
        for ratio in (high, low)
    )
    assert few <= many
    assert len(few) == max(1, round((1 - high) * len(values)))
    gone = set(range(len(values))) - few
    assert max((values[i] for i in gone), default=-2) <= min(values[i] for i in few)


def test_of_equals_the_later_ones_stay():
    assert keep_best({"layer": np.zeros(5)}, {"layer": 2}).kept["layer"] == (3, 4)


def test_estimates_are_as_many_as_the_score_needs():
    def sizes(clients=3, **fields):
        it = scorer(**fields)[0].initial(clients)
        return [
            len(it.curvature.value),
            it.curvature.value.size,
            it.gradient.value.size,
            it.last_vector.size,
        ]

    size = scorer()[0].structure.layout.parameter_size
    assert sizes() == [1, size, 0, 0]
    assert sizes(score="l1", score_scope="client") == [3, 0, 0, 0]
    assert sizes(score="taylor", score_scope="client") == [3, 3 * size, 3 * size, 0]
    assert sizes(curvature="secant") == [1, size, size, size]
    assert scorer(score="delta")[0].initial(1).movement.value.size == 8 + 16 + 50


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"score": "l2"}, "training.score must be one of curvature, .*; got 'l2'"),
        ({"curvature": "hessian"}, "training.curvature must be one of fisher, .*; got 'hessian'"),
        ({"score_scope": "all"}, "training.score_scope must be one of shared, client; got 'all'"),
        (
            {"random_rounds": -1},
            "training.random_rounds must be a whole number of at least 0, got -1",
        ),
        ({"score_momentum": 1.0}, "training.score_momentum must be below 1, got 1"),
        ({"score_momentum": -0.5}, "training.score_momentum must be at least 0, got -0.5"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, said):
    with pytest.raises(InputError, match=said):
        FilterScore(**fields)
