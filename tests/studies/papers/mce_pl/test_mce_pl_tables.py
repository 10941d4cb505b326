"""The studies of [MCE-PL] on curves, traffic, masks, topologies and a deadline."""

from itertools import combinations

import numpy as np
import pytest
from helpers.studies import refused, run_of, synthetic_run

from studies.papers.mce_pl import _mce_pl as common
from studies.papers.mce_pl import _mce_pl_radio as radio
from studies.papers.mce_pl import mce_pl_fig6 as fig6
from studies.papers.mce_pl import mce_pl_fig7 as fig7
from studies.papers.mce_pl import mce_pl_fig8 as fig8
from studies.papers.mce_pl import mce_pl_table2 as table2
from studies.papers.mce_pl import mce_pl_table3 as table3
from studies.papers.mce_pl import mce_pl_wireless as wireless
from studies.report.one_run.run import Run
from studies.runner.single_run import folder_of
from wirelessfl.cell.closed_form import fixed_s
from wirelessfl.config.scenario_file import experiment_hash, to_tables
from wirelessfl.errors import InputError
from wirelessfl.planning import plan
from wirelessfl.records.checkpoint import Checkpoint
from wirelessfl.records.run_folder import RunFolder

GRAPH = ("graph", "edge_probability")


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_the_runs_are_those_of_table2(scale):
    trained = table2.experiments(scale)
    for study in (fig6, fig7, fig8):
        for name, seeds in study.experiments(scale).items():
            shared = trained[common.row(common.FIGURE_LABELS[scale], name)]
            assert list(map(experiment_hash, seeds)) == list(map(experiment_hash, shared))
    plain = trained[common.row(common.FIGURE_LABELS[scale], common.MCE_PL)]
    assert list(map(experiment_hash, table3.experiments(scale)["p = 0.5"])) == list(
        map(experiment_hash, plain)
    )


def test_topologies_differ_in_their_graphs_alone():
    experiments = table3.experiments("paper")
    trained = [to_tables(seeds[0])["training"] for seeds in experiments.values()]
    others = [
        {name: value for name, value in each.items() if name not in GRAPH} for each in trained
    ]
    assert all(each == others[0] for each in others)
    for label, seeds in experiments.items():
        degrees = seeds[0].algorithm.graph.adjacency_matrix(20, seeds[0].run.seed).sum(axis=1)
        if label == table3.RING:
            assert np.all(degrees == 2)
        else:
            assert degrees.mean() / 19 == pytest.approx(
                float(label[4:]), abs=4 * np.sqrt(0.25 / 190)
            )


def test_early_accuracy_and_roughness_of_curves():
    assert fig6.early(run_of([0.2, None, 0.4, 0.6, 0.7, 0.8, 0.9])) == pytest.approx(0.3)
    assert fig6.roughness(run_of([0.2, 0.4, None, 0.6, 0.8])) == pytest.approx(0.0)
    assert fig6.roughness(run_of([0.2, 0.6, 0.2, 0.6])) == pytest.approx(0.4)


def test_claims_of_fig6():
    rows = {
        common.MCE_PL: {"accuracy": 0.65, "early_accuracy": 0.5, "roughness": 0.02},
        common.IND_MASK: {"accuracy": 0.6, "early_accuracy": 0.3, "roughness": 0.02},
        common.IND_WEIPRU: {"accuracy": 0.55, "early_accuracy": 0.4, "roughness": 0.03},
        common.PAR_WEIPRU: {"accuracy": 0.53, "early_accuracy": 0.35, "roughness": 0.03},
        common.AVR_WEIPRU: {"accuracy": 0.5, "early_accuracy": 0.3, "roughness": 0.01},
    }
    assert refused(fig6, rows) == []
    assert refused(fig6, rows, common.PAR_WEIPRU, accuracy=0.7) == ["MCE-PL ends highest"]
    assert refused(fig6, rows, common.AVR_WEIPRU, roughness=0.05) == [
        "avr-weipru has the smoothest curve"
    ]
    assert refused(fig6, rows, common.IND_WEIPRU, early_accuracy=0.2) == [
        "ind-mask is slower than ind-weipru at first"
    ]


def test_traffic_by_every_way_of_counting():
    experiments = fig7.experiments("small")
    entries = 77_968
    ratios = common.PAPER_SCALES["small"].ratios
    masks = experiments[common.MCE_PL][1]
    degrees = masks.algorithm.graph.adjacency_matrix(10, 1).sum(axis=1)
    unicast, broadcast = fig7.iteration_mb(masks, "printed")
    assert (unicast, broadcast) == pytest.approx(
        (degrees.sum() * entries / 8e6, 10 * entries / 8e6)
    )

    convolutions = 65_200
    dense = 12_768
    ones = np.array(
        [ratio * convolutions + 0.9 * dense for ratio in ratios]
    )  # and less than one for each layer
    assert fig7.iteration_mb(masks, "code")[1] == pytest.approx(ones.sum() / 8e6, abs=10 * 5 / 8e6)
    coded = fig7.iteration_mb(masks, "readable")[1]
    shares = [(convolutions, np.array(ratios)), (dense, np.full(10, 0.9))]
    entropy = sum(size * -(p * np.log2(p) + (1 - p) * np.log2(1 - p)) for size, p in shares).sum()
    assert coded == pytest.approx(entropy / 8e6, rel=0.01)

    models = experiments[common.AVR_WEIPRU][1]
    printed, code, readable = (fig7.iteration_mb(models, way)[1] for way in fig7.WAYS)
    assert printed == pytest.approx(10 * 32 * (entries + 48 + 10) / 8e6)  # and biases
    assert code == pytest.approx(32 * (ones.sum() + 580) / 8e6, abs=32 * 10 * 5 / 8e6)
    assert readable - code == pytest.approx(10 * entries / 8e6)


def test_claims_of_fig7():
    cells = ("accuracy", "printed_mb", "code_mb", "readable_mb", "to_common_accuracy_mb")
    rows = {
        common.MCE_PL: dict(zip(cells, (0.6, 1.0, 0.4, 0.9, 5.0), strict=True)),
        **{
            name: dict(zip(cells, (0.5, 32.0, 10.0, 11.0, 60.0), strict=True))
            for name in fig7.OTHERS
        },
    }
    assert refused(fig7, rows) == []
    assert refused(fig7, rows, common.DIS_PFL, code_mb=3.0) == [
        "So it does as the official code counts"
    ]
    assert refused(fig7, rows, common.PAR_WEIPRU, accuracy=0.7) == ["MCE-PL ends highest"]
    assert len(refused(fig7, rows, common.AVR_WEIPRU, to_common_accuracy_mb=49.0)) == 1


@pytest.fixture
def checkpointed(tmp_path):
    """A run folder with drawn masks, and the masks and weights."""
    experiment = fig8.experiments("small")[common.MCE_PL][0]
    synthetic_run(experiment, tmp_path)
    rng = np.random.default_rng(0)
    parameters = 77_968 + 58
    masks = rng.random((10, parameters)) < np.array(common.PAPER_SCALES["small"].ratios)[:, None]
    masks[3, : 75 * 11] = False  # eleven filters of agent 4
    weights = rng.standard_normal(parameters).astype(np.float32)
    state = {
        "own_mask": np.packbits(masks, axis=-1),
        "own_mask__bits": np.int64(parameters),
        "common_weights": weights,
    }
    path = folder_of(experiment, tmp_path)
    RunFolder(path).save_checkpoint(Checkpoint(10, 1.0, state))
    return path, masks, weights


def test_masks_of_a_checkpoint(checkpointed):
    path, masks, weights = checkpointed
    kept = fig8.FinalMasks.of(Run.read(path))
    first = masks[:, :1200]
    convolutions = masks[:, :65_200]
    np.testing.assert_array_equal(kept.masks, convolutions)
    np.testing.assert_array_equal(kept.kernels.reshape(10, -1), first * weights[:1200])
    pairs = [
        (one & other).sum() / (one | other).sum() for one, other in combinations(convolutions, 2)
    ]
    assert kept.overlap == pytest.approx(np.mean(pairs), rel=1e-12)
    assert kept.filters[3] == 5
    np.testing.assert_allclose(kept.fraction, first.mean(axis=1))


def test_a_run_without_a_checkpoint_has_no_masks(tmp_path):
    experiment = fig8.experiments("small")[common.MCE_PL][0]
    synthetic_run(experiment, tmp_path)
    run = Run.read(folder_of(experiment, tmp_path))
    assert fig8.FinalMasks.of(run) is None
    row = fig8.table({common.MCE_PL: [run]}).rows[0]
    assert np.isnan(row["iou"].mean)
    assert np.isnan(row["filters_of_4"].mean)
    with pytest.raises(InputError, match="no run folder"):
        _ = run_of([0.5]).experiment


def test_the_picture_has_the_middle_filters_side_by_side():
    kernels = np.arange(64 * 75, dtype=np.float32).reshape(64, 3, 5, 5)
    picture = fig8.tiled(kernels)
    assert picture.shape == (3 * 6 - 1, 20 * 6 - 1)
    np.testing.assert_array_equal(picture[6:11, 12:17], kernels[22 + 2, 1])
    assert np.all(np.isnan(picture[5]))
    assert np.all(np.isnan(picture[:, 5]))
    assert fig8.tiled(kernels[:16]).shape == (17, 95)


def test_claims_of_fig8():
    shares = {
        f"share_of_{agent}": ratio
        for agent, ratio in zip(fig8.AGENTS, (0.4, 0.2, 0.2, 0.1), strict=True)
    }
    filters = {f"filters_of_{agent}": 10.0 for agent in fig8.AGENTS}
    rows = {
        common.MCE_PL: {"iou": 0.3, **shares, **filters},
        common.IND_MASK: {"iou": 0.2, **shares, **{name: 8.0 for name in filters}},
        fig8.MCE_FIL: {"iou": 0.3, **shares, **{name: 7.0 for name in filters}},
        fig8.IND_FIL: {"iou": 0.2, **shares, **{name: 5.0 for name in filters}},
    }
    assert refused(fig8, rows) == []
    assert refused(fig8, rows, fig8.IND_FIL, iou=0.4) == [
        "So they are where both cut filters of 20 ones"
    ]
    assert len(refused(fig8, rows, fig8.IND_FIL, filters_of_4=11.0)) == 1
    assert len(refused(fig8, rows, common.MCE_PL, share_of_6=0.2)) == 1
    assert len(refused(fig8, rows, common.IND_MASK, filters_of_2=20.0)) == 1


def test_claims_of_table3():
    rows = {
        label: {"accuracy": 0.64 + 0.002 * place, "unicast_mb": 1.0 + place}
        for place, label in enumerate(table3.GRAPHS)
    }
    assert refused(table3, rows) == []
    assert refused(table3, rows, "p = 0.3", accuracy=0.66) == [
        "Accuracy on four topologies differs by less than a point"
    ]
    assert refused(table3, rows, table3.RING, unicast_mb=9.0) == [
        "A ring sends less than a graph with p = 0.7"
    ]


@pytest.mark.parametrize(("scale", "iterations"), [("small", 30), ("paper", 4)])
def test_deadlines_are_those_of_the_ratios_that_they_stand_for(scale, iterations):
    experiments = wireless.experiments(scale)
    wanted = {
        wireless.SHORT: np.mean(common.PAPER_SCALES[scale].ratios),
        wireless.MIDDLE: 0.5,
        wireless.LONG: 0.8,
    }
    for label, mean in wanted.items():
        ratios = []
        for experiment in experiments[label]:
            demand = experiment.algorithm.demand(experiment.scenario.clients)
            planned = [plan(experiment, demand, round).allocation for round in range(iterations)]
            ratios += [1.0 - each.pruning_ratio for each in planned]
            late = max(each.latency_s.max() for each in planned) / experiment.scenario.deadline_s
            assert late <= 1.0 + 1e-9
        assert np.mean(ratios) == pytest.approx(mean, abs=0.04)


def test_without_a_radio_the_list_takes_all_agents_as_long():
    experiment = wireless.experiments("small")[wireless.LIST][0]
    seconds = fixed_s(experiment.scenario, experiment.algorithm.demand(10))
    np.testing.assert_allclose(seconds, seconds[0], rtol=1e-5)
    assert experiment.scenario.per_client("cpu_hz").max() == radio.CPU_HZ


def test_agents_talk_over_the_graph_on_which_they_learn():
    for seeds in wireless.experiments("small").values():
        channel = seeds[0].channel.graph
        assert channel == seeds[0].algorithm.graph
    assert wireless.experiments("small")[wireless.RING][0].channel.graph.graph == "ring"


def test_accuracy_in_time_is_that_of_its_last_third():
    run = run_of([0.1, 0.2, None, 0.4, 0.5, 0.6, 0.9])
    assert wireless._accuracy_by(run, 6.0) == pytest.approx(0.5)
    assert wireless._accuracy_by(run, 3.0) == pytest.approx(0.25)
    assert wireless._accuracy_by(run, 0.9) == pytest.approx(0.1)


def test_retention_is_what_the_allocation_leaves_or_what_is_given(tmp_path):
    experiments = wireless.experiments("small")
    ratios = np.array(common.PAPER_SCALES["small"].ratios)
    wanted = {
        wireless.SHORT: np.full(10, 0.25),
        wireless.MIDDLE_HALF: np.full(10, 0.125),
        wireless.LIST: 0.25 * ratios,
        wireless.ONE: np.full(10, 0.25 * 0.24),
        wireless.ONCE: 0.25 * np.array(radio._listed(experiments[wireless.MIDDLE_HALF][0])),
    }
    for label, kept in wanted.items():
        synthetic_run(experiments[label][0], tmp_path, ratio=0.75)
        run = Run.read(folder_of(experiments[label][0], tmp_path))
        np.testing.assert_allclose(radio.retention(run), np.tile(kept, (10, 1)), rtol=1e-12)


def test_the_list_from_the_allocation_keeps_at_most_a_half_and_is_its_seeds_own():
    experiments = wireless.experiments("small")
    lists = [experiment.algorithm.keep.keep_ratios for experiment in experiments[wireless.ONCE]]
    assert lists[0] != lists[1]
    for listed in lists:
        assert max(listed) == 0.5
        assert 0.0 < min(listed) < 0.5
    assert [each.run.seed for each in experiments[wireless.ONCE]] == [0, 1]


def wireless_rows():
    # accuracy, accuracy_in_time, mean_retention, least_retention, round_ms, to_common_accuracy_s
    cells = {
        wireless.SHORT: (0.30, 0.30, 0.24, 0.08, 10.0, 0.3),
        wireless.MIDDLE: (0.33, 0.31, 0.50, 0.2, 12.9, 0.35),
        wireless.LONG: (0.2, 0.2, 0.8, 0.5, 16.8, 0.5),
        wireless.SHORT_HALF: (0.31, 0.31, 0.2, 0.1, 10.0, 0.3),
        wireless.MIDDLE_HALF: (0.34, 0.32, 0.4, 0.2, 12.9, 0.35),
        wireless.EQUAL_BANDS: (0.29, 0.29, 0.22, 0.06, 10.0, 0.3),
        wireless.BALANCED: (0.29, 0.29, 0.18, 0.18, 10.0, 0.3),
        wireless.RING: (0.3, 0.3, 0.34, 0.1, 10.0, 0.3),
        wireless.LIST: (0.31, 0.28, 0.24, 0.1, 11.5, 0.4),
        wireless.ONE: (0.31, 0.27, 0.24, 0.24, 12.5, 0.45),
        wireless.HALF: (0.33, 0.26, 0.5, 0.5, 16.0, 0.5),
        wireless.ONCE: (0.35, 0.32, 0.45, 0.3, 13.5, 0.3),
    }
    names = (
        "accuracy",
        "accuracy_in_time",
        "mean_retention",
        "least_retention",
        "round_ms",
        "to_common_accuracy_s",
    )
    common_cells = {"late": 0.0, "sat_out": 0.01, "kilobit_a_mask": 77.968}
    return {
        label: dict(zip(names, row, strict=True)) | common_cells for label, row in cells.items()
    }


def test_claims_of_the_wireless_study():
    rows = wireless_rows()
    assert refused(wireless, rows) == []
    assert refused(wireless, rows, wireless.LIST, late=1.0) == []
    assert refused(wireless, rows, wireless.RING, late=0.1) == [
        "Ratios from the allocation never miss the deadline"
    ]
    assert refused(wireless, rows, wireless.ONE, kilobit_a_mask=80.0) == [wireless.CLAIMS[0].text]
    assert len(refused(wireless, rows, wireless.SHORT, mean_retention=0.27)) == 1
    assert len(refused(wireless, rows, wireless.LIST, accuracy=0.34)) == 1
    assert len(refused(wireless, rows, wireless.LIST, accuracy_in_time=0.35)) == 3
    assert len(refused(wireless, rows, wireless.LONG, accuracy=0.4)) == 1
    assert (
        len(refused(wireless, rows, wireless.MIDDLE_HALF, accuracy=0.3, accuracy_in_time=0.1)) == 3
    )
    assert len(refused(wireless, rows, wireless.ONCE, accuracy=0.3, accuracy_in_time=0.1)) == 3
    assert len(refused(wireless, rows, wireless.BALANCED, least_retention=0.05)) == 1


def test_a_mask_takes_as_many_bits_whatever_the_allocation_keeps():
    demand = wireless.experiments("small")[wireless.SHORT][0].algorithm.demand(10)
    np.testing.assert_array_equal(demand.fixed_upload_bits, 77_968)
    np.testing.assert_array_equal(demand.prunable_upload_bits, 0)
    np.testing.assert_array_equal(demand.prunable_updates, 65_200)
