"""[SPS] Algorithm 1 for all its methods against a reference; payload, losses, resumption."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.quadratics import ALL, CLIENTS, DESCENT, NONE, RATE, SEED, SIZE, Quadratics, run, start

from training.algorithms.control_variates.accelerated_server_pruning import AcceleratedServerPruning
from training.algorithms.control_variates.accelerated_server_pruning_modified import (
    AcceleratedServerPruningModified,
)
from training.algorithms.control_variates.fedht import Fedht
from training.algorithms.control_variates.fediht import Fediht
from training.algorithms.control_variates.final_topk import FinalTopk
from training.algorithms.control_variates.proxskip import Proxskip
from training.algorithms.control_variates.randprox_l1 import RandproxL1
from training.algorithms.control_variates.scaffold import Scaffold
from training.algorithms.control_variates.sparse_proxskip import SparseProxskip
from training.algorithms.control_variates.sparse_proxskip_local import SparseProxskipLocal
from training.algorithms.control_variates.sparse_proxskip_modified import SparseProxskipModified
from training.control_variates.sparsity_settings import Sparse, SparseUpload
from training.control_variates.trainer import observed
from wirelessfl.errors import DivergenceError, InputError
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

KEPT = 3  # of 6 weights
HALF, HALF_UPLOAD = Sparse(sparsity=0.5), SparseUpload(sparsity=0.5)
METHODS = {
    "proxskip": Proxskip(),
    "sparse-proxskip": SparseProxskip(sparse=HALF_UPLOAD),
    "local": SparseProxskipLocal(sparse=HALF_UPLOAD),
    "randprox": RandproxL1(sparse=HALF, l1=1.5),
    "asp": AcceleratedServerPruning(sparse=HALF),
    "final-topk": FinalTopk(sparsity=0.5),
    "fedht": Fedht(sparse=HALF),
    "fediht": Fediht(sparse=HALF_UPLOAD),
    "fediht-server": Fediht(sparse=HALF_UPLOAD, server_threshold=True),
    "asp-modified": AcceleratedServerPruningModified(sparse=HALF),
    "sps-modified": SparseProxskipModified(sparse=HALF_UPLOAD),
    "scaffold": Scaffold(sparsity=0.5),
}
KEEP_THE_SUM = (
    "proxskip",
    "sparse-proxskip",
    "local",
    "randprox",
    "final-topk",
    "asp-modified",
    "scaffold",
)
BREAK_THE_SUM = ("asp", "sps-modified")


def top(vector):
    """TopK written out: descending magnitude, then ascending place."""
    order = sorted(range(len(vector)), key=lambda place: (-abs(vector[place]), place))
    return np.array([value if place in order[:KEPT] else 0.0 for place, value in enumerate(vector)])


def algorithm_1(name, iterations, heads, lengths, l1=1.5):
    """The pseudo-code of [SPS], line by line: one iteration, one client at a time."""
    problem, n = Quadratics(RATE), CLIENTS
    w, h, mean, rounds, p = np.zeros((n, SIZE)), np.zeros((n, SIZE)), None, 0, DESCENT.probability
    for t in range(iterations):
        hat = np.array([w[i] - RATE * (problem.gradient(i, w[i]) - h[i]) for i in range(n)])
        if name in ("local", "fediht", "fediht-server"):
            hat = np.array([top(each) for each in hat])
        if name == "randprox":
            hat = np.sign(hat) * np.maximum(np.abs(hat) - RATE * l1, 0.0)
        if not heads[t]:
            w = hat
            continue
        sent = (
            np.array([top(each) for each in hat])
            if name in ("sparse-proxskip", "sps-modified")
            else hat
        )
        mean = sum(sent) / n
        model = top(mean) if name in ("asp", "asp-modified", "fedht", "fediht-server") else mean
        if name not in ("fedht", "fediht", "fediht-server"):
            each = 1 / lengths[rounds] if name == "scaffold" else p
            seen = mean if name == "asp-modified" else model
            h = h + each / RATE * (seen - (hat if name == "sps-modified" else sent))
        w, rounds = np.array([model] * n), rounds + 1
    return w[0], h


@pytest.mark.parametrize("name", METHODS)
def test_equals_the_pseudo_code_line_by_line(name):
    lengths = [DESCENT.steps(Streams(SEED, round)) for round in range(8)]
    heads = np.concatenate([[False] * (length - 1) + [True] for length in lengths])
    model, control = algorithm_1(name, len(heads), heads, lengths)
    state, _ = run(METHODS[name], len(lengths))
    np.testing.assert_allclose(state.shared, model, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state.control, control, rtol=1e-10, atol=1e-10)
    assert max(lengths) > 1


@pytest.mark.parametrize("name", KEEP_THE_SUM)
def test_the_sum_of_the_control_variates_stays_zero(name):
    trainer, state = start(METHODS[name])
    for _ in range(25):
        state, metrics = trainer.step(state, NONE, ALL)
        assert np.abs(state.control.sum(axis=0)).max() <= 1e-9 * np.abs(state.control).sum()
    assert metrics.extra["mean_control"] > 1
    assert metrics.extra["sum_control"] <= 1e-9 * metrics.extra["mean_control"]


@pytest.mark.parametrize("name", BREAK_THE_SUM)
def test_one_round_breaks_the_sum_where_the_pruning_is_not_seen(name):
    state, metrics = run(METHODS[name], 1)
    assert metrics.extra["sum_control"] > 0.01 * metrics.extra["mean_control"]
    assert metrics.extra["sum_control"] == pytest.approx(np.linalg.norm(state.control.sum(axis=0)))


def test_server_pruning_changes_the_sum():
    dense, _ = run(METHODS["proxskip"], 1)
    state, _ = run(METHODS["asp"], 1)
    mean = dense.shared
    expected = CLIENTS * DESCENT.probability / RATE * (top(mean) - mean)
    np.testing.assert_allclose(state.control.sum(axis=0), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", METHODS)
def test_uploads_downlink_and_evaluated_model_have_their_numbers_of_weights(name):
    trainer, state = start(METHODS[name])
    for _ in range(3):
        state, metrics = trainer.step(state, NONE, ALL)
        kept = SIZE if name == "proxskip" else KEPT
        assert trainer.evaluate(state) <= kept  # the helper's accuracy counts weights
        sparse = name in ("sparse-proxskip", "local", "fediht", "fediht-server", "sps-modified")
        if sparse:
            assert state.sent.max() <= KEPT
            assert metrics.uplink_bits.tolist() == [32.0 * KEPT] * CLIENTS
        elif name == "randprox":
            np.testing.assert_array_equal(metrics.uplink_bits, 32 * state.sent)
        else:
            assert (
                metrics.uplink_bits.tolist()
                == [32.0 * SIZE * (2 if name == "scaffold" else 1)] * CLIENTS
            )
        if name in ("asp", "asp-modified", "fedht", "fediht-server"):
            assert metrics.extra["nonzero"] <= KEPT


@pytest.mark.parametrize("name", METHODS)
def test_a_download_is_the_model_of_the_round_before(name):
    trainer, state = start(METHODS[name])
    dense = 32.0 * SIZE * (2 if name == "scaffold" else 1)
    expected = dense  # before the first round zeros are not known
    for _ in range(3):
        asked = trainer.demand(state)
        state, metrics = trainer.step(state, NONE, ALL)
        assert (
            metrics.downlink_bits.tolist()
            == asked.fixed_download_bits.tolist()
            == [expected] * CLIENTS
        )
        expected = (
            dense if METHODS[name].method.rules.is_dense else 32.0 * np.count_nonzero(state.shared)
        )
    assert expected < dense or name not in ("asp", "asp-modified", "fedht", "fediht-server")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SparseProxskip(sparse=SparseUpload(sparsity=0)), Proxskip()),
        (SparseProxskipLocal(sparse=SparseUpload(sparsity=0)), Proxskip()),
        (SparseProxskipModified(sparse=SparseUpload(sparsity=0)), Proxskip()),
        (AcceleratedServerPruning(sparse=Sparse(sparsity=0)), Proxskip()),
        (AcceleratedServerPruningModified(sparse=Sparse(sparsity=0)), Proxskip()),
        (FinalTopk(sparsity=0.5), Proxskip()),
        (RandproxL1(sparse=HALF, l1=0.0), Proxskip()),
        (Fediht(sparse=SparseUpload(sparsity=0)), Fedht(sparse=Sparse(sparsity=0))),
    ],
)
def test_with_everything_kept_it_is_the_dense_method_bit_for_bit(one, other):
    (state, _), (dense, _) = run(one, 6), run(other, 6)
    np.testing.assert_array_equal(state.shared, dense.shared)
    np.testing.assert_array_equal(state.control, dense.control)


def test_sparse_proxskip_is_proxskip_until_the_first_communication_and_local_at_p_one():
    lengths = DESCENT.steps(Streams(SEED, 0))
    dense, _ = run(METHODS["proxskip"], 1)
    sparse, _ = run(METHODS["sparse-proxskip"], 1)
    problem, ends = Quadratics(RATE), []
    for client in range(CLIENTS):
        w = np.zeros(SIZE)
        for _ in range(lengths):
            w = w - RATE * problem.gradient(client, w)
        ends.append(w)
    np.testing.assert_allclose(dense.shared, np.mean(ends, axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        sparse.shared, np.mean([top(end) for end in ends], axis=0), rtol=1e-12
    )
    once = replace(DESCENT, probability=1.0)
    (one, _), (other, _) = run(METHODS["sparse-proxskip"], 9, once), run(METHODS["local"], 9, once)
    np.testing.assert_array_equal(one.shared, other.shared)
    np.testing.assert_array_equal(one.control, other.control)


def test_scaffold_is_proxskip_when_the_number_of_steps_is_fixed():
    fixed = replace(DESCENT, coin="fixed")
    (one, _), (other, _) = run(METHODS["scaffold"], 7, fixed), run(METHODS["proxskip"], 7, fixed)
    np.testing.assert_allclose(one.shared, other.shared, rtol=1e-12)
    np.testing.assert_allclose(one.control, other.control, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["asp", "fedht", "sps-modified"])
def test_the_recorded_gradient_is_the_mean_of_those_on_the_way(name):
    trainer, state = start(METHODS[name])
    for _ in range(3):
        before = state
        state, metrics = trainer.step(state, NONE, ALL)
    problem, seen = Quadratics(RATE), []
    for client in range(CLIENTS):
        w = before.shared
        for _ in range(int(metrics.extra["local_steps"])):
            seen.append(problem.gradient(client, w))
            w = w - RATE * (seen[-1] - before.control[client])
    assert len(seen) > CLIENTS
    assert metrics.extra["gradient"] == pytest.approx(
        np.linalg.norm(np.mean(seen, axis=0)), rel=1e-9
    )


def test_the_demand_of_a_round_knows_its_number_of_steps():
    trainer, state = start(METHODS["sparse-proxskip"])
    for round in range(4):
        length = DESCENT.steps(Streams(SEED, round))
        assert trainer.demand(state).fixed_updates.tolist() == [length * SIZE] * CLIENTS
        state, metrics = trainer.step(state, NONE, ALL)
        assert metrics.extra["local_steps"] == length
    assert METHODS["proxskip"].method.descent.expected_steps != length


def test_all_methods_take_the_same_steps():
    lengths = {name: [run(METHODS[name], 3)[1].extra["local_steps"]] for name in METHODS}
    assert len({tuple(each) for each in lengths.values()}) == 1
    assert lengths["proxskip"] == [DESCENT.steps(Streams(SEED, 2))]


def test_lost_clients_keep_their_control_variate_and_are_in_no_sum():
    trainer, state = start(METHODS["sparse-proxskip"])
    for _ in range(2):
        state, _ = trainer.step(state, NONE, ALL)
    now = np.array([True, True, True, False])
    later = ~now
    delivery = Delivery(
        participates=np.ones(CLIENTS, bool),
        on_time=now,
        late=later,
        arrived_late=np.zeros(CLIENTS, bool),
    )
    after, metrics = trainer.step(state, NONE, delivery)
    np.testing.assert_array_equal(after.control[3], state.control[3])
    assert not np.array_equal(after.control[:3], state.control[:3])
    assert np.abs(after.control.sum(axis=0)).max() <= 1e-9 * np.abs(after.control).sum()
    assert metrics.uplink_bits[3] == 32 * KEPT  # sent and paid for
    without, costs = trainer.step(state, np.array([0.0, 0.0, 0.0, 1.0]), ALL)  # without band
    np.testing.assert_array_equal(without.shared, after.shared)
    assert costs.uplink_bits[3] == costs.flops[3] == 0
    arrived = Delivery(
        participates=np.ones(CLIENTS, bool),
        on_time=np.ones(CLIENTS, bool),
        late=~now & now,
        arrived_late=later,
    )
    np.testing.assert_array_equal(
        trainer.step(after, NONE, arrived)[0].shared, trainer.step(after, NONE, ALL)[0].shared
    )


def test_non_participating_clients_cost_nothing_and_are_unchanged():
    trainer, state = start(METHODS["randprox"])
    state, _ = trainer.step(state, NONE, ALL)
    here = np.array([True, False, True, False])
    no_client = np.zeros(CLIENTS, bool)
    after, metrics = trainer.step(
        state,
        NONE,
        Delivery(participates=here, on_time=here, late=no_client, arrived_late=no_client),
    )
    for costs in (metrics.uplink_bits, metrics.downlink_bits, metrics.flops):
        assert np.all((costs > 0) == here)
    np.testing.assert_array_equal(after.control[~here], state.control[~here])
    np.testing.assert_array_equal(after.sent[~here], state.sent[~here])
    assert np.abs(after.control.sum(axis=0)).max() <= 1e-9 * np.abs(after.control).sum()


def test_without_deliveries_the_model_stays():
    trainer, state = start(METHODS["sparse-proxskip"])
    state, _ = trainer.step(state, NONE, ALL)
    after, _ = trainer.step(state, NONE, Delivery.of(np.zeros(CLIENTS, bool)))
    np.testing.assert_array_equal(after.shared, state.shared)
    np.testing.assert_array_equal(after.control, state.control)
    assert after.round == state.round + 1
    left_out, metrics = trainer.step(state, np.ones(CLIENTS), ALL)
    np.testing.assert_array_equal(left_out.shared, state.shared)
    assert not metrics.uplink_bits.any()


def test_ratios_of_the_allocation_are_the_sparsity_of_each_upload():
    allocated = SparseProxskip(sparse=SparseUpload(sparsity=0.5, sparsity_from="allocation"))
    trainer, state = start(allocated)
    ratios = np.array([0.0, 0.2, 0.7, 1.0])
    demand = trainer.demand(state)
    assert demand.prunable_upload_bits.tolist() == [32.0 * SIZE] * CLIENTS
    assert not demand.fixed_upload_bits.any()
    assert not demand.prunable_updates.any()
    after, metrics = trainer.step(state, ratios, ALL)
    assert metrics.uplink_bits.tolist() == [32.0 * 6, 32.0 * 4, 32.0 * 1, 0.0]
    assert after.sent[:3].tolist() == [6, 4, 1]
    assert not after.control[3].any()
    assert np.abs(after.control.sum(axis=0)).max() <= 1e-9 * np.abs(after.control).sum()
    local, _ = start(SparseProxskipLocal(sparse=allocated.sparse))
    assert local.step(state, ratios, ALL)[0].sent[:3].tolist() == [6, 4, 1]


def test_a_ratio_without_a_use_is_refused_in_one_line():
    trainer, state = start(METHODS["sparse-proxskip"])
    with pytest.raises(
        InputError, match=r"^pruning_ratio must be 0, or 1 .* whose sparsity is its own, got 0.3"
    ):
        trainer.step(state, np.full(CLIENTS, 0.3), ALL)


@pytest.mark.parametrize("name", METHODS)
def test_a_run_resumed_from_a_checkpoint_is_the_same_run(name):
    trainer, state = start(METHODS[name])
    for _ in range(3):
        state, _ = trainer.step(state, NONE, ALL)
    packed = {key: array.copy() for key, array in trainer.pack(state).items()}
    restored = trainer.unpack(packed)
    for _ in range(3):
        (state, metrics), (restored, again) = (
            trainer.step(state, NONE, ALL),
            trainer.step(restored, NONE, ALL),
        )
    np.testing.assert_array_equal(state.shared, restored.shared)
    np.testing.assert_array_equal(state.control, restored.control)
    assert metrics.extra == again.extra
    np.testing.assert_array_equal(
        trainer.demand(state).fixed_upload_bits, trainer.demand(restored).fixed_upload_bits
    )


def test_a_state_of_another_shape_is_refused_in_one_line():
    trainer, state = start(Proxskip())
    packed = trainer.pack(state) | {"control": np.zeros((2, SIZE))}
    with pytest.raises(
        InputError, match=r"^training state control must have shape \(4, 6\), got \(2, 6\)$"
    ):
        trainer.unpack(packed)


def test_a_step_size_that_diverges_stops_in_one_line():
    trainer, state = start(Proxskip(), replace(DESCENT, learning_rate=20 * RATE))
    last = state

    def goes_on():
        nonlocal last
        for _ in range(100):
            last, _ = trainer.step(last, NONE, ALL)

    said = (
        r"^training diverged: round \d+, the norm of the model is .*; "
        r"reduce training.learning_rate$"
    )
    with pytest.raises(DivergenceError, match=said):
        goes_on()
    assert last.round > 0
    assert np.isfinite(last.shared).all()


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e15])
def test_a_model_that_is_not_finite_or_too_great_has_diverged(number):
    with pytest.raises(
        DivergenceError, match=r"^training diverged: round 3, the norm of the model is "
    ):
        observed(3, np.array([1.0, number]), np.zeros((2, 2)), steps=4)


def test_the_clients_order_does_not_matter():
    trainer, state = start(METHODS["sparse-proxskip"])
    after, _ = trainer.step(state, NONE, ALL)
    order = np.array([2, 0, 3, 1])
    trainer._steps.features = trainer._steps.features[order]
    trainer._steps.targets = trainer._steps.targets[order]
    permuted, _ = trainer.step(state, NONE, ALL)
    np.testing.assert_allclose(permuted.shared, after.shared, rtol=1e-12)
    np.testing.assert_allclose(permuted.control, after.control[order], rtol=1e-10, atol=1e-12)
