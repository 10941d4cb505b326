"""`wirelessfl sweep`: grids over any fields, their tables, files and figures."""

import csv

import numpy as np
import pytest
from helpers.cli import call

import wirelessfl as wfl
from studies.grid.points import grid
from studies.presets import scenario_tables
from studies.report.one_run.run import Run
from wirelessfl.config.axis import Axis

RADIO = ("--set", "run.train=false", "--rounds", "3", "--seeds", "2", "--jobs", "1")


@pytest.fixture
def sweep(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, "sweep", *arguments)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("scenario.deadline_s=15ms:35ms:3", (0.015, 0.025, 0.035)),
        ("scenario.bandwidth_hz=5MHz,2e7,1GHz", (5e6, 2e7, 1e9)),
        ("scenario.bandwidth_hz=log:1MHz:100MHz:3", (1e6, 1e7, 1e8)),
        ("scenario.transmit_power_w=0dBm,30dBm,200mW", (0.001, 1.0, 0.2)),
        ("scenario.transmit_power_dbm=23dBm,10", (23.0, 10)),
        ("scenario.clients=5:20:4", (5, 10, 15, 20)),
        ("allocation.max_pruning_ratio=50%,0.9", (0.5, 0.9)),
        ("allocation.method=exact,equal", ("exact", "equal")),
        ("channel.line_of_sight=true,false", (True, False)),
        ("scenario.distance_range_m=[100,200],[200,400.5]", ([100, 200], [200, 400.5])),
    ],
)
def test_values_of_an_axis(text, values):
    axis = Axis.parse(text)
    assert axis.values == pytest.approx(values) if axis.numeric else axis.values == values
    assert [type(value) for value in axis.values] == [type(value) for value in values]
    assert Axis.of(axis.name, list(axis.values)) == axis
    assert Axis.of(axis.name, text.partition("=")[2]) == axis


def test_a_grid_has_all_combinations_and_seeds():
    tables = scenario_tables("digits")
    axes = [Axis.parse("scenario.clients=4,8"), Axis.parse("allocation.method=exact,equal")]
    points = grid(tables, axes, seeds=3)
    assert [point.label for point in points] == [
        "clients=4, method=exact",
        "clients=4, method=equal",
        "clients=8, method=exact",
        "clients=8, method=equal",
    ]
    assert [one.run.seed for one in points[0].experiments] == [0, 1, 2]
    assert {one.scenario.clients for one in points[3].experiments} == {8}
    zipped = grid(tables, axes, zipped=True)
    assert [point.label for point in zipped] == [
        "clients=4, method=exact",
        "clients=8, method=equal",
    ]


@pytest.mark.slow
def test_figures_of_a_sweep_are_those_of_its_runs(sweep, tmp_path):
    done = sweep(
        *("--vary", "scenario.deadline_s=15ms,30ms", "--vary", "allocation.method=exact,equal"),
        *("--csv", "grid.csv", "--plot", "grid.svg", "--json", *RADIO),
    )
    assert done.status == 0
    with (tmp_path / "grid.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    for row in rows:
        run = Run.read(tmp_path / "runs" / "studies" / row["run"])
        assert run.experiment.scenario.deadline_s == float(row["scenario.deadline_s"])
        assert run.experiment.run.seed == int(row["run.seed"])
        kept = 1 - run.series("pruning_ratio").mean()
        assert float(row["kept_model"]) == pytest.approx(kept, rel=1e-5)
        energy_j = run.series("energy_j").sum(axis=1).mean()
        assert float(row["energy_j"]) == pytest.approx(energy_j, rel=1e-5)
    with (tmp_path / "grid-points.csv").open() as file:
        points = list(csv.DictReader(file))
    seeds = [float(row["kept_model"]) for row in rows[2:4]]
    assert float(points[1]["kept_model"]) == pytest.approx(np.mean(seeds), rel=1e-5)
    error = abs(seeds[0] - seeds[1]) / 2
    assert float(points[1]["kept_model_se"]) == pytest.approx(error, rel=1e-3, abs=1e-6)
    assert float(points[1]["kept_model_ci95"]) == pytest.approx(12.7062 * error, rel=1e-3, abs=1e-5)
    found = done.json()
    assert [point["kept_model"] for point in found["points"]] == pytest.approx(
        [float(point["kept_model"]) for point in points], rel=1e-5
    )
    picture = (tmp_path / "grid.svg").read_text()
    assert picture.startswith("<?xml")


def test_runs_are_shared_and_a_longer_deadline_keeps_more(sweep, tmp_path):
    first = sweep("--vary", "scenario.deadline_s=15ms,30ms", *RADIO)
    assert first.status == 0
    printed = " ".join(first.out.split())
    for word in ("deadline (ms)", "kept model %", "infeasible", "late", "energy J"):
        assert word in printed
    folders = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/studies").iterdir()}
    again = sweep("--vary", "scenario.deadline_s=15ms,30ms", *RADIO, "--json")
    assert folders == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "runs/studies").iterdir()
    }
    short, long = (point["kept_model"] for point in again.json()["points"])
    assert short < long


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--vary", "scenario.deadline_s=5MHz"], ["scenario.deadline_s", "ms", "'5MHz'"]),
        (["--vary", "scenario.deadline=0.1"], ["scenario.deadline", "did you mean deadline_s"]),
        (["--vary", "cell.deadline_s=0.1"], ["--vary section", "scenario", "'cell'"]),
        (["--vary", "scenario.clients"], ["--vary", "'scenario.clients'"]),
        (["--vary", "scenario.clients=1:2:3:4"], ["scenario.clients", "'1:2:3:4'"]),
        (["--vary", "scenario.clients=1:9:0"], ["count", "0"]),
        (["--vary", "scenario.deadline_s=log:0:1:3"], ["above 0", "'log:0:1:3'"]),
        (["--vary", "run.seed=1,2"], ["run.seed", "--seeds"]),
        (["--vary", "scenario.clients=1,2", "--seeds", "0"], ["--seeds", "1", "0"]),
        (["--vary", "allocation.method=exakt"], ["allocation.method", "did you mean 'exact'"]),
        (
            ["--vary", "scenario.clients=1,2", "--vary", "run.rounds=1,2,3", "--zip"],
            ["--zip", "2, 3"],
        ),
        (
            ["--vary", "scenario.clients=1:9000:9000", "--seeds", "20"],
            ["--seeds 20", "1.8e+05", "1e+05"],
        ),
        (["--vary", "scenario.clients=4", "--size", "3"], ["--size", "'3'"]),
        (["--vary", "scenario.clients=4", "--measure", "speed"], ["--measure", "kept_model"]),
        (["--vary", "scenario.clients=4", "--plot", "x.txt"], ["--plot", ".pdf", "'x.txt'"]),
        (["--vary", "scenario.clients=4", "--to-accuracy", "95"], ["--to-accuracy", "1", "95"]),
    ],
)
def test_bad_input_is_one_line(sweep, tmp_path, arguments, words):
    done = sweep(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    for word in words:
        assert word in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_sweep_by_the_python_interface_trains_and_draws(tmp_path):
    result = wfl.sweep(
        {"run": {"rounds": 2, "eval_every": 1}},
        {"scenario.deadline_s": "20ms,40ms", "training.algorithm": ["fedalt", "fedavg"]},
        seeds=2,
        to_accuracy=0.05,
        out=tmp_path / "runs",
    )
    frame = result.to_pandas()
    assert len(frame) == 8
    assert frame["accuracy"].between(0, 1).all()
    assert (frame["reached"] == 1).all()
    assert (frame["seconds_to"] > 0).all()
    figure = wfl.draw_sweep(result)
    top = figure.axes[0]
    labels = [text.get_text() for text in top.get_legend().get_texts()]
    assert labels == ["fedalt", "fedavg"]
    drawn = top.lines[0].get_xydata()
    assert drawn[:, 0].tolist() == [20.0, 40.0]
    means = frame[frame["training.algorithm"] == "fedalt"].groupby("scenario.deadline_s")
    assert drawn[:, 1] == pytest.approx(100 * means["accuracy"].mean().to_numpy())
