"""Figures and tables of runs with absent clients, with many clients, and of a regression."""

import numpy as np
from helpers.studies import synthetic_record, synthetic_run
from matplotlib.figure import Figure

from studies.report import curves
from studies.report.isolated import isolated
from studies.report.one_run.run import Run
from studies.runner.sweep import folder_of
from studies.views.run import figures as run_figures
from studies.views.run.tables import print_run
from wirelessfl.config.scenario_file import from_tables, to_toml
from wirelessfl.records.run_folder import RunFolder


def _complete(tables, root, **values):
    experiment = from_tables(tables)
    synthetic_run(experiment, root, rounds=1, **values)
    return RunFolder.open(folder_of(experiment, root))


def test_a_box_is_that_of_one_client_whoever_took_part(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path / "run", to_toml(from_tables({"scenario": {"clients": 50}})))
    for number, clients in enumerate(([7, 40], [3, 40], [3, 7]), start=1):
        record = synthetic_record(number, 2)
        ratios = [client / 100 for client in clients]
        folder.append(
            type(record)(**{**record.as_dict(), "clients": clients, "pruning_ratio": ratios})
        )
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    run_figures.draw_run(folder)
    axes = drawn[-1].axes[1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["3", "7", "40"]
    medians = [
        line.get_ydata()[0]
        for line in axes.lines
        if len(set(line.get_ydata())) == 1 and line.get_color() == "C1"
    ]
    np.testing.assert_allclose(medians, [0.03, 0.07, 0.4])


def test_a_regression_is_judged_by_r2_which_may_be_negative(tmp_path, monkeypatch, capsys):
    tables = {
        "scenario": {"clients": 2},
        "training": {"algorithm": "fedavg", "dataset": "blogfeedback"},
    }
    tables["training"] |= {"model": "linear", "partition": "natural"}
    folder = _complete(tables, tmp_path, accuracy=-0.5)
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    run_figures.draw_run(folder)
    axes = drawn[0].axes[1]
    assert axes.get_ylabel() == "test R² (%)"
    assert axes.get_ylim()[0] < -50
    print_run(folder.path, 1.0)
    shown = capsys.readouterr().out
    assert "R², mean over clients, last / best" in shown
    assert "accuracy" not in shown


def test_a_last_round_of_many_clients_is_cut_and_says_where_the_rest_is(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", "100")
    for clients, rows in ((20, 20), (23, 20)):
        folder = _complete({"scenario": {"clients": clients}}, tmp_path)
        print_run(folder.path, 1.0)
        shown = capsys.readouterr().out
        assert sum(line.count("yes") for line in shown.splitlines()) == rows
        assert (f"3 more clients: {folder.rounds_file}" in shown) == (clients == 23)
    assert "accuracy, mean over clients, last / best" in shown


def test_a_single_round_and_a_value_between_nulls_have_a_marker(tmp_path, monkeypatch):
    """A line through one point draws nothing."""
    folder = _complete({"scenario": {"clients": 2}, "training": {"algorithm": "fedavg"}}, tmp_path)
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    run_figures.draw_run(folder)
    loss, latency = drawn[0].axes[0].lines[0], drawn[1].axes[0].lines[0]
    for line in (loss, latency):
        assert (line.get_marker(), list(line.get_markevery())) == ("o", [0])
    assert isolated([1.0, 2.0, np.nan, 3.0, np.nan, 4.0, 5.0]) == [3]
    assert isolated([np.nan]) == isolated([]) == []


def test_a_curve_of_a_study_shows_its_only_evaluation_and_names_its_score(tmp_path):
    experiment = from_tables({"scenario": {"clients": 2}, "training": {"algorithm": "fedavg"}})
    synthetic_run(experiment, tmp_path, rounds=1)
    axes = Figure().subplots()
    run = Run.read(folder_of(experiment, tmp_path))
    curves.draw_curves(axes, {"one": [run]}, "accuracy", "")
    (line,) = axes.lines
    assert (line.get_marker(), line.get_markevery()) == ("o", [0])
    assert axes.get_ylabel() == "test accuracy, mean over clients"
