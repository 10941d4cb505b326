"""The studies of [SPS] on BlogFeedback: shared runs, budgets, costs and claims."""

import numpy as np
import pytest
from helpers.studies import synthetic_record

from studies.papers.sps import _sps as common
from studies.papers.sps import _sps_control as controlled
from studies.papers.sps import sps_fig2 as fig2
from studies.papers.sps import sps_fig5 as fig5
from studies.papers.sps import sps_fig7 as fig7
from studies.papers.sps import sps_fig8 as fig8
from studies.papers.sps import sps_table1 as table1
from studies.papers.sps import sps_table2 as table2
from studies.report.one_run.run import Run
from studies.report.results import Sample, Table
from wirelessfl.config.scenario_file import experiment_hash, to_tables
from wirelessfl.planning import plan

R2 = {
    common.FINAL_TOPK: 0.21,
    common.FEDHT: 0.19,
    common.FEDIHT: 0.18,
    common.ASP: 0.2,
    common.RANDPROX: 0.22,
    common.LOCAL: 0.26,
    common.SPARSE_PROXSKIP: 0.27,
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
    """The texts of the claims that fail once these cells of a row are other ones."""
    changed = {**rows, label: {**rows[label], **cells}}
    return [
        claim.text
        for claim, holds in zip(study.CLAIMS, held(study, changed), strict=True)
        if not holds
    ]


def run_of(accuracies, bits=2e6):
    """A run of two clients that was evaluated in every round; clients upload `bits` and nothing."""
    records = [synthetic_record(number, 2).as_dict() for number in range(1, len(accuracies) + 1)]
    return Run(
        [
            record | {"accuracy": accuracy, "loss": 1 - accuracy, "uplink_bits": [bits, 0.0]}
            for record, accuracy in zip(records, accuracies, strict=True)
        ]
    )


@pytest.mark.parametrize("scale", common.SCALES)
def test_table2_and_fig2_share_the_searches_and_runs_of_table1(scale):
    first = table1.experiments(scale)
    searches = table1.searches(scale)
    for study in (table2, fig2):
        for label, seeds in study.experiments(scale).items():
            assert [experiment_hash(one) for one in seeds] == [
                experiment_hash(one) for one in first[label]
            ]
            assert study.searches(scale)[label] == searches[label]
    assert searches.keys() == first.keys()


def test_reduced_has_what_is_asked_of_it():
    searches = table1.searches("reduced")
    experiments = table1.experiments("reduced")
    assert len(searches) == 7 * 3
    for label, search in searches.items():
        assert (search.trials + search.second_trials, search.evaluate_on) == (20, "validation")
        assert search.trial_steps <= search.local_steps <= 20_000
        assert [one.run.seed for one in experiments[label]] == [0, 1, 2, 3, 4]
        assert experiments[label][0].scenario.clients == 554
        assert to_tables(experiments[label][0])["training"].get("evaluate_on", "test") == "test"


@pytest.mark.parametrize("steps", [1, 800, 10_000])
def test_everybody_has_band_in_rounds_of_any_length(steps):
    experiment = common.planned("reduced", (0.9,))["Sparse-ProxSkip, 90 %"][0]
    allocation = plan(
        experiment, experiment.algorithm.method.demand(common.CLIENTS, steps=steps)
    ).allocation
    assert not allocation.pruning_ratio.any()
    assert np.all(allocation.bandwidth_fraction > 0)


def test_the_weights_of_the_l1_norm_are_for_the_sparsity_of_the_row():
    experiments = table1.experiments("paper")
    for sparsity, weight in common.L1.items():
        algorithm = experiments[common.label_of(common.RANDPROX, sparsity)][0].algorithm
        assert (algorithm.l1, algorithm.sparse.sparsity) == (weight, sparsity)


def test_what_table1_prints_belongs_to_its_rows():
    assert table1._CELLS.keys() == table1.experiments("paper").keys()
    r2, loss, exact, _ = table1._CELLS["Sparse-ProxSkip-Local, 95 %"]
    assert (r2, loss, exact) == pytest.approx((0.239, 2.938e7, 0.2493))


def test_a_cost_is_what_a_client_has_sent_when_it_is_there_first():
    run = run_of([0.1, 0.21, 0.19, 0.3])
    np.testing.assert_allclose(common.upload_mbits(run), [1, 2, 3, 4])
    assert common.mbits_to(run, 0.2) == 2
    assert common.mbits_to(run, 0.4) is None
    later = run_of([0.1, 0.1, 0.2])
    assert common.cost_to([run, later], 0.2).values == (2, 3)
    assert common.cost_to([run, later], 0.25) is None


def test_curves_are_compared_where_the_cheapest_run_ends():
    run = run_of([0.1, 0.2, 0.3])
    assert fig2.at(run, "accuracy", 2.0) == 0.2
    assert fig2.at(run, "accuracy", 2.9) == 0.2
    assert fig2.at(run, "accuracy", 0.5) == 0.1
    cheap = run_of([0.05, 0.15], bits=5e5)
    found = fig2.table({"a": [run], "b": [cheap]})
    assert [row["at_mbits"] for row in found.rows] == [0.5, 0.5]
    assert found.sample("b", "r2_there").mean == 0.15


def test_samples_are_shares_of_the_work():
    record = synthetic_record(1, 3).as_dict() | {"flops": [1e6, 2e6, 4e6]}
    np.testing.assert_array_equal(
        fig5.samples(Run([record])), np.round(fig5.SAMPLES * np.array([1, 2, 4]) / 7)
    )


def table1_rows():
    leads = {0.8: 0.02, 0.9: 0.03, 0.95: 0.05}
    return {
        common.label_of(name, sparsity): {
            "r2": r2 + (leads[sparsity] if name in common.PROPOSED else 0),
            "train_loss": 3e7 - 1e7 * r2,
        }
        for sparsity in common.OPTIMUM
        for name, r2 in R2.items()
    }


def test_claims_of_table1():
    rows = table1_rows()
    assert all(held(table1, rows))
    first = "At 90 % a proposed method has the highest R^2"
    both = table1.CLAIMS[3].text
    grows = table1.CLAIMS[4].text
    assert {first, both} <= set(failed(table1, rows, "RandProx-l1, 90 %", r2=0.4))
    assert grows in failed(table1, rows, "RandProx-l1, 95 %", r2=0.26)
    assert failed(table1, rows, "Sparse-ProxSkip-Local, 90 %", r2=0.215) == [both]
    assert failed(table1, rows, "FedHT, 95 %", train_loss=1e7) == [
        "At 95 % Sparse-ProxSkip has a lower loss than all baselines"
    ]
    assert failed(table1, rows, "RandProx-l1, 95 %", r2=0.2) == [
        "At 95 % RandProx-l1 is above the other baselines"
    ]
    assert failed(table1, rows, "Accelerated-Server-Pruning, 90 %", r2=0.215) == [
        "At 90 % Final-TopK is above Accelerated-Server-Pruning"
    ]


def table2_rows():
    rows = {}
    for label, costs in table2.PAPER.items():
        cells = {
            table2.column_of(r2): cost for r2, cost in zip(table2.THRESHOLDS, costs, strict=True)
        }
        reached = {
            f"reached_{r2:g}": float(cost is not None)
            for r2, cost in zip(table2.THRESHOLDS, costs, strict=True)
        }
        rows[common.label_of(label, 0.9)] = cells | reached
    return rows


def test_claims_of_table2_hold_with_what_is_printed():
    rows = table2_rows()
    assert all(held(table2, rows))
    texts = [claim.text for claim in table2.CLAIMS]
    assert failed(table2, rows, "RandProx-l1, 90 %", **{"mbits_to_0.2": 0.05}) == texts[:1]
    assert failed(table2, rows, "Final-TopK, 90 %", **{"mbits_to_0.2": 0.3}) == [texts[3]]
    assert failed(table2, rows, "FedIHT, 90 %", **{"mbits_to_0.2": 0.6}) == [texts[4]]
    assert failed(table2, rows, "FedIHT, 90 %", **{"mbits_to_0.2": None}) == []
    assert failed(table2, rows, "FedHT, 90 %", **{"reached_0.25": 1.0}) == [texts[5]]
    assert failed(table2, rows, "Sparse-ProxSkip, 90 %", **{"mbits_to_0.25": None}) == [texts[2]]
    assert set(failed(table2, rows, "Sparse-ProxSkip, 90 %", **{"mbits_to_0.2": None})) == {
        texts[0],
        *texts[3:5],
    }


def test_claims_of_fig2():
    rows = {
        common.label_of(name, 0.9): {"r2_there": r2, "train_loss_there": 1 - r2}
        for name, r2 in R2.items()
    }
    assert all(held(fig2, rows))
    assert failed(fig2, rows, "FedHT, 90 %", r2_there=0.265) == [fig2.CLAIMS[0].text]
    assert failed(fig2, rows, "Sparse-ProxSkip, 90 %", train_loss_there=0.9) == [
        fig2.CLAIMS[3].text
    ]


def test_methods_of_appendix_d_take_the_same_steps():
    for seeds in controlled.experiments("reduced").values():
        first = controlled.experiments("reduced")[common.SPARSE_PROXSKIP]
        assert [one.run.rounds for one in seeds] == [one.run.rounds for one in first]


def test_claims_of_fig7_and_fig8():
    rows = {name: {"sum_by_mean": 1e-12} for name in controlled.KEEPING}
    rows |= {name: {"sum_by_mean": 100.0} for name in controlled.VIOLATING}
    assert all(held(fig7, rows))
    for place, name in enumerate((*controlled.KEEPING, *controlled.VIOLATING)):
        assert failed(fig7, rows, name, sum_by_mean=0.5) == [fig7.CLAIMS[place].text]
    cells = {"norm": 10.0, "largest_norm": 10.0, "train_loss": 3e7}
    worse = {"norm": 40.0, "largest_norm": 50.0, "train_loss": 4e7}
    rows = {name: cells for name in controlled.KEEPING} | {
        name: worse for name in controlled.VIOLATING
    }
    assert all(held(fig8, rows))
    assert failed(fig8, rows, controlled.ASP_MODIFIED, norm=12.0) == [fig8.CLAIMS[0].text]
    assert failed(fig8, rows, controlled.MODIFIED, largest_norm=9.0) == [fig8.CLAIMS[2].text]
    assert failed(fig8, rows, common.ASP, train_loss=2e7) == [fig8.CLAIMS[3].text]
