"""Long studies in slices: state, estimate, time limits and partial reports."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from helpers import plugin_folder
from helpers.cli import call

from studies.runner.single_run import folder_of, is_complete, run_lock
from studies.runner.sweep import run_all
from studies.study.outlook import common_seeds, seeds_first
from wirelessfl import plugins

STUDY = ("study", "deadlines", "--out", "runs", "--results", "results")


@pytest.fixture
def study(monkeypatch, tmp_path):
    plugin_folder.use(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("studies.runner.backend.worker_processes", ThreadPoolExecutor)
    return plugins.load("studies", "deadlines").experiments("small")


@pytest.fixture
def wirelessfl(study, capsys, monkeypatch):
    return partial(call, capsys, monkeypatch)


def test_the_first_seeds_of_all_labels_come_first(study):
    ordered = seeds_first(study)
    assert [one.run.seed for one in ordered] == [0, 0, 1, 1]
    assert [one.scenario.deadline_s for one in ordered] == [0.02, 0.025] * 2


def test_a_dry_run_estimates_and_runs_nothing(wirelessfl, study, tmp_path):
    before = wirelessfl(*STUDY, "--dry-run", "--json").json()
    assert (before["runs"], before["complete"], before["rounds_left"]) == (4, 0, 24)
    assert before["cpu_hours_left"] is None
    assert not (tmp_path / "runs").exists()
    assert wirelessfl(*STUDY, "--only", "20*").status == 0
    after = wirelessfl(*STUDY, "--dry-run", "--json").json()
    assert (after["complete"], after["rounds_left"]) == (2, 12)
    assert 0 < after["cpu_hours_left"] < 1
    size = sum(file.stat().st_size for file in (tmp_path / "runs").glob("[!.]*/**/*"))
    assert after["bytes_at_end"] == pytest.approx(2 * size, rel=0.3)
    line = " ".join(wirelessfl(*STUDY, "--dry-run").out.split())
    assert line.startswith("2 of 4 runs complete, 12 of 24 rounds left, about ")


def test_the_status_names_labels_and_runs_in_progress(wirelessfl, study, tmp_path):
    path = folder_of(study["25 ms"][0], tmp_path / "runs")
    path.parent.mkdir()
    with run_lock(path):
        rows = wirelessfl(*STUDY, "--status", "--json").json()["labels"]
    assert [(row["label"], row["in_progress"]) for row in rows] == [("20 ms", 0), ("25 ms", 1)]
    ended = wirelessfl(*STUDY, "--status")
    assert "in progress" in ended.out
    assert "0 of 4 runs complete" in ended.out


def test_a_study_whose_time_ends_reports_the_seeds_that_all_labels_have(
    wirelessfl, study, tmp_path
):
    ended = wirelessfl(*STUDY, "--for", "0.000001s")
    assert ended.status == 0, ended.err
    assert ended.out.startswith("0 of 4 runs complete, 24 of 24 rounds left")
    assert ended.out.endswith("the same command goes on\n")
    assert not (tmp_path / "results").exists()
    root = tmp_path / "runs"
    with ThreadPoolExecutor(1) as executor:
        run_all(seeds_first(study)[:3], root, executor=executor, on_failure=pytest.fail)
    assert {label: len(seeds) for label, seeds in common_seeds(study, root).items()} == {
        "20 ms": 1,
        "25 ms": 1,
    }
    ended = wirelessfl(*STUDY, "--for", "0.000001s")
    assert ended.status == 0, ended.err
    assert (tmp_path / "results" / "deadlines-small-partial" / "figure.png").exists()
    assert wirelessfl(*STUDY, "--for", "2h").status == 0
    assert all(is_complete(folder_of(one, root), one) for one in seeds_first(study))
    assert (tmp_path / "results" / "deadlines-small" / "table.csv").exists()


@pytest.mark.parametrize("text", ["2", "soon", "0s", "3kg"])
def test_a_time_must_have_a_unit(wirelessfl, text):
    ended = wirelessfl(*STUDY, "--for", text)
    assert ended.status == 2
    assert "--for must be a time above 0 such as 2h or 30min" in ended.err


def test_labels_that_match_nothing_are_refused(wirelessfl):
    ended = wirelessfl(*STUDY, "--only", "30*")
    assert ended.status == 2
    assert "--only must match a label of the study (20 ms, 25 ms), got '30*'" in ended.err
