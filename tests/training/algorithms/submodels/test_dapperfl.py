"""DapperFL: dense training, fusion, pruning of one's own model, compact training, recovery."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.sub_models import train_in_place

from training.algorithms.server.fedavg import FedAvg
from training.algorithms.submodels.dapperfl import Dapperfl
from training.algorithms.submodels.fedmp import Fedmp
from training.engine.program import LocalWork
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from training.submodels.fusion import Fusion
from training.submodels.ratios import FilterRatios
from training.submodels.scores import FilterScore, Scorer, keep_best
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

K = 3
TASK = Task(partition="dirichlet", batch_size=16)
RESNET = Task(model="resnet20", image_size=32, width=0.1, partition="iid", batch_size=4)
ALL, NONE = Delivery.all(K), np.zeros(K)
GIVEN = FilterRatios(ratios="given", filter_ratios=(0.0, 0.25, 0.5))
PLAIN = Fusion(dense_share=0.5, fusion_start=0.0, fusion_least=0.0)


def start(algorithm, executor="loop"):
    trainer = algorithm.trainer(clients=K, seed=0, runtime=Runtime(executor=executor, workers=2))
    return trainer, trainer.init(0)


def run(algorithm, rounds=2, executor="loop", ratios=NONE):
    trainer, state = start(algorithm, executor)
    for _ in range(rounds):
        asked = trainer.demand(state)
        state, metrics = trainer.step(state, ratios, ALL)
    trainer.close()
    return state, asked, metrics


def reference_run(algorithm, state, data, *, fused):
    """The next global model by the paper's steps; `fused` makes w_f of w_t and w_k, with other
    filters.
    """
    spec = algorithm.method.spec()
    engine, structure = spec.build(data), Structure.of(*spec.build_model())
    scorer = Scorer(FilterScore(score="l1", random_rounds=0), structure)
    whole, recovered, alike = SubModel.first(structure.widths), [], []
    for client, ratio in enumerate(GIVEN.filter_ratios):
        work = LocalWork(
            client=client,
            vector=state.shared.copy(),
            program=algorithm.method.programs(0)[0],
            pruning_ratio=0.0,
            streams=Streams(0, state.round),
        )
        vector = fused(state.shared, engine.train(work).vector)
        sub = keep_best(scorer.filters(vector, None, work.streams), structure.uniform(ratio))
        alike.append(
            sub
            == keep_best(scorer.filters(state.shared, None, work.streams), structure.uniform(ratio))
        )
        last = replace(
            work,
            vector=vector,
            program=algorithm.method.programs(0)[1],
            sub=None if sub == whole else sub,
        )
        result = train_in_place(engine, structure, last)
        recovered.append(np.where(result.mask, result.vector, state.shared))
    assert not all(alike)  # so filters by w_t would be other ones
    sizes = [len(rows) for rows in data.train_index]
    return np.average(recovered, axis=0, weights=sizes)


@pytest.mark.parametrize("task", [TASK, RESNET])
def test_a_round_matches_the_reference(task):
    algorithm = Dapperfl(
        task=task, ranks=GIVEN, local_steps=4, feature_penalty=0.1, learning_rate=0.5
    )
    trainer, state = start(algorithm)
    state, _ = trainer.step(state, NONE, ALL)
    after, _ = trainer.step(state, NONE, ALL)
    data = task.load(clients=K, seed=0, data_root=None)
    expected = reference_run(algorithm, state, data, fused=lambda w, local: 0.72 * w + 0.28 * local)
    np.testing.assert_allclose(
        after.shared, expected, rtol=1e-4, atol=1e-4
    )  # batch norm of 4 at a large rate


def test_without_fusion_and_penalty_it_prunes_the_locally_trained_model_by_its_l1_norms():
    algorithm = Dapperfl(
        task=TASK, ranks=GIVEN, local_steps=4, feature_penalty=0.0, fusion=PLAIN, learning_rate=0.5
    )
    trainer, state = start(algorithm)
    after, _ = trainer.step(state, NONE, ALL)
    data = TASK.load(clients=K, seed=0, data_root=None)
    expected = reference_run(algorithm, state, data, fused=lambda w, local: local)
    np.testing.assert_allclose(after.shared, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("fields", [{}, {"local_epochs": 1, "momentum": 0.9}])
def test_without_a_dense_part_either_it_is_fedmp_bit_for_bit(fields):
    nothing_before = replace(PLAIN, dense_share=0.0)
    one, _, metrics = run(
        Dapperfl(task=TASK, ranks=GIVEN, feature_penalty=0, fusion=nothing_before, **fields)
    )
    other, _, expected = run(Fedmp(task=TASK, ranks=GIVEN, **fields))
    assert np.array_equal(one.shared, other.shared)
    np.testing.assert_array_equal(metrics.flops, expected.flops)


def test_the_penalty_and_the_fusion_matter():
    models = [
        run(Dapperfl(task=TASK, ranks=GIVEN, **fields), rounds=1)[0].shared
        for fields in ({}, {"feature_penalty": 0.0}, {"fusion": PLAIN})
    ]
    assert not np.array_equal(models[0], models[1])
    assert not np.array_equal(models[0], models[2])


def test_the_download_and_the_first_part_are_dense():
    dapper = Dapperfl(
        task=TASK, ranks=FilterRatios(ratios="uniform", filter_ratio=0.5), local_steps=4
    )
    _, asked, metrics = run(dapper, rounds=1)
    _, small, cheap = run(Fedmp(task=TASK, ranks=dapper.ranks, local_steps=2), rounds=1)
    _, dense, dear = run(FedAvg(task=TASK, local_steps=2), rounds=1)
    np.testing.assert_array_equal(metrics.downlink_bits, dear.downlink_bits)
    np.testing.assert_array_equal(metrics.uplink_bits, cheap.uplink_bits)
    np.testing.assert_allclose(metrics.flops, cheap.flops + dear.flops)
    np.testing.assert_array_equal(asked.fixed_download_bits, metrics.downlink_bits)
    np.testing.assert_array_equal(asked.fixed_upload_bits, metrics.uplink_bits)
    np.testing.assert_allclose(asked.fixed_updates, small.fixed_updates + dense.fixed_updates)


def test_an_allocation_can_prune_the_second_part_only():
    dapper = Dapperfl(task=TASK, local_steps=4)
    _, asked, metrics = run(dapper, rounds=1, ratios=np.array([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(asked.fixed_updates, asked.prunable_updates)
    assert metrics.uplink_bits[1] <= 0.5 * asked.prunable_upload_bits[1]
    assert metrics.uplink_bits[2] == metrics.flops[2] == 0


@pytest.mark.parametrize("executor", [pytest.param("workers", marks=pytest.mark.slow), "stacked"])
def test_every_executor_does_the_same(executor):
    algorithm = Dapperfl(task=TASK, ranks=GIVEN)
    (one, *_), (other, *_) = run(algorithm), run(algorithm, executor=executor)
    if executor == "workers":
        assert np.array_equal(one.shared, other.shared)
    np.testing.assert_allclose(one.shared, other.shared, rtol=1e-4, atol=1e-6)


def test_errors_are_one_line():
    logistic = Task(model="logistic", dataset="mnist")
    with pytest.raises(
        InputError, match=r"training.feature_penalty must be 0 for model 'logistic', which names no"
    ):
        Dapperfl(task=logistic)
    with pytest.raises(InputError, match=r"'logistic' must declare groups of filters"):
        Dapperfl(task=logistic, feature_penalty=0.0).demand(K)
    with pytest.raises(InputError, match=r"training.feature_penalty must be at least 0, got -1"):
        Dapperfl(feature_penalty=-1)
