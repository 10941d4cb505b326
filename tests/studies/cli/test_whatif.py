"""Sensitivity of scenarios to one or two fields, in Python and from the command line."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.cli import call

from studies.presets import scenario_tables
from studies.views.whatif.figures import PANELS, draw_what_if
from studies.views.whatif.vary import Vary
from studies.views.whatif.whatif import Sweep
from wirelessfl.cell.ideal import undisturbed
from wirelessfl.config.scenario_file import from_tables, merge
from wirelessfl.planning import participants, plan


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def sweep(*varied, draws=3, **tables):
    return Sweep(
        {**scenario_tables("digits"), **tables}, tuple(Vary.parse(text) for text in varied), draws
    )


def read(file):
    """The rows of a CSV file."""
    return list(csv.DictReader(file.read_text().splitlines()))


def by_hand(asked, points):
    """The mean pruning ratio of every draw, planned round by round by the round loop's function."""
    experiment = asked.experiment
    for axis, value in zip(asked.axes, points, strict=True):
        experiment = axis.of(experiment, value)
    demand = experiment.algorithm.demand(experiment.scenario.clients)
    ratios, prices = [], []
    for seed in asked.seeds:
        drop = replace(experiment, run=replace(experiment.run, seed=seed))
        for number in range(asked.rounds):
            here = participants(drop, number)
            allocation = plan(drop, demand.restricted_to(here), number, here).allocation
            ratios.append(allocation.pruning_ratio[here].mean())
            prices.append(float(allocation.bandwidth_price))
    return ratios, prices


GRIDS = {
    "deadline and band": ["scenario.deadline_s=0.015:0.025:2", "scenario.bandwidth_hz=3e6,6e6"],
    "power in dBm": ["scenario.transmit_power_dbm=10:28:2", "scenario.cpu_hz=1e9,3e9"],
    "clients and antennas": ["scenario.clients=2,5", "channel.antennas=1:4:2"],
    "a nested field and the cap": ["channel.slope_db=30,40", "allocation.max_pruning_ratio=0.9,1"],
    "one field": ["scenario.noise_power_w=1e-15,1e-13"],
}


@pytest.mark.parametrize("varied", GRIDS.values(), ids=GRIDS)
def test_every_point_is_what_the_round_loop_plans(varied):
    asked = sweep(*varied)
    found = asked.run()
    for index in np.ndindex(*(axis.values.size for axis in asked.axes)):
        point = [axis.values[place] for axis, place in zip(asked.axes, index, strict=True)]
        ratios, prices = by_hand(asked, point)
        np.testing.assert_allclose(found.measured["mean_ratio"][index], ratios, rtol=1e-12)
        np.testing.assert_allclose(found.measured["bandwidth_price"][index], prices, rtol=1e-9)


def test_noise_of_a_given_density_is_swept_over_bands():
    tables = scenario_tables("digits")
    density = {**tables["scenario"], "noise_psd_w_per_hz": 1e-20}
    asked = sweep(
        "scenario.bandwidth_hz=3e6,6e6", "scenario.deadline_s=0.02,0.03", scenario=density
    )
    found = asked.run()
    for index in np.ndindex(2, 2):
        ratios, _ = by_hand(
            asked, [axis.values[place] for axis, place in zip(asked.axes, index, strict=True)]
        )
        np.testing.assert_allclose(found.measured["mean_ratio"][index], ratios, rtol=1e-9)
    assert asked.breakpoints() == {}


@pytest.mark.parametrize(
    ("varied", "error"),
    [
        ("scenario.max_bps_hz=2,100", "none"),
        ("scenario.snr_gap_db=0,4", "none"),
        ("scenario.waterfall_threshold=0.01,0.5", "waterfall"),
    ],
)
def test_fields_of_the_link_are_swept_as_they_are_planned(varied, error):
    tables = scenario_tables("physical")
    radio = {**tables["scenario"], "packet_error": error}
    asked = sweep(varied, draws=2, scenario=radio, channel=tables["channel"])
    found = asked.run()
    for index, value in enumerate(asked.axes[0].values):
        ratios, _ = by_hand(asked, [value])
        np.testing.assert_allclose(found.measured["mean_ratio"][index], ratios, rtol=1e-9)
    assert found.measured["mean_ratio"][0].mean() != found.measured["mean_ratio"][1].mean()


@pytest.mark.parametrize("rate_model", ["shannon", "mcs"])
def test_open_loop_power_over_drops_is_swept_as_it_is_planned(rate_model):
    """A level that stays one, and a field two dataclasses deep."""
    tables = scenario_tables("physical")
    radio = {**tables["scenario"], "rate_model": rate_model}
    asked = sweep(
        "scenario.p0_dbm=-90,-80",
        "channel.radius_m=100,300",
        scenario=radio,
        channel=tables["channel"],
    )
    found = asked.run()
    for index in np.ndindex(2, 2):
        ratios, _ = by_hand(
            asked, [axis.values[place] for axis, place in zip(asked.axes, index, strict=True)]
        )
        np.testing.assert_allclose(found.measured["mean_ratio"][index], ratios, rtol=1e-9)


@pytest.mark.parametrize("preset", ["physical", "digits"])
def test_the_participants_of_every_round_alone_are_planned_for(preset):
    tables = scenario_tables(preset)
    asked = Sweep(
        {**tables, "run": {**tables.get("run", {}), "participants": 3}},
        (Vary.parse("scenario.clients=5,12"), Vary.parse("scenario.bandwidth_hz=3e6,6e6")),
        draws=4,
    )
    found = asked.run()
    for index in np.ndindex(2, 2):
        ratios, prices = by_hand(
            asked, [axis.values[place] for axis, place in zip(asked.axes, index, strict=True)]
        )
        np.testing.assert_allclose(found.measured["mean_ratio"][index], ratios, rtol=1e-9)
        np.testing.assert_allclose(found.measured["bandwidth_price"][index], prices, rtol=1e-6)


def test_fields_of_the_allocator_are_swept_too():
    asked = sweep(
        "allocation.pruning_ratio=0.1,0.5",
        "scenario.deadline_s=0.02,0.03",
        allocation={"method": "fixed-ratio"},
    )
    np.testing.assert_allclose(asked.run().mean("mean_ratio"), [[0.1, 0.1], [0.5, 0.5]])


def test_all_points_see_the_same_draws_and_more_draws_go_on_from_fewer():
    few = sweep("scenario.deadline_s=0.02,0.03", draws=2).run().measured["mean_ratio"]
    many = sweep("scenario.deadline_s=0.02,0.03", draws=5).run().measured["mean_ratio"]
    np.testing.assert_array_equal(many[:, :2], few)
    assert np.all(np.ptp(many, axis=-1) > 0)
    assert np.corrcoef(many)[0, 1] > 0.9


def test_large_sweeps_are_cut_to_fit_the_memory(monkeypatch):
    whole = sweep("scenario.deadline_s=0.015:0.03:7").run().measured["mean_ratio"]
    monkeypatch.setattr("studies.views.whatif.whatif.BATCH", 2 * 3 * 10)
    np.testing.assert_array_equal(
        sweep("scenario.deadline_s=0.015:0.03:7").run().measured["mean_ratio"], whole
    )


def test_breakpoints_of_the_mean_channel():
    asked = sweep("scenario.deadline_s=0.010:0.040:7", "scenario.bandwidth_hz=4.5e6,9e6")
    found = asked.breakpoints()
    assert list(found) == [4.5e6, 9e6]
    assert all(found.values())
    tables = scenario_tables("digits")
    static = from_tables({**tables, "channel": {"model": "static", "antennas": 4}})
    demand = static.algorithm.demand(10)
    for point in found[4.5e6]:
        for side, status in ((-1, point.before), (1, point.after)):
            scenario = replace(static.scenario, deadline_s=point.value * (1 + side * 1e-8))
            assert (
                plan(replace(static, scenario=scenario), demand).allocation.status[point.client]
                == status
            )
    assert sweep("scenario.clients=2,3").breakpoints() == {}
    assert sweep("channel.antennas=1:8:8").breakpoints() == {}


def test_the_command_gives_the_same_as_json_and_csv(wirelessfl, tmp_path):
    arguments = (
        "whatif",
        "--vary",
        "scenario.deadline_s=0.015:0.03:4",
        "--vary",
        "scenario.bandwidth_hz=3e6,6e6",
    )
    found = wirelessfl(
        *arguments, "--draws", 3, "--json", "--csv", "w.csv", "--plot", "w.png"
    ).json()
    expected = (
        sweep("scenario.deadline_s=0.015:0.03:4", "scenario.bandwidth_hz=3e6,6e6").run().table()
    )
    rows = read(tmp_path / "w.csv")
    assert list(found["table"]) == list(rows[0]) == list(expected)
    for name in set(expected) - {"pareto"}:
        np.testing.assert_allclose(found["table"][name], expected[name], rtol=1e-12)
        np.testing.assert_allclose(
            [float(row[name]) for row in rows], expected[name], rtol=1e-9, atol=1e-30
        )
    assert [row["pareto"] for row in rows] == [str(flag) for flag in expected["pareto"]]
    assert found["draws"] == 3
    assert {"scenario.deadline_s", "scenario.bandwidth_hz", "client", "before", "after"} == set(
        found["breakpoints"][0]
    )
    assert (tmp_path / "w.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["w.csv", "w.png"]


def test_a_single_draw_has_no_error_and_is_still_json(wirelessfl):
    ended = wirelessfl("whatif", "--vary", "scenario.deadline_s=0.02,0.03", "--draws", 1, "--json")
    assert json.loads(ended.out, parse_constant=pytest.fail)["table"][
        "mean_ratio_standard_error"
    ] == [None, None]


@pytest.mark.parametrize(
    ("varied", "suffix", "magic"),
    [
        (["scenario.deadline_s=0.015:0.03:8", "scenario.bandwidth_hz=2e6:9e6:8"], "pdf", b"%PDF"),
        (["scenario.bandwidth_hz=2e6:9e6:8", "scenario.deadline_s=0.02,0.03"], "svg", b"<?xml"),
        (["scenario.deadline_s=0.02,0.03", "scenario.bandwidth_hz=2e6:9e6:8"], "png", b"\x89PNG"),
        (["scenario.cpu_hz=1e9:3e9:3"], "png", b"\x89PNG"),
    ],
)
def test_figures_of_every_shape(wirelessfl, tmp_path, varied, suffix, magic):
    options = [item for text in varied for item in ("--vary", text)]
    ended = wirelessfl("whatif", *options, "--draws", 2, "--plot", f"w.{suffix}")
    assert (tmp_path / f"w.{suffix}").read_bytes().startswith(magic)
    assert "pruned %" in ended.out
    assert "2 channel draws" in ended.out


def test_the_table_names_front_and_breakpoints_and_thins_what_is_long(wirelessfl):
    ended = wirelessfl("whatif", "--vary", "scenario.deadline_s=0.01:0.04:201", "--draws", 2)
    assert "Pareto" in ended.out
    assert "201 points, 2 channel draws each; 1 in 3 shown" in ended.out
    assert "active set" in ended.out
    assert len(ended.out.splitlines()) < 130


BAD = {
    "nothing": ([], ["--vary", "once or twice", "0"]),
    "thrice": (
        ["scenario.deadline_s=1", "scenario.bandwidth_hz=1", "scenario.cpu_hz=1"],
        ["--vary", "3"],
    ),
    "twice the same": (
        ["scenario.transmit_power_w=1", "scenario.transmit_power_dbm=1"],
        ["--vary", "twice"],
    ),
    "no values": (["scenario.deadline_s="], ["--vary", "start:stop:count", "scenario.deadline_s="]),
    "no field": (["deadline_s=1:2:3"], ["--vary", "section.field"]),
    "unknown section": (["scenarios.deadline_s=1"], ["--vary section", "scenarios", "scenario"]),
    "a section that is not varied": (["training.learning_rate=1"], ["--vary section", "training"]),
    "unknown field": (["scenario.deadlines=1"], ["scenario.deadlines", "deadline_s"]),
    "not numeric": (["scenario.deadline_policy=1:2:2"], ["scenario.deadline_policy", "wait, drop"]),
    "plug-in": (["channel.model=1"], ["channel.model", "string"]),
    "two numbers": (
        ["scenario.distance_range_m=1:2:2"],
        ["scenario.distance_range_m", "two numbers"],
    ),
    "words": (["scenario.deadline_s=soon"], ["scenario.deadline_s", "number", "soon"]),
    "half a range": (
        ["scenario.deadline_s=0.01:0.02"],
        ["scenario.deadline_s", "start:stop:count"],
    ),
    "four parts": (
        ["scenario.deadline_s=0.01:0.02:3:4"],
        ["scenario.deadline_s", "start:stop:count"],
    ),
    "count 0": (
        ["scenario.deadline_s=0.01:0.02:0"],
        ["scenario.deadline_s", "count", "at least 1", "0"],
    ),
    "count beyond memory": (
        ["scenario.deadline_s=0.01:0.02:99999999999"],
        ["scenario.deadline_s", "at most 1000000"],
    ),
    "count not whole": (["scenario.deadline_s=0.01:0.02:2.5"], ["scenario.deadline_s", "2.5"]),
    "negative": (["scenario.deadline_s=0.02:-0.01:3"], ["scenario.deadline_s", "above 0"]),
    "infinite": (["scenario.deadline_s=1,inf"], ["scenario.deadline_s", "finite", "inf"]),
    "not a number": (["scenario.deadline_s=nan"], ["scenario.deadline_s", "finite", "nan"]),
    "half a client": (["scenario.clients=1:4:3"], ["scenario.clients", "whole number", "2.5"]),
    "cap": (
        ["allocation.max_pruning_ratio=0.5,1.5"],
        ["allocation.max_pruning_ratio", "at most 1", "1.5"],
    ),
}


@pytest.mark.parametrize(("varied", "words"), BAD.values(), ids=BAD)
def test_bad_fields_are_one_line(wirelessfl, tmp_path, varied, words):
    options = [item for text in varied for item in ("--vary", text)]
    _refused(wirelessfl("whatif", *options, "--csv", "w.csv", "--plot", "w.png"), tmp_path, *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--csv", "nowhere/w.csv"], ["--csv", "nowhere"]),
        (["--csv", "."], ["--csv", "folder"]),
        (["--csv", "w.csv", "--plot", "nowhere/w.png"], ["--plot", "nowhere"]),
        (["--plot", "w.jpg"], ["--plot", ".png, .pdf, .svg", "w.jpg"]),
        (["--draws", "0"], ["--draws", "at least 1", "0"]),
        (["--draws", "20000000"], ["--draws", "at most 20000000", "40000000"]),
        (["--method", "exakt"], ["allocation.method", "exakt", "exact"]),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(wirelessfl, tmp_path, options, words):
    _refused(
        wirelessfl("whatif", "--vary", "scenario.deadline_s=0.02,0.03", *options), tmp_path, *words
    )


def _refused(ended, folder, *words):
    assert ended.status == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1, ended.err
    for word in words:
        assert word in ended.err
    assert list(folder.iterdir()) == []


def test_a_range_may_fall_and_a_file_is_replaced_whole(wirelessfl, tmp_path):
    (tmp_path / "w.csv").write_text("old")
    assert (
        wirelessfl("whatif", "--vary", "scenario.deadline_s=0.03:0.02:2", "--csv", "w.csv").status
        == 0
    )
    assert [row["scenario.deadline_s"] for row in read(tmp_path / "w.csv")] == ["0.03", "0.02"]


def test_its_help_has_examples(wirelessfl):
    shown = wirelessfl("whatif", "--help").out
    assert "Examples:" in shown
    assert "--vary" in shown


def test_a_deadline_that_is_broken_has_a_late_client_and_no_star(wirelessfl):
    vary = ("--vary", "scenario.deadline_s=0.02,1", "--draws", 2)
    table = wirelessfl("whatif", *vary, "--set", "allocation.method=equal-common", "--json").json()
    late, front = table["table"]["late"], table["table"]["pareto"]
    assert late[0] > 0 == late[1]
    assert front == [False, True]


@pytest.mark.parametrize("cpu", ["fixed", "dvfs"])
@pytest.mark.parametrize("policy", ["wait", "drop"])
def test_energy_throughput_and_misses_are_those_of_the_cell(cpu, policy):
    """Rounds of the cell without losses, under the same channel and the same plan."""
    settings = {"cpu": cpu, "deadline_policy": policy, "min_cpu_hz": 5e8}
    tables = merge(
        scenario_tables("digits"), {"scenario": settings, "allocation": {"method": "equal"}}
    )
    what = Sweep(tables, [Vary.parse("scenario.deadline_s=0.012,0.025")], draws=3)
    found = what.run()
    for row, deadline_s in enumerate((0.012, 0.025)):
        here = from_tables(merge(tables, {"scenario": {"deadline_s": deadline_s}}))
        demand = here.algorithm.demand(10)
        for draw in range(3):
            planned = plan(here, demand, draw)
            timing = undisturbed(here.scenario, planned.channel, demand, planned.allocation)
            kept = 1 - planned.allocation.pruning_ratio
            bits = (demand.prunable_upload_bits * kept)[timing.delivered].sum()
            for name, value in (
                ("energy_j", timing.energy_j.sum()),
                ("throughput_bps", bits / timing.round_s),
                ("miss_rate", np.mean(~timing.delivered)),
                ("price_per_mhz", float(planned.allocation.bandwidth_price) / 4.5),
            ):
                assert found.measured[name][row, draw] == pytest.approx(value, rel=1e-9), name


def test_a_measure_that_does_not_vary_is_a_number_in_the_figure():
    asked = sweep("scenario.deadline_s=25ms,40ms", draws=2)
    figure = draw_what_if(asked.run(), {}, "digits", asked.axes)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.axison]
    assert labels[0] == "kept model (%)"
    assert "late clients" not in labels
    assert "late clients 0" in figure.get_suptitle()


def test_a_grid_of_one_point_has_all_panels_with_a_marker():
    asked = sweep("scenario.deadline_s=25ms", draws=2)
    figure = draw_what_if(asked.run(), {}, "digits", asked.axes)
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == len(PANELS)
    assert all(axes.lines[0].get_marker() == "o" for axes in panels)
