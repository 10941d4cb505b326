"""The studies of [CA-HFP]: shared runs, settings, and tables for and against their claims."""

import numpy as np
import pytest

from studies.papers.ca_hfp import _ca_hfp as common
from studies.papers.ca_hfp import ca_hfp_fig3 as fig3
from studies.papers.ca_hfp import ca_hfp_fig4 as fig4
from studies.papers.ca_hfp import ca_hfp_fig5 as fig5
from studies.papers.ca_hfp import ca_hfp_fig6 as fig6
from studies.papers.ca_hfp import ca_hfp_table1 as table1
from studies.papers.ca_hfp import ca_hfp_table2 as table2
from studies.papers.ca_hfp import ca_hfp_wireless as wireless
from studies.report.results import Sample, Table
from wirelessfl.cell.closed_form import full_band_rate_bps
from wirelessfl.config.scenario_file import experiment_hash, from_tables, to_tables
from wirelessfl.planning import plan
from wirelessfl.rng import Streams

ACCURACY = {
    common.FEDAVG: 0.9,
    common.FEDPROX: 0.85,
    common.PRUNEFL: 0.7,
    common.FEDMP: 0.75,
    common.DAPPERFL: 0.72,
    common.CA_HFP: 0.88,
}


def samples(**means):
    """Cells with these means over two seeds that hardly differ."""
    return {name: Sample((mean, mean * (1 + 1e-6))) for name, mean in means.items()}


def table_of(rows):
    """A table of {label: {column: mean}}."""
    return Table(tuple({"row": label, **samples(**cells)} for label, cells in rows.items()))


def held(study, rows):
    return [claim.check(table_of(rows)).holds for claim in study.CLAIMS]


def failed(study, rows, label, **cells):
    """The places of the claims that fail once these cells of a row are other ones."""
    changed = {**rows, label: {**rows[label], **cells}}
    return [place for place, holds in enumerate(held(study, changed)) if not holds]


def name_of(experiments):
    """The folder of the first seed's run."""
    return experiment_hash(experiments[0])


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["small", "paper"])
def test_figures_share_the_runs_of_table1(scale):
    first, third, fourth, fifth = (study.experiments(scale) for study in (table1, fig3, fig4, fig5))
    setting = common.FIGURES[scale].label(1.0)
    for name in common.PRUNING:
        shared = name_of(first[f"{setting}: {name}"])
        assert name_of(third[fig3.label_of(1.0, name)]) == shared
        assert name_of(fourth[fig4.label_of(1.0, 0.5, name)]) == shared
        assert name_of(fifth[fig5.label_of(0.5, name)]) == shared
    assert name_of(fifth[fig5.label_of(0.0, common.FEDAVG)]) == name_of(
        first[f"{setting}: {common.FEDAVG}"]
    )


def test_the_settings_that_the_paper_prints():
    experiments = table1.experiments("paper")
    assert len(experiments) == 2 * 3 * 3 * 6
    assert table1._PRINTED.keys() == experiments.keys()
    assert table1._PRINTED["VGG16, CIFAR-10, alpha 1: CA-HFP"] == pytest.approx(0.9015)
    assert table1._PRINTED["ResNet-32, CIFAR-100, alpha 0.1: FedMP"] == pytest.approx(0.2655)
    for seeds in experiments.values():
        training = to_tables(seeds[0])["training"]
        assert [experiment.run.seed for experiment in seeds] == [0, 1, 2]
        assert (seeds[0].run.rounds, seeds[0].scenario.clients) == (300, 10)
        assert (training["learning_rate"], training["momentum"], training["batch_size"]) == (
            0.1,
            0.9,
            128,
        )
        assert (training["local_epochs"], training["tested_on"]) == (1, "whole")


def test_what_table2_prints_belongs_to_its_rows():
    printed = table2._printed()
    assert printed.keys() <= table2.experiments("paper").keys()
    assert printed["VGG16, CIFAR-100, alpha 0.1: curvature, mean over holders"] == pytest.approx(
        0.3344
    )


@pytest.mark.parametrize(
    ("place", "parameters", "whole"), [(1, 3.950e6, 15.120e6), (4, 254_442, 466_906)]
)
def test_half_of_the_filters_leaves_the_printed_sizes(place, parameters, whole):
    fraction = common.kept_fraction(common.SETTINGS["paper"][place], 0.5)
    assert fraction == pytest.approx(parameters / whole, abs=2e-4)
    prunefl = common.scheme(common.PRUNEFL, common.SETTINGS["paper"][place], 0.5)["training"]
    assert (prunefl["density"], prunefl["reconfigure_every"]) == (fraction, 50)


@pytest.mark.parametrize("name", [common.FEDMP, common.DAPPERFL, common.CA_HFP])
def test_what_table1_sends_of_resnet32_is_what_the_paper_prints(name):
    experiment = table1.experiments("paper")[f"ResNet-32, CIFAR-10, alpha 1: {name}"][0]
    # Stem, blocks of 8 + 16, 16 + 32 or whole, 32 + 64 filters, two shortcuts.
    running_statistics = 2 * (16 + 5 * 24 + 3 * 48 + 2 * 64 + 5 * 96 + 32 + 64)
    assert np.all(
        experiment.algorithm.demand(10).fixed_upload_bits == 32 * (254_442 + running_statistics)
    )


def test_prunefl_keeps_the_mean_size_of_a_rank():
    experiments = fig6.experiments("small")
    for rank in fig6.RATIOS:
        masked, compact, dense = (
            experiments[fig6.label_of(rank, name)][0].algorithm
            for name in (common.PRUNEFL, common.CA_HFP, common.FEDAVG)
        )
        demands = [algorithm.demand(10) for algorithm in (compact, dense)]
        sent, everything = (
            (demand.fixed_upload_bits + demand.prunable_upload_bits).mean() for demand in demands
        )
        assert masked.reconfiguration.density == pytest.approx(sent / everything, abs=1e-4)


def test_rates_and_clocks_of_the_ranks_are_those_of_the_classes():
    for rank, ratios in fig6.RATIOS.items():
        experiment = from_tables(fig6.cell(rank))
        scenario = experiment.scenario
        classes = np.repeat([fig6.CLASSES[ratio] for ratio in ratios], 5)
        channel = experiment.channel.sample(scenario, Streams(0))
        rate = full_band_rate_bps(scenario, channel, channel.gain)
        np.testing.assert_allclose(rate / rate.max(), classes / classes.max(), rtol=1e-9)
        np.testing.assert_allclose(scenario.per_client("cpu_hz"), 3e9 * classes)
        np.testing.assert_allclose(scenario.per_client("downlink_rate_bps"), 1e8 * classes)


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_the_deadline_asks_for_about_half_of_the_model(scale):
    experiments = wireless.experiments(scale)
    experiment = experiments[wireless.ALLOCATED][0]
    demand = experiment.algorithm.demand(experiment.scenario.clients)
    ratios = np.array(
        [plan(experiment, demand, round).allocation.pruning_ratio for round in range(20)]
    )
    assert 0.4 < ratios.mean() < 0.65
    assert ratios.max() <= wireless.CAP
    late = experiments[wireless.RANKS][0]
    planned = plan(late, late.algorithm.demand(10))
    assert 0 < np.count_nonzero(planned.allocation.latency_s > late.scenario.deadline_s) < 10


def table1_rows():
    sizes = {common.CA_HFP: {"CNN": 0.25, "ResNet": 0.5}}
    rows = {}
    for setting in ("CNN, Fashion-MNIST, alpha 1", "ResNet-32 of width 0.25, CIFAR-10, alpha 1"):
        for name, accuracy in ACCURACY.items():
            share = sizes.get(name, {}).get(setting[: setting.find(",")].partition("-")[0], 1.0)
            rows[f"{setting}: {name}"] = {
                "accuracy": accuracy,
                "thousands_up": 100 * share,
                "gflop": 3 * share,
            }
    return rows


def test_claims_of_table1():
    rows = table1_rows()
    assert all(held(table1, rows))
    assert failed(table1, rows, "CNN, Fashion-MNIST, alpha 1: FedMP", accuracy=1.1) == [1]
    assert failed(table1, rows, "CNN, Fashion-MNIST, alpha 1: FedAvg", accuracy=0.93) == [3]
    assert failed(
        table1, rows, "ResNet-32 of width 0.25, CIFAR-10, alpha 1: CA-HFP", thousands_up=25.0
    ) == [4]
    assert failed(table1, rows, "CNN, Fashion-MNIST, alpha 1: CA-HFP", gflop=1.5) == [5]
    assert {0, 1, 2, 3} <= set(
        failed(table1, rows, "CNN, Fashion-MNIST, alpha 1: CA-HFP", accuracy=0.3)
    )


def test_claims_of_table2():
    scores = {"l1": 0.6, "delta-w": 0.55, "curvature": 0.7}
    means = {"reconstruction": 0.1, "mean over holders": 0.05, "zeros": 0.0}
    rows = {
        table2.label_of(f"CNN, alpha {alpha:g}", score, mean): {
            "accuracy": accuracy + gain * (2 if alpha == 0.1 else 1)
        }
        for alpha in (0.1, 1.0)
        for score, accuracy in scores.items()
        for mean, gain in means.items()
    }
    assert all(held(table2, rows))
    row = table2.label_of("CNN, alpha 1", "l1", "mean over holders")
    assert failed(table2, rows, row, accuracy=0.9) == [0]
    row = table2.label_of("CNN, alpha 0.1", "curvature", "mean over holders")
    assert failed(table2, rows, row, accuracy=0.87) == [6]
    row = table2.label_of("CNN, alpha 1", "delta-w", "reconstruction")
    assert failed(table2, rows, row, accuracy=1.2) == [8]


def test_claims_of_fig3():
    rows = {
        fig3.label_of(alpha, name): {
            "accuracy": ACCURACY[name],
            "rounds_to_common_accuracy": 20 - 10 * ACCURACY[name],
        }
        for alpha in fig3.ALPHAS
        for name in common.PRUNING
    }
    assert all(held(fig3, rows))
    assert failed(fig3, rows, fig3.label_of(10.0, common.FEDMP), accuracy=0.95) == [1]
    assert failed(
        fig3, rows, fig3.label_of(1.0, common.PRUNEFL), rounds_to_common_accuracy=1.0
    ) == [2]


def test_claims_of_fig4():
    rows = {
        fig4.label_of(alpha, ratio, name): {
            "accuracy": ACCURACY[name] - (0.1 if name == common.CA_HFP else 0.2) * ratio
        }
        for alpha in fig4.ALPHAS
        for ratio in fig4.RATIOS
        for name in common.PRUNING
    }
    assert all(held(fig4, rows))
    assert failed(fig4, rows, fig4.label_of(1.0, 0.5, common.FEDMP), accuracy=0.95) == [4]
    assert 6 in failed(fig4, rows, fig4.label_of(0.1, 0.9, common.CA_HFP), accuracy=0.7)


def test_claims_of_fig5():
    rows = {
        fig5.label_of(ratio, name): {"gigabits": cost * (1 - ratio), "tflop": cost * (1 - ratio)}
        for ratio in fig5.RATIOS
        for name, cost in zip(common.PRUNING, (1.1, 1.0, 1.6, 1.0), strict=True)
    }
    assert all(held(fig5, rows))
    assert failed(fig5, rows, fig5.label_of(0.9, common.PRUNEFL), gigabits=0.05) == [2]
    assert failed(fig5, rows, fig5.label_of(0.25, common.CA_HFP), tflop=0.1) == [1]


def test_claims_of_fig6():
    rows = {
        fig6.label_of(rank, name): {
            "accuracy": ACCURACY[name],
            "completion_s": 100 * (1 - ACCURACY[name]),
        }
        | ({"completion_s": 50.0} if name == common.FEDAVG else {})
        for rank in fig6.RATIOS
        for name in fig6.SCHEMES
    }
    assert all(held(fig6, rows))
    assert failed(fig6, rows, fig6.label_of("rank 2", common.FEDAVG), completion_s=1.0) == [2]
    assert failed(fig6, rows, fig6.label_of("rank 3", common.DAPPERFL), accuracy=0.95) == [7]


def test_claims_of_the_wireless_study():
    cells = {
        wireless.ALLOCATED: (0.85, 0.0, 0.54, 3.0),
        wireless.EQUAL_BANDS: (0.84, 0.0, 0.55, 3.1),
        wireless.UNIFORM: (0.7, 0.5, 0.55, 3.5),
        wireless.RANKS: (0.72, 0.4, 0.0, 3.5),
        wireless.RANKS_SELECTED: (0.8, 0.2, 0.2, 3.3),
        wireless.DENSE: (0.88, 0.0, 0.0, 9.0),
    }
    names = ("accuracy", "missed", "mean_ratio", "to_common_accuracy_s")
    rows = {label: dict(zip(names, row, strict=True)) for label, row in cells.items()}
    assert all(held(wireless, rows))
    assert failed(wireless, rows, wireless.EQUAL_BANDS, missed=0.1) == [0]
    assert failed(wireless, rows, wireless.UNIFORM, missed=0.0) == [2]
    assert failed(wireless, rows, wireless.RANKS_SELECTED, accuracy=0.9) == [7]
    assert failed(wireless, rows, wireless.DENSE, to_common_accuracy_s=2.0) == [10]
    assert {4, 8} <= set(failed(wireless, rows, wireless.ALLOCATED, mean_ratio=0.9, accuracy=0.83))
