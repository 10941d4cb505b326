"""The best deadline: laws of the rounds needed, the scan, the halving and the command."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.cli import call

from studies.deadline.figures import draw_best
from studies.deadline.halving import Trained, go_on, ranked
from studies.deadline.laws import LAWS, Law
from studies.deadline.model import Scan, pace_of, seconds_to
from studies.deadline.search import DeadlineSearch
from studies.deadline.tables import print_best
from studies.presets import scenario_tables
from studies.report.results import Sample
from studies.runner.single_run import folder_of, is_complete, run_to_end
from wirelessfl.config.scenario_file import from_tables, merge, to_toml

SMALL = {
    "scenario": {"clients": 3},
    "training": {"train_samples": 240, "test_samples": 60, "batch_size": 16},
    "run": {"eval_every": 1, "rounds": 8},
}
SETTINGS = [
    part
    for section, table in SMALL.items()
    for field, value in table.items()
    for part in ("--set", f"{section}.{field}={value}")
]


@pytest.mark.parametrize("law", [Law("power", 12.0, 0.7), Law("bound", 12.0, 0.9)])
def test_a_law_is_found_from_its_own_rounds(law):
    kept = np.array([0.1, 0.25, 0.6, 0.9])
    found = LAWS[law.name](kept, law.rounds(kept))
    assert (found.whole, found.shape) == pytest.approx((law.whole, law.shape), rel=1e-9)
    assert found.rounds(1.0) == pytest.approx(12.0)


def test_less_model_never_needs_fewer_rounds_and_the_bound_has_a_least_model():
    kept, falling = np.array([0.2, 0.5, 0.9]), np.array([10.0, 11.0, 13.0])
    for fit in LAWS.values():
        law = fit(kept, falling)
        assert law.shape == 0
        assert 10 < law.rounds(0.01) < 13
    assert Law("bound", 10.0, 1.25).rounds([0.2, 0.1, 0.6]).tolist() == [np.inf, np.inf, 20.0]


def test_the_scan_finds_the_least_of_a_curve_with_two_valleys():
    """Against a search over 200,001 deadlines; a descent from either end stops in the wrong one."""

    def pace(deadline_s):
        steps = 0.3 * (deadline_s > 0.012) + 0.25 * (deadline_s > 0.03)
        return deadline_s, min(0.2 + steps + 2.0 * (deadline_s - 0.005), 1.0)

    law = Law("power", 10.0, 1.5)
    scan = Scan(0.006, 0.1, pace)
    dense = np.geomspace(0.006, 0.1, 200_001)
    seconds = seconds_to(law, pace, dense)
    best_s = scan.best(law)
    assert seconds_to(law, pace, np.array([best_s]))[0] <= 1.02 * seconds.min()
    assert best_s == pytest.approx(dense[seconds.argmin()], rel=0.02)
    assert np.any(np.diff(np.sign(np.diff(seconds))) < 0)


def test_the_pace_of_a_cell_grows_with_the_deadline_until_nothing_is_pruned():
    pace = pace_of(from_tables(scenario_tables("digits")), 5)
    deadlines_s = np.array([0.008, 0.02, 0.2, 0.4])
    round_s, kept = np.array([pace(deadline_s) for deadline_s in deadlines_s]).T
    assert np.all(np.diff(kept) >= 0)
    assert kept[-2:].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(round_s, deadlines_s, rtol=1e-6)


def test_a_run_that_goes_on_has_the_bytes_of_one_that_was_never_stopped(tmp_path):
    given = merge(scenario_tables("digits"), {"run": {"train": False, "rounds": 30}})
    base = from_tables(merge(given, {"channel": {"csi": "estimate"}}))
    short, long = (
        replace(base, run=replace(base.run, rounds=rounds, max_simulated_s=seconds))
        for rounds, seconds in ((10, 0.2), (20, 0.4))
    )
    roads = [tmp_path / "on", tmp_path / "fresh"]
    for root in roads:
        root.mkdir()
    go_on(short, long, roads[0])  # no short run yet: nothing to go on from
    assert not list(roads[0].glob("[!.]*"))
    run_to_end(folder_of(short, roads[0]), to_toml(short))
    go_on(short, long, roads[0])
    assert not is_complete(folder_of(long, roads[0]), long)
    for root in roads:
        run_to_end(folder_of(long, root), to_toml(long))
    for name in ("rounds.jsonl", "summary.json", "experiment.toml"):
        on, fresh = (folder_of(long, root) / name for root in roads)
        assert on.read_bytes() == fresh.read_bytes(), name
    assert is_complete(folder_of(short, roads[0]), short)


def test_deadlines_are_ranked_by_seeds_that_reach_the_target_then_time_then_accuracy():
    def one(deadline_s, rung, seconds_to, accuracy):
        return Trained(deadline_s, 1.0, rung, Sample((accuracy, accuracy)), seconds_to)

    never = (np.inf, np.inf)
    found = [
        one(1.0, 2, (0.5, np.inf), 0.9),
        one(2.0, 2, (0.8, 0.9), 0.7),
        one(3.0, 2, (0.4, 0.9), 0.7),
        one(4.0, 1, (0.1, 0.1), 0.7),
        one(5.0, 2, never, 0.6),
        one(6.0, 2, never, 0.65),
    ]
    assert [trained.deadline_s for trained in ranked(found)] == [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]
    assert found[0].time is None
    assert found[2].time == Sample((0.4, 0.9))


@pytest.mark.parametrize("target", [None, 0.2])
@pytest.mark.slow
def test_half_of_the_deadlines_go_on_and_both_laws_are_reported(tmp_path, capsys, target):
    search = DeadlineSearch.of(
        from_tables(merge(scenario_tables("digits"), SMALL)),
        deadlines="8ms,14ms,40ms",
        to_accuracy=target,
        total_seconds=0.08,
        seeds=1,
        rungs=2,
        draws=3,
    )
    asked = []

    def run_all(experiments, title):
        asked.append(len(experiments))
        for one in experiments:
            run_to_end(folder_of(one, tmp_path), to_toml(one))

    found = search.run(tmp_path, run_all)
    assert asked == [3, 2]
    assert [one.rung for one in found.trained].count(2) == 2
    assert found.best.rung == 2
    for row in found.rows():
        for name, one in found.models.items():
            by_law = one.law.rounds(row["kept_model"]) * row["round_s"]
            assert row[f"{name}_s"] == pytest.approx(float(by_law))
    print_best(found)
    printed = capsys.readouterr().out
    assert "power: rounds G(x) = G1 / x^" in printed
    assert "training: best deadline" in printed
    draw_best(found, "digits").savefig(tmp_path / "d.png")
    if target is not None:
        assert found.best.time.mean <= 0.08 + 0.04


@pytest.mark.slow
def test_the_command_writes_table_csv_and_figure(capsys, monkeypatch, tmp_path):
    """The same command ends at once."""
    monkeypatch.chdir(tmp_path)
    command = [
        *("deadline", "digits", *SETTINGS, "--deadlines", "8ms,14ms,40ms", "--seeds", "1"),
        *("--rungs", "2", "--total-seconds", "0.24", "--draws", "3", "--jobs", "1", "-q"),
    ]
    ended = call(capsys, monkeypatch, *command, "--csv", "d.csv", "--plot", "d.png")
    assert ended.status == 0, ended.err
    for text in ("deadline ms", "power: rounds G(x)", "bound: rounds", "training: best deadline"):
        assert text in ended.out
    rows = list(csv.DictReader((tmp_path / "d.csv").read_text().splitlines()))
    trained = [row for row in rows if row["rung"]]
    assert [float(row["deadline_s"]) for row in trained] == [0.008, 0.014, 0.04]
    assert sorted(row["rung"] for row in trained) == ["1", "2", "2"]
    assert len(rows) >= 33
    assert (tmp_path / "d.png").stat().st_size > 10_000
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/**/rounds.jsonl")}
    again = call(capsys, monkeypatch, *command, "--json")
    found = json.loads(again.out)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert len(before) == 5
    assert found["target"] is None
    assert found["trained"]["deadline_s"] in (0.008, 0.014, 0.04)
    assert set(found["model"]) == {"power", "bound"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--to-accuracy or --total-seconds must be given, got neither"),
        (["--to-accuracy", "2"], "--to-accuracy must be at most 1, got 2"),
        (["--total-seconds", "0"], "--total-seconds must be above 0, got 0"),
        (["--total-seconds", "1", "--deadlines", "20ms"], "--deadlines must be at least 2, got 1"),
        (["--total-seconds", "1", "--deadlines", "a,b"], "--deadlines must be seconds, got 'a,b'"),
        (["--total-seconds", "1", "--set", "run.train=false"], "run.train must be true, got false"),
        (
            ["--total-seconds", "1", "--seeds", "0"],
            "--seeds must be a whole number of at least 1, got 0",
        ),
    ],
)
def test_wrong_options_are_one_line(capsys, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    ended = call(capsys, monkeypatch, "deadline", *options)
    assert ended.status == 2
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
