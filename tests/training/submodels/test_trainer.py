"""Rounds of sub-models: local work, reconstruction, costs and estimates."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.small_models import SmallLogistic
from helpers.sub_models import train_in_place

from training.algorithms.server.fedavg import FedAvg
from training.algorithms.submodels.ca_hfp import CaHfp
from training.engine.accounting import Accounting
from training.engine.program import LocalWork, epoch_batches
from training.structure.build import build_like
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from training.submodels.ratios import FilterRatios
from training.submodels.scores import FilterScore
from training.task import Task
from wirelessfl import plugins
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

K = 4
DIGITS = Task(partition="dirichlet", batch_size=16)
RESNET = Task(model="resnet20", image_size=32, width=0.1, partition="dirichlet", batch_size=4)
ALL, NONE, NO_CLIENT = Delivery.all(K), np.zeros(K), np.zeros(K, dtype=bool)
LOOP = Runtime(executor="loop")
GIVEN = FilterRatios(ratios="given", filter_ratios=(0.0, 0.25, 0.5, 0.75))


def make(task=DIGITS, **fields):
    return CaHfp(task=task, **{"local_steps": 2, "learning_rate": 0.05, "momentum": 0.5} | fields)


def start(algorithm):
    trainer = algorithm.trainer(clients=K, seed=0, runtime=LOOP)
    return trainer, trainer.init(0)


def after(algorithm, rounds=2, ratios=NONE):
    trainer, state = start(algorithm)
    for _ in range(rounds):
        state, metrics = trainer.step(state, ratios, ALL)
    return trainer, state, metrics


def structure_of(algorithm):
    return Structure.of(*algorithm.method.spec().build_model())


def results(algorithm, trainer, state, ratios):
    """Every client's full-size model after its program, and what it holds of it."""
    structure = structure_of(algorithm)
    subs = trainer.sub_models(
        state, {k: structure.uniform(ratio) for k, ratio in enumerate(ratios)}
    )
    data = algorithm.task.load(clients=K, seed=0, data_root=None)
    engine = algorithm.method.spec().build(data)
    found = [
        train_in_place(
            engine,
            structure,
            LocalWork(
                client=k,
                vector=state.shared.copy(),
                program=algorithm.method.program,
                pruning_ratio=0.0,
                streams=Streams(0, state.round),
                sub=subs[k],
            ),
        )
        for k in range(K)
    ]
    sizes = np.array([len(rows) for rows in data.train_index], dtype=np.float64)
    return (
        np.array([one.vector for one in found], np.float64),
        np.array([one.mask for one in found]),
        sizes / sizes.sum(),
    )


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("task", "reconstruct"),
    [
        (DIGITS, "residual"),
        (DIGITS, "holders"),
        (DIGITS, "zero-fill"),
        pytest.param(RESNET, "residual", marks=pytest.mark.slow),
    ],
)
def test_ratio_0_is_federated_averaging_bit_for_bit(task, reconstruct):
    fields = {"task": task, "learning_rate": 0.05, "momentum": 0.9, "local_steps": 2}
    _, average, costs = after(FedAvg(**fields))
    for more in ({}, {"ranks": FilterRatios(ratios="uniform", filter_ratio=0.0)}):
        _, state, metrics = after(CaHfp(**fields, **more, reconstruct=reconstruct))
        assert np.array_equal(state.shared, average.shared)
        for name in ("loss", "uplink_bits", "downlink_bits", "flops"):
            assert np.array_equal(getattr(metrics, name), getattr(costs, name))
        assert metrics.extra == {"kept_share": 1.0, "filter_ratio": 0.0}


@pytest.mark.parametrize("reconstruct", ["residual", "holders", "zero-fill"])
@pytest.mark.parametrize("task", [DIGITS, pytest.param(RESNET, marks=pytest.mark.slow)])
def test_a_round_matches_the_reference(task, reconstruct):
    ratios = (0.25, 0.25, 0.5, 0.75)
    algorithm = make(
        task, ranks=FilterRatios(ratios="given", filter_ratios=ratios), reconstruct=reconstruct
    )
    trainer, state, _ = after(algorithm, 1)
    vectors, masks, shares = results(algorithm, trainer, state, ratios)
    new, before = trainer.step(state, NONE, ALL)[0].shared, state.shared.astype(np.float64)
    assert np.array_equal(
        vectors[~masks], np.broadcast_to(before, vectors.shape)[~masks]
    )  # no client trains the rest
    moved = np.einsum("k,kn->n", shares, masks * (vectors - before))
    weight, no_client = shares @ masks, ~masks.any(axis=0)
    assert no_client.any()
    expected = {
        "residual": before + moved,  # sum_k p_k m_k Delta_k, no e_t
        "holders": before + np.divide(moved, weight, out=np.zeros_like(moved), where=weight > 0),
        "zero-fill": before
        - (1 - weight) * before
        + moved,  # [CA-HFP] eq. (5) with e_t = sum_k p_k (1 - m_k) w_t of [CA-HFP] eq. (13)
    }
    np.testing.assert_allclose(new, expected[reconstruct], rtol=1e-5, atol=1e-7)
    if reconstruct != "zero-fill":
        assert np.array_equal(new[no_client], state.shared[no_client])
    else:
        assert not new[no_client].any()


def test_without_a_step_the_model_comes_back_as_it_was():
    _, state = start(make(ranks=GIVEN, local_steps=0))
    _, again, _ = after(make(ranks=GIVEN, local_steps=0), 1)
    assert np.array_equal(again.shared, state.shared)


def test_identical_clients_with_identical_filters_are_one_client(monkeypatch):
    data = Task(partition="iid", train_samples=90).load(clients=1, seed=0, data_root=None)

    def same(task, *, clients, seed, data_root):
        return replace(
            data, train_index=data.train_index * clients, test_index=data.test_index * clients
        )

    monkeypatch.setattr(Task, "load", same)
    algorithm, states = (
        make(Task(batch_size=90), ranks=FilterRatios(ratios="uniform", filter_ratio=0.5)),
        [],
    )
    for clients in (1, 3):
        trainer = algorithm.trainer(clients=clients, seed=0, runtime=LOOP)
        state = trainer.init(0)
        for _ in range(2):
            state, _ = trainer.step(state, np.zeros(clients), Delivery.all(clients))
        states.append(state)
    np.testing.assert_allclose(states[0].shared, states[1].shared, rtol=1e-4, atol=1e-6)
    curvatures = [state.estimates.curvature.value for state in states]
    np.testing.assert_allclose(*curvatures, rtol=1e-2, atol=1e-7)


def test_one_score_for_all_gives_nested_filters():
    trainer, state, _ = after(make(ranks=GIVEN), 2)
    structure = structure_of(make())
    subs = trainer.sub_models(
        state, {k: structure.uniform(ratio) for k, ratio in enumerate(GIVEN.filter_ratios)}
    )
    for name, width in structure.widths.items():
        sets = [set(subs[k].kept[name]) for k in range(K)]
        assert sets[3] <= sets[2] <= sets[1] <= sets[0]
        assert [len(kept) for kept in sets] == [
            max(1, round((1 - r) * width)) for r in GIVEN.filter_ratios
        ]


def test_with_the_same_filters_for_all_holders_is_residual_bit_for_bit():
    uniform = FilterRatios(ratios="uniform", filter_ratio=0.5)
    states = [after(make(ranks=uniform, reconstruct=how), 3)[1] for how in ("residual", "holders")]
    assert np.array_equal(states[0].shared, states[1].shared)


def test_filters_omitted_by_all_clients_stay_zero_under_zero_fill():
    trainer, state, _ = after(
        make(ranks=FilterRatios(ratios="uniform", filter_ratio=0.5), reconstruct="zero-fill"), 1
    )
    widths, kept = structure_of(make()).uniform(0.5), []
    for _ in range(3):
        kept.append(trainer.sub_models(state, {0: widths})[0])
        state, _ = trainer.step(state, NONE, ALL)
    assert kept[0] == kept[1] == kept[2]


def test_scores_of_their_own_give_clients_filters_of_their_own():
    trainer, state, _ = after(make(ranks=GIVEN, score=FilterScore(score_scope="client")), 2)
    widths = structure_of(make()).uniform(0.5)
    subs = trainer.sub_models(state, dict.fromkeys(range(K), widths))
    assert len({tuple(sorted(sub.kept.items())) for sub in subs.values()}) > 1


def test_a_clients_own_estimates_come_from_its_own_movement():
    algorithm = make(ranks=GIVEN, score=FilterScore(score_scope="client"), momentum=0.5)
    trainer, state = start(algorithm)
    vectors, masks, _ = results(algorithm, trainer, state, GIVEN.filter_ratios)
    state_after, _ = trainer.step(state, NONE, Delivery.of([True, True, False, True]))
    size = state_after.estimates.curvature.value.shape[1]
    step = (vectors - state.shared)[:, :size] / (0.1 * 2)  # eta' = 0.05 / (1 - 0.5), two steps
    for k in (0, 1, 3):
        assert np.array_equal(state_after.estimates.curvature.known[k], masks[k, :size])
        np.testing.assert_allclose(
            state_after.estimates.curvature.value[k], step[k] ** 2, rtol=1e-5, atol=1e-12
        )
    assert not state_after.estimates.curvature.known[2].any()  # what does not arrive tells nothing


def test_exact_fisher_is_the_mean_of_squared_gradients_and_is_paid_for():
    algorithm = make(ranks=GIVEN, score=FilterScore(curvature="exact-fisher"), local_steps=3)
    trainer, state = start(algorithm)
    after_it, metrics = trainer.step(state, NONE, ALL)
    plain = start(make(ranks=GIVEN, local_steps=3))
    without, cheaper = plain[0].step(plain[1], NONE, ALL)
    assert np.array_equal(after_it.shared, without.shared)
    assert not np.allclose(after_it.estimates.curvature.value, without.estimates.curvature.value)
    np.testing.assert_allclose(metrics.flops, 2 * cheaper.flops)
    np.testing.assert_allclose(
        metrics.uplink_bits, 2 * cheaper.uplink_bits
    )  # no statistics of batch norm here
    np.testing.assert_allclose(trainer.demand(state).fixed_upload_bits, metrics.uplink_bits)


@pytest.mark.parametrize("task", [DIGITS, pytest.param(RESNET, marks=pytest.mark.slow)])
def test_costs_are_those_of_the_compact_networks(task):
    algorithm = make(task, ranks=GIVEN)
    trainer, state = start(algorithm)
    _, metrics = trainer.step(state, NONE, ALL)
    model, _ = algorithm.method.spec().build_model()
    structure, parameters = structure_of(algorithm), []
    sizes = [len(rows) for rows in task.load(clients=K, seed=0, data_root=None).train_index]
    for k, ratio in enumerate(GIVEN.filter_ratios):
        small = build_like(model, structure.uniform(ratio))
        layout = type(structure.layout).of(small)
        everything = np.ones(layout.upload_size, dtype=bool)
        batch, epoch = min(task.batch_size, sizes[k]), epoch_batches(sizes[k], task.batch_size)
        flops = Accounting.of(small, layout).flops(
            algorithm.method.program, everything, batch, epoch=epoch
        )
        assert metrics.flops[k] == pytest.approx(flops)
        assert metrics.uplink_bits[k] == metrics.downlink_bits[k] == 32 * layout.size
        parameters.append(layout.parameter_size)
    assert metrics.extra["kept_share"] == pytest.approx(
        np.mean(parameters) / structure.layout.parameter_size
    )
    demand = trainer.demand(state)
    assert np.array_equal(demand.fixed_upload_bits, metrics.uplink_bits)
    assert np.array_equal(demand.fixed_download_bits, metrics.downlink_bits)
    assert not demand.prunable_upload_bits.any()
    assert not demand.prunable_updates.any()
    dense = FedAvg(task=task, local_steps=2).demand(K).fixed_updates
    np.testing.assert_allclose(
        demand.fixed_updates / demand.fixed_updates[0], metrics.flops / metrics.flops[0]
    )
    assert demand.fixed_updates[0] == dense[0]


@pytest.mark.parametrize("task", [DIGITS, RESNET])
def test_an_allocated_ratio_fits_bits_and_flops_and_is_not_wasted(task):
    algorithm, ratios = make(task), np.array([0.05, 0.2, 0.4, 0.7])
    trainer, state = start(algorithm)
    demand = trainer.demand(state)
    _, dense = trainer.step(state, NONE, ALL)
    _, metrics = trainer.step(state, ratios, ALL)
    assert np.array_equal(demand.prunable_upload_bits, dense.uplink_bits)
    assert np.array_equal(demand.prunable_download_bits, dense.downlink_bits)
    for name in ("uplink_bits", "downlink_bits", "flops"):
        share = getattr(metrics, name) / getattr(dense, name)
        assert np.all(share <= (1 - ratios) * (1 + 1e-9))
    fullest = np.maximum(metrics.uplink_bits / dense.uplink_bits, metrics.flops / dense.flops)
    taking_part = (
        metrics.uplink_bits > 0
    )  # a residual network has weights that are in every sub-model
    assert taking_part.tolist() == [True, True, True, task is DIGITS]
    assert np.all(fullest[taking_part] > 0.75 * (1 - ratios)[taking_part])


def test_clients_with_no_or_too_small_a_sub_model_are_idle():
    trainer, state = start(make())
    new, metrics = trainer.step(state, np.array([0.0, 1.0, 0.9999, 0.5]), ALL)
    assert metrics.uplink_bits[[1, 2]].tolist() == metrics.flops[[1, 2]].tolist() == [0, 0]
    assert metrics.downlink_bits[[1, 2]].tolist() == [0, 0]
    absent = Delivery(
        participates=np.array([1, 0, 0, 1], bool),
        on_time=np.array([1, 0, 0, 1], bool),
        late=NO_CLIENT,
        arrived_late=NO_CLIENT,
    )
    other, _ = trainer.step(state, np.array([0.0, 0.0, 0.0, 0.5]), absent)
    assert equal(trainer.pack(new), trainer.pack(other))


def test_a_round_without_clients_changes_no_weight_and_no_estimate():
    trainer, state, _ = after(make(ranks=GIVEN), 1)
    new, metrics = trainer.step(state, np.ones(K), ALL)
    assert metrics.loss is None
    assert metrics.extra == {}
    before, now = trainer.pack(state), trainer.pack(new)
    assert [name for name in before if not np.array_equal(before[name], now[name])] == ["round"]


def test_a_late_model_joins_the_model_of_its_arrival_and_teaches_nothing():
    algorithm = make(ranks=FilterRatios(ratios="uniform", filter_ratio=0.5))
    trainer, state = start(algorithm)
    vectors, masks, _ = results(algorithm, trainer, state, [0.5] * K)
    now, later = np.array([1, 1, 1, 0], bool), np.array([0, 0, 0, 1], bool)
    waiting, _ = trainer.step(
        state,
        NONE,
        Delivery(participates=now | later, on_time=now, late=later, arrived_late=NO_CLIENT),
    )
    without, _ = trainer.step(
        state, NONE, Delivery(participates=now, on_time=now, late=NO_CLIENT, arrived_late=NO_CLIENT)
    )
    assert np.array_equal(waiting.shared, without.shared)
    assert equal(waiting.estimates.pack(), without.estimates.pack())
    arrival = Delivery(
        participates=NO_CLIENT, on_time=NO_CLIENT, late=NO_CLIENT, arrived_late=later
    )
    arrived, _ = trainer.step(waiting, NONE, arrival)
    back = np.where(masks[3], vectors[3].astype(np.float32), waiting.shared)
    assert np.array_equal(arrived.shared, back)
    fresh, _, shares = results(algorithm, trainer, waiting, [0.5] * K)
    beside, _ = trainer.step(waiting, NONE, replace(arrival, participates=now, on_time=now))
    expected = np.average([*fresh[:3], back], axis=0, weights=shares)
    np.testing.assert_allclose(beside.shared, expected, rtol=1e-5, atol=1e-7)
    assert equal(arrived.estimates.pack(), waiting.estimates.pack())
    assert not arrived.base.late


def test_late_models_join_in_the_same_order_after_a_restart():
    """1e17, -1e17 and 1 sum up to 1 or to 0: it depends on who comes first."""
    trainer, state = start(make(ranks=GIVEN, weighted=False))
    size = len(state.shared)
    late = {
        k: (np.full(size, value, np.float32), np.ones(size, bool))
        for k, value in ((2, 1e17), (0, -1e17), (1, 1))
    }
    state = replace(state, base=replace(state.base, late=late))
    arrive = Delivery(
        participates=NO_CLIENT,
        on_time=NO_CLIENT,
        late=NO_CLIENT,
        arrived_late=np.array([1, 1, 1, 0], bool),
    )
    one, other = (
        trainer.step(it, NONE, arrive)[0] for it in (state, trainer.unpack(trainer.pack(state)))
    )
    assert np.array_equal(one.shared, other.shared)


@pytest.mark.parametrize("scope", ["shared", "client"])
@pytest.mark.parametrize(
    "score", [{"score": "taylor", "curvature": "secant"}, {"score": "delta"}, {"score": "l1"}]
)
def test_a_restored_state_continues_identically(score, scope):
    algorithm = make(ranks=GIVEN, score=FilterScore(**score, score_scope=scope))
    trainer, state, _ = after(algorithm, 2)
    later = Delivery(
        participates=~NO_CLIENT,
        on_time=np.array([1, 0, 1, 1], bool),
        late=np.array([0, 1, 0, 0], bool),
        arrived_late=NO_CLIENT,
    )
    state, _ = trainer.step(state, NONE, later)
    other = algorithm.trainer(clients=K, seed=0, runtime=LOOP)
    packed = {name: array.copy() for name, array in trainer.pack(state).items()}
    restored = other.unpack(packed)
    assert equal(other.pack(restored), trainer.pack(state))
    ends = []
    for it, at in ((trainer, state), (other, restored)):
        for delivery in (replace(ALL, arrived_late=~later.on_time, on_time=later.on_time), ALL):
            at, _ = it.step(at, NONE, delivery)
        ends.append(it.pack(at))
    assert equal(*ends)


def test_a_state_of_another_score_is_one_line():
    trainer, state = start(make(score=FilterScore(score="l1")))
    other, _ = start(make())
    with pytest.raises(
        InputError,
        match=r"training state score_curvature must have shape \(1, 5008\), got \(1, 0\)",
    ):
        other.unpack(trainer.pack(state))


def test_a_dense_download_is_charged_to_all_and_never_shrinks():
    for fields in ({"ranks": GIVEN}, {}):
        algorithm = make(dense_download=True, **fields)
        trainer, state = start(algorithm)
        _, metrics = trainer.step(state, NONE, ALL)
        whole = structure_of(algorithm).layout.size * 32
        assert metrics.downlink_bits.tolist() == [whole] * K
        demand = trainer.demand(state)
        assert demand.fixed_download_bits.tolist() == [whole] * K
        assert not demand.prunable_download_bits.any()


def test_the_network_may_not_prune_a_method_with_ratios_of_its_own():
    trainer, state = start(make(ranks=GIVEN))
    with pytest.raises(
        InputError,
        match=r"pruning_ratio must be 0, or 1 .* whose ratios are its own, got 0.3: choose",
    ):
        trainer.step(state, np.full(K, 0.3), ALL)


def test_a_model_without_groups_is_one_line(monkeypatch):
    class Plain(SmallLogistic):
        classes = 10
        personal = ()

    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda kind, name: Plain if name == "plain" else load(kind, name)
    )
    with pytest.raises(
        InputError, match=r"^training.model 'plain' must declare groups of filters .*, got none$"
    ):
        make(Task(model="plain", batch_size=16)).demand(K)


@pytest.mark.parametrize("ratios", ["uniform", "allocation"])
def test_no_client_omits_a_filter_of_a_whole_group(ratios):
    algorithm = make(ranks=FilterRatios(ratios=ratios, whole_groups=("conv2",)))
    trainer, state = start(algorithm)
    structure = algorithm.method.structure()
    _, metrics = trainer.step(state, np.full(K, 0.2 if ratios == "allocation" else 0.0), ALL)
    if ratios == "uniform":
        expected = structure.uniform(0.5)
    else:
        expected = structure.largest_within(bits_fraction=0.8, flops_fraction=0.8)
    assert expected["conv2"] == structure.widths["conv2"]
    assert expected["conv1"] < structure.widths["conv1"]
    assert np.all(metrics.uplink_bits == structure.bits(SubModel.first(expected)))


def test_whole_groups_that_the_model_lacks_are_one_line():
    with pytest.raises(
        InputError, match=r"training\.whole_groups must be one of conv1, .*; got 'blocks\.6'"
    ):
        make(ranks=FilterRatios(whole_groups=("blocks.6",))).demand(K)


def test_a_list_of_ratios_for_other_clients_is_one_line():
    with pytest.raises(
        InputError, match="filter_ratios must have one ratio for each of 3 clients, got 4"
    ):
        make(ranks=GIVEN).demand(3)
