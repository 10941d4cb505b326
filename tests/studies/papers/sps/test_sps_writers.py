"""The studies of [SPS] by writer, on a ResNet and with the radio: runs, settings, costs, claims."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.studies import synthetic_record

from studies.papers.sps import _sps as names
from studies.papers.sps import _sps_control as controlled
from studies.papers.sps import _sps_writers as common
from studies.papers.sps import sps_fig1 as fig1
from studies.papers.sps import sps_fig2 as fig2
from studies.papers.sps import sps_fig3 as fig3
from studies.papers.sps import sps_fig4 as fig4
from studies.papers.sps import sps_fig6 as fig6
from studies.papers.sps import sps_table3 as table3
from studies.papers.sps import sps_table4 as table4
from studies.papers.sps import sps_wireless as wireless
from studies.report.one_run.run import Run
from studies.report.results import Sample, Table
from training.sparsity.payload import choice_bits
from wirelessfl.config.scenario_file import experiment_hash, to_tables
from wirelessfl.planning import plan

ACCURACY = {
    names.FINAL_TOPK: 0.75,
    names.FEDHT: 0.8,
    names.FEDIHT: 0.82,
    names.ASP: 0.7,
    names.LOCAL: 0.85,
    names.SPARSE_PROXSKIP: 0.87,
}


def sample(mean):
    return Sample((mean, mean * (1 + 1e-6)))


def table_of(rows):
    """A table of {label: {column: mean or None}}."""
    return Table(
        tuple(
            {
                "row": label,
                **{name: None if mean is None else sample(mean) for name, mean in cells.items()},
            }
            for label, cells in rows.items()
        )
    )


def held(study, rows):
    return [claim.check(table_of(rows)).holds for claim in study.CLAIMS]


def failed(study, rows, label, **cells):
    """The places of the claims that fail once these cells of a row are other ones."""
    changed = {**rows, label: {**rows[label], **cells}}
    return [place for place, holds in enumerate(held(study, changed)) if not holds]


def run_of(accuracies, bits=1e6, **fields):
    """A run of two clients that was evaluated in every round."""
    records = [synthetic_record(number, 2).as_dict() for number in range(1, len(accuracies) + 1)]
    return Run(
        [
            record
            | {"accuracy": accuracy, "loss": 1 - accuracy, "uplink_bits": [bits, bits], **fields}
            for record, accuracy in zip(records, accuracies, strict=True)
        ]
    )


def hashes(experiments):
    return [experiment_hash(one) for one in experiments]


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["small", "paper"])
def test_table3_and_fig3_share_runs_and_searches_with_table4(scale):
    first = table4.experiments(scale)
    searches = table4.searches(scale)
    assert len(first) == 6 * len(common.SPARSITIES[scale])
    for study in (table3, fig3):
        for label, seeds in study.experiments(scale).items():
            assert hashes(seeds) == hashes(first[label])
            assert study.searches(scale).get(label) == searches.get(label)
    assert searches.keys() == (first.keys() if scale == "paper" else set())


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_fig1_is_made_of_the_runs_of_fig2_and_fig4(scale):
    shared = fig1.experiments(scale)
    for data, study in ((fig1.BLOG, fig2), (fig1.CIFAR, fig4)):
        for label, seeds in study.experiments(scale).items():
            mine = hashes(shared[fig1.row_of(data, label)])
            assert mine == hashes(seeds)[: len(mine)]
    assert len(fig1.searches(scale)) == len(fig2.searches(scale)) + len(fig4.searches(scale))


def test_writers_are_a_hundred_clients_with_full_gradients():
    for seeds in table4.experiments("paper").values():
        training = to_tables(seeds[0])["training"]
        assert (seeds[0].scenario.clients, len(seeds)) == (100, 5)
        assert (training["dataset"], training["partition"]) == ("qmnist-writers", "natural")
        assert (training["model"], training["gradients"]) == ("logistic", "full")


@pytest.mark.parametrize("study", [table4, fig4])
def test_no_round_is_too_long_for_its_deadline(study):
    experiment = next(iter(study.experiments("small").values()))[0]
    method = experiment.algorithm.method
    clients = experiment.scenario.clients
    longest = plan(experiment, method.demand(clients, steps=10_000)).allocation
    assert np.all(longest.bandwidth_fraction == 1 / clients)
    assert np.all(longest.pruning_ratio == 0)


def test_what_table3_counts_is_values_only():
    experiments = table3.experiments("small")
    sparse, dense = (
        experiments[names.label_of(name, 0.9)][0] for name in (names.SPARSE_PROXSKIP, names.ASP)
    )
    # 784 pixels and a bias for each of ten classes; a tenth of the weights without their places.
    assert np.all(dense.algorithm.demand(100).fixed_upload_bits == 32 * 7850)
    assert np.all(sparse.algorithm.demand(100).fixed_upload_bits == 32 * 785)


def test_fig6_has_the_same_steps_for_all():
    algorithms = [seeds[0].algorithm for seeds in fig6.experiments("small").values()]
    assert len({algorithm.descent for algorithm in algorithms}) == 1
    assert len({type(algorithm) for algorithm in algorithms}) == 4


def test_the_networks_setting_is_the_printed_one():
    for seeds in fig4.experiments("paper").values():
        training = to_tables(seeds[0])["training"]
        assert (seeds[0].scenario.clients, seeds[0].run.rounds) == (10, 500)
        assert (training["model"], training["dataset"], training["dirichlet_alpha"]) == (
            "resnet18",
            "cifar10",
            0.3,
        )
        assert (training["size_sigma"], training["weight_decay"], training["sparsity"]) == (
            0.3,
            1e-4,
            0.9,
        )
    space = next(iter(fig4.searches("paper").values())).space
    assert [round(1 / value) for value in space["training.probability"].values] == [
        8,
        16,
        32,
        64,
        128,
        256,
    ]


def test_costs_are_of_one_client_and_empty_where_not_all_get_there(monkeypatch):
    monkeypatch.setattr(common, "data_of", lambda runs: "made up")
    label = names.label_of(names.FEDHT, 0.9)
    row = table3.table({label: [run_of([0.5, 0.76, 0.81]), run_of([0.5, 0.79, 0.79])]}).rows[0]
    assert row["mbits_to_0.75"].values == (2.0, 2.0)
    assert row["mbits_to_0.8"] is None
    assert row["reached_0.8"].values == (1.0, 0.0)


def test_the_common_accuracy_of_fig3_is_the_lowest_of_the_final_ones(monkeypatch):
    monkeypatch.setattr(common, "data_of", lambda runs: "made up")
    monkeypatch.setattr(fig3, "coded_mbits", fig3.total_mbits)
    found = fig3.table({"a": [run_of([0.5, 0.6, 0.9], 2e6)], "b": [run_of([0.1, 0.2, 0.6])]})
    assert found.sample("a", "mbits_to_common_accuracy").values == (4.0,)
    assert found.sample("b", "mbits_to_common_accuracy").values == (3.0,)


def test_coded_uploads_have_their_masks_and_dense_ones_stay_as_they_are():
    experiment = table4.experiments("small")[names.label_of(names.SPARSE_PROXSKIP, 0.9)][0]
    size = experiment.algorithm.method.spec().layout().parameter_size
    kept = size // 10
    sparse, dense = (
        replace(run_of([0.5, 0.6], bits=32.0 * count), made_from=experiment)
        for count in (kept, size)
    )
    coded = 32 * kept + choice_bits(kept, size) + size.bit_length()
    assert names.coded_mbits([sparse]).values == pytest.approx((2 * coded / 1e6,))
    assert names.coded_mbits([dense]).values == pytest.approx((2 * 32 * size / 1e6,))


def test_claims_of_table3():
    bits = dict(
        zip((*common.BASELINES, *common.PROPOSED), (40.0, 25.0, 5.0, 10.0, 2.0, 1.0), strict=True)
    )
    rows = {
        names.label_of(name, 0.9): {table3.column_of(at): cost for at in table3.THRESHOLDS}
        for name, cost in bits.items()
    }
    assert all(held(table3, rows))
    assert failed(
        table3, rows, names.label_of(names.FEDHT, 0.9), **{table3.column_of(0.8): 15.0}
    ) == [5]
    assert failed(
        table3, rows, names.label_of(names.LOCAL, 0.9), **{table3.column_of(0.85): 0.5}
    ) == [3]
    nowhere = {table3.column_of(at): None for at in table3.THRESHOLDS}
    assert failed(table3, rows, names.label_of(names.FEDIHT, 0.9), **nowhere) == [4]
    assert {0, 1, 2, 3} <= set(
        failed(table3, rows, names.label_of(names.SPARSE_PROXSKIP, 0.9), **nowhere)
    )


def table4_rows():
    rows = {}
    for place, sparsity in enumerate(table4.CLAIMED):
        for name, accuracy in ACCURACY.items():
            slope = {names.SPARSE_PROXSKIP: 0.01, names.LOCAL: 0.01, names.FINAL_TOPK: 0.06}.get(
                name, 0.03
            )
            rows[names.label_of(name, sparsity)] = {"accuracy": accuracy - slope * place}
    return rows


def test_claims_of_table4():
    rows = table4_rows()
    assert all(held(table4, rows))
    assert failed(table4, rows, names.label_of(names.FEDHT, 0.9), accuracy=0.9) == [1]
    assert failed(table4, rows, names.label_of(names.FEDHT, 0.99), accuracy=0.82) == [3]
    assert failed(table4, rows, names.label_of(names.FINAL_TOPK, 0.8), accuracy=0.6) == [4]
    assert failed(table4, rows, names.label_of(names.ASP, 0.99), accuracy=0.4) == [5]


def test_claims_of_fig3():
    rows = {
        names.label_of(name, 0.99): {
            "accuracy": value,
            "loss": 1 - value,
            "mbits_to_common_accuracy": 1 - value,
        }
        for name, value in ACCURACY.items()
    }
    assert all(held(fig3, rows))
    assert failed(fig3, rows, names.label_of(names.ASP, 0.99), accuracy=0.86) == [2]
    assert failed(
        fig3, rows, names.label_of(names.ASP, 0.99), loss=0.01, mbits_to_common_accuracy=0.01
    ) == [0, 1, 4, 5]


def test_claims_of_fig6():
    cells = {
        names.SPARSE_PROXSKIP: (0.9, 0.2, 1e-12),
        controlled.ASP_MODIFIED: (0.85, 0.3, 1e-12),
        names.ASP: (0.7, 2.0, 70.0),
        controlled.MODIFIED: (0.6, 3.0, 80.0),
    }
    rows = {
        names.label_of(name, 0.9): dict(zip(("accuracy", "loss", "sum_by_mean"), row, strict=True))
        | {"clients": 100.0}
        for name, row in cells.items()
    }
    assert all(held(fig6, rows))
    assert failed(fig6, rows, names.label_of(controlled.ASP_MODIFIED, 0.9), sum_by_mean=1e-3) == [1]
    assert failed(fig6, rows, names.label_of(controlled.MODIFIED, 0.9), sum_by_mean=0.1) == [3]
    assert failed(fig6, rows, names.label_of(names.ASP, 0.9), accuracy=0.87) == [8]


def test_claims_of_fig4():
    rows = {
        names.label_of(name, 0.9): {
            "accuracy": value,
            "loss": 1.0,
            "first_loss": 2.0,
            "sum_by_mean": 1e-7,
        }
        for name, value in ACCURACY.items()
    }
    rows[names.label_of(names.ASP, 0.9)] |= {"loss": 3.0, "sum_by_mean": 5.0}
    assert all(held(fig4, rows))
    assert failed(fig4, rows, names.label_of(names.ASP, 0.9), sum_by_mean=0.5, loss=1.5) == [0, 1]
    assert failed(fig4, rows, names.label_of(names.SPARSE_PROXSKIP, 0.9), sum_by_mean=0.5) == [2]
    assert failed(fig4, rows, names.label_of(names.FEDIHT, 0.9), accuracy=0.9) == [3]


def test_claims_of_fig1():
    rows = {
        fig1.row_of(data, label): {"r2_or_accuracy": 0.5, "r2_or_accuracy_there": 0.4}
        for data, study in ((fig1.BLOG, fig2), (fig1.CIFAR, fig4))
        for label in study.experiments("small")
    }
    for data in (fig1.BLOG, fig1.CIFAR):
        rows[fig1.row_of(data, names.label_of(names.SPARSE_PROXSKIP, 0.9))] = {
            "r2_or_accuracy": 0.6,
            "r2_or_accuracy_there": 0.6,
        }
    assert all(held(fig1, rows))
    rival = names.label_of(names.FEDHT, 0.9)
    assert failed(fig1, rows, fig1.row_of(fig1.BLOG, rival), r2_or_accuracy_there=0.7) == [0]
    assert failed(fig1, rows, fig1.row_of(fig1.CIFAR, rival), r2_or_accuracy=0.7) == [2]


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_long_rounds_leave_less_to_send(scale):
    experiment = wireless.experiments(scale)[wireless.ALLOCATED][0]
    method = experiment.algorithm.method
    clients = experiment.scenario.clients
    ratios = [
        plan(experiment, method.demand(clients, steps=steps)).allocation.pruning_ratio
        for steps in (1, 10, 20)
    ]
    assert 0.2 < ratios[0].mean() < ratios[1].mean() < ratios[2].mean() < 1
    too_long = plan(experiment, method.demand(clients, steps=22))
    assert np.all(too_long.allocation.status == "infeasible")


def test_the_radio_has_the_same_work_for_all_but_those_with_a_fixed_coin():
    experiments = wireless.experiments("small")
    coins = {label: seeds[0].algorithm.descent.coin for label, seeds in experiments.items()}
    assert [label for label, coin in coins.items() if coin == "fixed"] == [wireless.SAME_STEPS]
    sparse, dense = (
        experiments[label][0].algorithm.demand(20)
        for label in (wireless.FIXED_WAITS, wireless.DENSE)
    )
    assert np.all(2.5 * sparse.fixed_upload_bits == dense.fixed_upload_bits)
    assert np.all(sparse.fixed_updates == dense.fixed_updates)


def test_claims_of_the_wireless_study():
    columns = (
        *("accuracy", "accuracy_in_common_time", "to_common_accuracy_s", "missed"),
        *("rounds_too_long", "mean_ratio", "ratio_with_steps"),
    )
    cells = {
        wireless.ALLOCATED: (0.85, 0.8, 0.3, 0.1, 0.1, 0.6, 0.9),
        wireless.EQUAL_BANDS: (0.84, 0.79, 0.31, 0.1, 0.1, 0.65, 0.9),
        wireless.SELECTED: (0.88, 0.81, 0.35, 0.2, 0.1, 0.5, 0.8),
        wireless.SAME_STEPS: (0.83, 0.79, 0.3, 0.0, 0.0, 0.5, 0.0),
        wireless.FIXED: (0.82, 0.75, 0.35, 0.3, 0.1, 0.0, 0.0),
        wireless.FIXED_SELECTED: (0.84, 0.79, 0.33, 0.15, 0.1, 0.0, 0.0),
        wireless.FIXED_WAITS: (0.86, 0.78, 0.4, 0.0, 0.1, 0.0, 0.0),
        wireless.DENSE: (0.8, 0.7, 0.9, 0.0, 0.1, 0.0, 0.0),
    }
    rows = {label: dict(zip(columns, row, strict=True)) for label, row in cells.items()}
    assert all(held(wireless, rows))
    assert failed(wireless, rows, wireless.ALLOCATED, missed=0.2) == [0]
    assert failed(wireless, rows, wireless.SAME_STEPS, missed=0.1, accuracy=0.9) == [1, 11]
    assert failed(wireless, rows, wireless.FIXED_WAITS, to_common_accuracy_s=0.2) == [6]
    assert failed(
        wireless, rows, wireless.DENSE, to_common_accuracy_s=0.2, accuracy_in_common_time=0.9
    ) == [5, 7, 13]
    assert failed(wireless, rows, wireless.SELECTED, accuracy=0.8, accuracy_in_common_time=0.5) == [
        12,
        14,
    ]
    assert {2, 3} <= set(
        failed(wireless, rows, wireless.ALLOCATED, ratio_with_steps=0.1, mean_ratio=0.7)
    )
