"""Constants of the convergence theorems: exact on quadratics; bounds computed manually; errors of pruning."""

import math

import numpy as np
import pytest
import torch

from training.algorithms.server.fedalt import FedAlt
from training.algorithms.submodels.ca_hfp import CaHfp
from training.convergence import (
    CaHfpConstants,
    LocalObjectives,
    WflConstants,
    ca_hfp_bound,
    smoothness,
    wfl_bound,
)
from training.convergence.bounds import wfl_left_side
from training.data.federated import FederatedData
from training.engine.spec import EngineSpec
from training.structure.form import Form
from training.submodels.ratios import FilterRatios
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

FEATURES, ROWS, BATCH = 6, (40, 25), 8
LOOP = Runtime(executor="loop")


def quadratic(personal=("fc.bias",)):
    """Linear regression of two clients, with their Hessians 2 [X 1]'[X 1] / n.

    The vector is [bias | weights]: the bias is the personal part.
    """
    rng = np.random.default_rng(3)
    features = rng.standard_normal((sum(ROWS), FEATURES)) * np.arange(1, FEATURES + 1)
    features += 0.5
    targets = features @ rng.standard_normal(FEATURES) + rng.standard_normal(sum(ROWS))
    index = torch.split(torch.arange(sum(ROWS)), list(ROWS))
    inputs = torch.from_numpy(features.astype(np.float32))
    numbers = torch.from_numpy(targets.astype(np.float32))
    data = FederatedData(
        train_images=inputs,
        train_labels=numbers,
        test_images=inputs,
        test_labels=numbers,
        mean=0.0,
        std=1.0,
        classes=1,
        train_index=index,
        test_index=index,
    )
    spec = EngineSpec(
        model="linear",
        personalised=True,
        batch_size=BATCH,
        device="cpu",
        form=Form(input_shape=(FEATURES,), classes=1),
        personal=personal,
    )
    extended = np.hstack([np.ones((sum(ROWS), 1)), inputs.double().numpy()])
    parts = [(extended[rows.numpy()], numbers[rows].double().numpy()) for rows in index]
    return LocalObjectives(spec, data), parts


def at(objectives, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(objectives.layout.size).astype(np.float32)


def test_losses_and_gradients_of_a_quadratic_are_exact():
    objectives, parts = quadratic()
    point = at(objectives)
    for client, (rows, targets) in enumerate(parts):
        residual = rows @ point.astype(np.float64) - targets
        assert objectives.loss(client, point) == pytest.approx(np.mean(residual**2), rel=1e-12)
        expected = 2 * rows.T @ residual / len(rows)
        np.testing.assert_allclose(objectives.gradient(client, point), expected, rtol=1e-10)


def test_smoothness_of_a_quadratic_is_the_norm_of_the_blocks_of_its_hessian():
    objectives, parts = quadratic()
    layout, size = objectives.layout, objectives.layout.parameter_size
    blocks = [
        (layout.shared, layout.shared),
        (layout.personal, layout.personal),
        (layout.shared, layout.personal),
        (layout.personal, layout.shared),
        (layout.part("all"), layout.part("all")),
    ]
    for client, (rows, _) in enumerate(parts):
        hessian = 2 * rows.T @ rows / len(rows)
        product = objectives.hessian(client, at(objectives))
        direction = np.arange(size, dtype=np.float64)
        np.testing.assert_allclose(product(direction), hessian @ direction, rtol=1e-10)
        for high, wide in blocks:
            expected = np.linalg.norm(hessian[high, wide], 2)
            assert smoothness(product, size, high, wide) == pytest.approx(expected, rel=0.01)


def test_a_norm_between_two_wide_parts_and_one_without_rows():
    matrix = np.random.default_rng(0).standard_normal((30, 30))
    matrix += matrix.T
    found = smoothness(lambda x: matrix @ x, 30, slice(0, 12), slice(12, 30))
    assert found == pytest.approx(np.linalg.norm(matrix[:12, 12:], 2), rel=0.01)
    assert smoothness(lambda x: matrix @ x, 30, slice(0, 0), slice(0, 30)) == 0.0


def test_noise_is_the_variance_over_all_mini_batches():
    objectives, parts = quadratic()
    point = at(objectives).astype(np.float64)
    for client, (rows, targets) in enumerate(parts):
        each = 2 * rows * (rows @ point - targets)[:, None]
        rng = np.random.default_rng(client)
        drawn = np.stack(
            [each[rng.permutation(len(rows))[:BATCH]].mean(axis=0) for _ in range(20_000)]
        )
        spread = ((drawn - each.mean(axis=0)) ** 2).mean(axis=0)
        noise = objectives.noise(client, at(objectives))
        assert noise.personal == pytest.approx(spread[0], rel=0.05)
        assert noise.shared == pytest.approx(spread[1:].sum(), rel=0.05)


def test_a_client_whose_batch_is_all_it_has_has_no_noise():
    objectives, _ = quadratic()
    objectives._batch_size = 100
    assert objectives.noise(0, at(objectives)) == (0.0, 0.0)


def test_batch_norm_is_refused_in_one_line():
    task = Task(dataset="digits", model="resnet20", image_size=32, image_channels=3)
    with pytest.raises(InputError, match=r"^training\.bound_every must be 0 .* 'resnet20'$"):
        CaHfp(task=task, bound_every=1).trainer(clients=2, seed=0, runtime=LOOP)


WFL = WflConstants(
    shared_smoothness=2.0,
    personal_smoothness=3.0,
    pruning_error=0.5,
    shared_moment=0.7,
    shared_noise=0.11,
    personal_noise=0.13,
)
SETTING = {
    "gap": 2.3,
    "rounds": 50,
    "clients": 4,
    "weights": 10,
    "holders": 2,
    "ratios": 60.0,
    "shared_rate": 0.1,
    "personal_rate": 0.2,
    "shared_steps": 3,
    "personal_steps": 5,
}


def test_theorem_1_of_wfl_computed_manually():
    found = wfl_bound(WFL, **SETTING)
    assert found["start"] == pytest.approx(2.3 / 50)
    first = 0.2**2 * 5**2 * 0.13 * 3 / 2 + 4 * 0.2**3 * 3**2 * 0.13 * 5**2 * 4
    second = 3 * 0.1**2 * 10**2 * 3**2 * 0.7 * 2 / 2
    third = 10 * 0.7 * 4 * 0.1**3 * 2**2 * 3**3
    third += 3 * 10**2 * 0.1**2 * 3**2 * 4 * 0.11 * 2
    third += 3 * 10**2 * 2**3 * 3**4 * 0.1**4 * 4 * 0.7
    assert found["steps"] == pytest.approx(first + second + third / (2 * 2))
    a_2 = (10 * 0.1 * 3 * 2**2 * 0.5 + 3 * 10**2 * 0.1**2 * 2**3 * 0.5 * 3**2) / (50 * 2)
    assert found["pruning"] == pytest.approx(a_2 * 60)
    rates = {name: SETTING[name] for name in SETTING if name.endswith(("rate", "steps"))}
    assert wfl_left_side(2.0, 3.0, **rates) == pytest.approx(0.2 * 5 / 8 * 2 + 0.1 * 3 / 2 * 3)


def test_without_a_holder_the_bound_is_infinite():
    found = wfl_bound(WFL, **SETTING | {"holders": 0})
    assert math.isinf(found["steps"])
    assert math.isinf(found["pruning"])
    assert wfl_bound(WFL, **SETTING | {"holders": 0, "ratios": 0.0})["pruning"] == 0.0


def test_the_printed_personal_step_asks_for_more_than_there_is():
    """[WFL] erratum W21: [WFL] eq. (58) with K equal quadratics F_k = v^2 / 2, one exact step from 1."""
    clients, rate = 100, 0.1
    before, after = 0.5, 0.5 * (1 - rate) ** 2
    printed = rate / 8 * clients * 1.0
    assert printed == pytest.approx(1.25)
    assert before - after < printed
    assert before - after > printed / clients  # with the factor 1 / K


def test_theorem_1_of_ca_hfp_computed_manually():
    constants = CaHfpConstants(smoothness=2.0, noise=0.3, dissimilarity=0.4)
    found = ca_hfp_bound(constants, gap=2.3, rounds=50, rate=0.1, steps=5, pruning_error=0.25)
    assert found["start"] == pytest.approx(4 * 2.3 / (0.1 * 5 * 50))
    assert found["noise"] == pytest.approx(16 * 2.0 * 0.1 * 5 * 0.7)
    assert found["pruning"] == pytest.approx(12 * 2.0 / (0.1 * 5) * 0.25)


TASK = Task(dataset="digits", model="digits-cnn", train_samples=120, batch_size=16)
K = 4


def steps(algorithm, ratios, rounds=2):
    trainer = algorithm.trainer(clients=K, seed=0, runtime=LOOP)
    state = trainer.init(0)
    found = []
    for _ in range(rounds):
        before = state
        state, metrics = trainer.step(state, np.array(ratios), Delivery.all(K))
        found.append((before, state, dict(metrics.extra)))
    return trainer, found


def test_a_run_of_fedalt_records_both_sides_of_theorem_1():
    algorithm = FedAlt(task=TASK, bound_every=2)
    trainer, found = steps(algorithm, [0.0, 0.5, 0.5, 0.5])
    spec = algorithm.method.spec()
    data = TASK.load(clients=K, seed=0, data_root=None)
    objectives, layout = LocalObjectives(spec, data), spec.layout()
    for before, after, extra in found:
        first = [objectives.gradient(k, before.client_vector(k, layout)) for k in range(K)]
        squares = sum((g[layout.personal] ** 2).sum() for g in first)
        assert extra["personal_gradient"] == pytest.approx(squares)
        middle = [
            np.concatenate([after.personal[k], before.shared]).astype(np.float32) for k in range(K)
        ]
        shared = np.mean(
            [objectives.gradient(k, middle[k])[layout.shared] for k in range(K)], axis=0
        )
        assert extra["shared_gradient"] == pytest.approx(shared @ shared)
        assert extra["ratios"] == 1.5
        assert 1 <= extra["holders"] <= K
        assert extra["without_holder"] == 0.0  # the first client keeps all
        largest = (before.shared.astype(np.float64) ** 2).sum() / 0.5
        assert 0 < extra["pruning_error"] < largest
    assert "shared_smoothness" in found[0][2]
    assert "shared_smoothness" not in found[1][2]  # every second round
    assert found[0][2]["shared_moment"] >= found[0][2]["shared_gradient"]
    trainer.close()


def test_measuring_changes_no_bit_of_the_training():
    plain, measured = (
        steps(FedAlt(task=TASK, bound_every=every), [0.3] * K)[1][-1][1] for every in (0, 1)
    )
    np.testing.assert_array_equal(plain.shared, measured.shared)
    np.testing.assert_array_equal(plain.personal, measured.personal)


@pytest.mark.parametrize("reconstruct", ["residual", "holders", "zero-fill"])
def test_the_error_of_pruning_is_what_the_two_equations_say(reconstruct):
    ranks = FilterRatios(ratios="given", filter_ratios=(0.0, 0.3, 0.6, 0.6))
    algorithm = CaHfp(task=TASK, ranks=ranks, reconstruct=reconstruct, bound_every=2)
    _, found = steps(algorithm, [0.0] * K)
    for before, _, extra in found:
        size = (before.shared.astype(np.float64) ** 2).sum()
        assert 0 < extra["zeroed_error"] < size
        if (
            reconstruct == "residual"
        ):  # [CA-HFP] eq. (4): w + sum p m Delta, so that nothing is left over
            assert extra["pruning_error"] < 1e-10
        elif reconstruct == "zero-fill":  # both equations are the same
            assert extra["pruning_error"] == pytest.approx(extra["zeroed_error"], rel=1e-4)
        else:
            assert extra["pruning_error"] > 1e-10
    assert {"smoothness", "noise", "gradient", "dissimilarity", "loss"} <= set(found[0][2])
    assert "smoothness" not in found[1][2]
