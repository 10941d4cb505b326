"""The studies of [MCE-PL]: settings, shared runs, traffic and claims."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import studies as synthetic

from studies.papers.mce_pl import _mce_pl as common
from studies.papers.mce_pl import mce_pl_fig4 as fig4
from studies.papers.mce_pl import mce_pl_fig5 as fig5
from studies.papers.mce_pl import mce_pl_table1 as table1
from studies.papers.mce_pl import mce_pl_table2 as table2
from studies.report.results import Sample, Table
from training.sparsity.payload import choice_bits
from wirelessfl.config.scenario_file import experiment_hash, to_tables


def table_of(rows):
    """A table of {label: {column: mean}} over two seeds that hardly differ."""
    cells = {
        label: {name: Sample((mean, mean * (1 + 1e-6))) for name, mean in row.items()}
        for label, row in rows.items()
    }
    return Table(tuple({"row": label, **row} for label, row in cells.items()))


def held(study, rows):
    return [claim.check(table_of(rows)).holds for claim in study.CLAIMS]


def failed(study, rows, label, **cells):
    """The places of the claims that fail once these cells of a row are other ones."""
    changed = {**rows, label: {**rows[label], **cells}}
    return [place for place, holds in enumerate(held(study, changed)) if not holds]


def run_of(accuracies, traffic_mb=None, clients=2):
    """A run with these evaluations; with a graph if it has `traffic_mb` in every round."""
    extra = (
        {}
        if traffic_mb is None
        else {"traffic_unicast_mb": traffic_mb, "traffic_broadcast_mb": traffic_mb / 4}
    )
    return synthetic.run_of(accuracies, clients=clients, extra=extra)


def test_the_settings_that_the_paper_prints():
    experiments = table1.experiments("paper")
    assert len(experiments) == 3 * 9
    for label, seeds in experiments.items():
        training = to_tables(seeds[0])["training"]
        assert (seeds[0].scenario.clients, seeds[0].run.rounds, training["batch_size"]) == (
            20,
            400,
            128,
        )
        rate = 0.1 if "Lottery" in label else 1.0 if "MCE" in label or "mask" in label else 0.01
        assert training["learning_rate"] == rate
        assert training["labels_per_client"] == int(label[0])
        assert seeds[0].algorithm.task.width == 1.0
    assert experiments["4 labels: MCE-PL (0.3)"][0].algorithm.keep.keep_ratio == 0.3
    assert experiments["4 labels: ind-mask (0.5)"][0].algorithm.group_lasso == 0.001
    assert experiments["4 labels: LotteryDSGD (0.5)"][0].algorithm.keep_ratio == 0.5


def test_the_ratios_of_section_v_c():
    assert np.mean(common.HETEROGENEOUS) == pytest.approx(0.255)
    assert [common.HETEROGENEOUS[agent - 1] for agent in (2, 4, 6, 8)] == [
        0.4,
        0.2,
        0.1,
        0.2,
    ]  # Section V-D
    for scale, agents in (("small", 10), ("paper", 20)):
        for seeds in table2.experiments(scale).values():
            fields = to_tables(seeds[0])["training"]
            assert fields["keep_ratios"] == list(common.HETEROGENEOUS[:agents])


def test_what_fil_changes_is_its_threshold_alone():
    experiments = table2.experiments("small")
    for name in common.MASKS:
        label = common.row(common.FIGURE_LABELS["small"], name)
        plain, filtered = (
            to_tables(experiments[each][0])["training"] for each in (label, f"{label}, Fil 20")
        )
        assert filtered == plain | {"filter_threshold": 20}


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_the_runs_of_fig5_are_those_of_table1(scale):
    first = table1.experiments(scale)
    second = fig5.experiments(scale)
    for name in fig5.SHOWN:
        mine = second[name]
        theirs = first[common.row(3, name)]
        assert list(map(experiment_hash, mine)) == list(map(experiment_hash, theirs))


def test_agents_of_fig4_are_alone_and_share_no_label():
    for label, seeds in fig4.experiments("small").items():
        fields = to_tables(seeds[0])["training"]
        assert (seeds[0].scenario.clients, fields["labels_per_client"], fields["label_choice"]) == (
            3,
            3,
            "balanced",
        )
        assert fields["algorithm"] in ("ind-weipru", "ind-mask")
        assert (label == fig4.WEIGHTS) == (fields["algorithm"] == "ind-weipru")
    starts = {
        to_tables(seeds[0])["training"]["weight_init"]
        for seeds in fig4.experiments("paper").values()
    }
    assert starts == {"unit-uniform"}


def test_a_server_has_the_traffic_of_both_directions():
    agents = run_of([0.5] * 4, traffic_mb=8.0)
    server = run_of([0.5] * 4)
    np.testing.assert_allclose(common.sent_mb(agents), 8.0)
    np.testing.assert_allclose(common.sent_mb(agents, "broadcast"), 2.0)
    both = server.series("uplink_bits") + server.series("downlink_bits")
    np.testing.assert_allclose(common.sent_mb(server), both.sum(axis=1) / 8e6)
    found = common.costs([server, server])
    assert found["total_unicast_mb"].values == (both.sum() / 8e6,) * 2
    assert found["coded_mb"].values == found["unicast_mb"].values  # whole models


@pytest.mark.parametrize("label", ["4 labels: MCE-PL (0.3)", "4 labels: LotteryDSGD (0.3)"])
def test_coded_traffic_is_that_of_masks_packed_by_their_number(label):
    experiment = table1.experiments("paper")[label][0]
    clients = experiment.scenario.clients
    size = experiment.algorithm.method.spec().layout().parameter_size
    kept = size // 10
    run = replace(
        run_of([0.5] * 2, 1.0, clients), made_from=experiment
    )  # of 32 bits for each kept weight
    for record in run.records:
        record["uplink_bits"] = [32.0 * kept] * clients
    neighbours = experiment.algorithm.graph.adjacency_matrix(clients, experiment.run.seed).sum()
    found = common.coded_mb(run)
    if "Lottery" in label:
        each = 32 * kept + choice_bits(kept, size) + size.bit_length()
        assert found == pytest.approx(neighbours * each / 8e6)
    else:  # 30 % of a bitmap's entries are 1: 0.88 bits for each
        printed = experiment.algorithm.demand(clients).fixed_upload_bits[0]
        assert 0.8 < found / (neighbours * printed / 8e6) < 0.9


def test_accuracy_over_traffic_is_read_where_it_was_measured():
    sent, mean, error = common.over_traffic(
        [run_of([None, 0.2, None, 0.6], 1.0), run_of([None, 0.4, None, 0.6], 3.0)]
    )
    np.testing.assert_allclose(sent, [4.0, 8.0])
    np.testing.assert_allclose(mean, [0.3, 0.6])
    np.testing.assert_allclose(error, [0.1, 0.0], atol=1e-12)


def test_megabytes_until_an_accuracy_are_those_of_the_whole_run_where_it_is_never_reached():
    run = run_of([None, 0.2, None, 0.6], 2.0)
    assert common.sent_until(run, 0.5) == 8.0
    assert common.sent_until(run, 0.1) == 4.0
    assert common.sent_until(run, 0.9) == 8.0


TABLE1 = {
    "DSGD": 0.6,
    "FL": 0.58,
    "DSGDProx": 0.62,
    "LotteryDSGD (0.3)": 0.55,
    "LotteryDSGD (0.5)": 0.56,
    "ind-mask (0.3)": 0.66,
    "ind-mask (0.5)": 0.67,
    "MCE-PL (0.3)": 0.7,
    "MCE-PL (0.5)": 0.72,
}


def test_claims_of_table1():
    rows = {
        common.row(labels, name): {"accuracy": accuracy - 0.05 * (labels - 3)}
        for labels in (3, 4, 5)
        for name, accuracy in TABLE1.items()
    }
    assert all(held(table1, rows))
    assert failed(table1, rows, "4 labels: DSGDProx", accuracy=0.66) == [0]
    assert failed(table1, rows, "5 labels: LotteryDSGD (0.3)", accuracy=0.605) == [0]
    assert failed(table1, rows, "3 labels: ind-mask (0.5)", accuracy=0.73) == [1, 3]
    assert failed(table1, rows, "3 labels: ind-mask (0.3)", accuracy=0.59) == [4, 8]
    assert failed(table1, rows, "5 labels: MCE-PL (0.5)", accuracy=0.68) == [7]


def test_claims_of_table2():
    accuracies = {
        common.MCE_PL: 0.7,
        common.IND_MASK: 0.65,
        common.IND_WEIPRU: 0.6,
        common.PAR_WEIPRU: 0.55,
        common.AVR_WEIPRU: 0.5,
        common.DIS_PFL: 0.57,
    }
    rows = {
        common.row(labels, name): {"accuracy": accuracy + 0.01 * labels * (name == common.MCE_PL)}
        for labels in (3, 4, 5)
        for name, accuracy in accuracies.items()
    }
    rows |= {
        "4 labels: MCE-PL, Fil 20": {"accuracy": 0.68},
        "4 labels: ind-mask, Fil 20": {"accuracy": 0.64},
    }
    assert all(held(table2, rows))
    assert failed(table2, rows, "4 labels: ind-mask, Fil 20", accuracy=0.69) == [6]
    assert failed(table2, rows, "3 labels: MCE-PL", accuracy=0.76) == [5]
    assert failed(table2, rows, "4 labels: Dis-PFL", accuracy=1.5) == [4]
    assert failed(table2, rows, "5 labels: avr-weipru", accuracy=0.8) == [3]
    assert failed(table2, rows, "5 labels: ind-weipru", accuracy=0.8) == [1]


def test_claims_of_fig4():
    rows = {label: {"accuracy": 0.69, "swing": 0.02} for label in fig4.MASKED}
    rows[fig4.WEIGHTS] = {"accuracy": 0.7, "swing": 0.01}
    assert all(held(fig4, rows))
    assert failed(fig4, rows, fig4.label_of(0.1), accuracy=0.66) == [0]
    assert failed(fig4, rows, fig4.WEIGHTS, swing=0.03) == [3]


def test_claims_of_fig5():
    rows = {
        name: {"accuracy": 0.6, "total_unicast_mb": 320.0, "to_common_accuracy_mb": 100.0}
        for name in fig5.SHOWN[:4]
    }
    for name in fig5.SHOWN[4:]:
        rows[name] = {"accuracy": 0.7, "total_unicast_mb": 10.0, "to_common_accuracy_mb": 5.0}
    assert all(held(fig5, rows))
    assert failed(fig5, rows, common.DSGD, accuracy=0.75) == [0]
    assert failed(fig5, rows, fig5.LOTTERY_3, total_unicast_mb=90.0) == [1]
    assert failed(fig5, rows, common.DSGDPROX, to_common_accuracy_mb=4.0) == [2]
    assert failed(fig5, rows, fig5.LOTTERY_5, accuracy=0.75) == [4]
