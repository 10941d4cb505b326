"""Varied fields, seeds and figures of `simulate`, `whatif`, `sweep` and `study`."""

import csv
import re

import numpy as np
import pytest
from helpers import plugin_folder
from helpers.cli import call

from studies.presets import scenario_tables
from studies.study.study import Setting
from studies.views.whatif.vary import Vary
from studies.views.whatif.whatif import Sweep
from wirelessfl import plugins
from wirelessfl.config.axis import Axis
from wirelessfl.errors import InputError


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def rows_of(file):
    return list(csv.DictReader(file.read_text().splitlines()))


def size_of(picture):
    """Width and height in points of an SVG picture."""
    found = re.search(r'<svg [^>]*?width="([\d.]+)pt"[^>]*', picture)
    height = re.search(r'<svg [^>]*?height="([\d.]+)pt"', picture)
    assert found is not None
    assert height is not None
    return float(found[1]), float(height[1])


def test_simulations_over_a_grid_are_those_of_a_sweep(wirelessfl, tmp_path):
    vary = ("--vary", "scenario.deadline_s=15ms,25ms", "--vary", "channel.csi=perfect,mean")
    grid = (*vary, "--rounds", 3, "--seeds", 2)
    done = wirelessfl("simulate", *grid, "--csv", "s.csv", "--plot", "s.svg", "--measure", "late")
    assert done.status == 0, done.err
    assert "4 points, 2 seeds each; mean ± one standard error over seeds" in done.out
    assert not (tmp_path / "runs").exists()
    train = ("--set", "run.train=false", "--jobs", 1)
    assert wirelessfl("sweep", *grid, *train, "--csv", "w.csv").status == 0
    simulated, swept = rows_of(tmp_path / "s.csv"), rows_of(tmp_path / "w.csv")
    assert [{**row, "run": ""} for row in swept] == [{**row, "run": ""} for row in simulated]
    points = rows_of(tmp_path / "s-points.csv")
    assert [float(row["late"]) > 0 for row in points] == [False, True, False, True]
    assert wirelessfl("simulate", *grid, "--json").json()["points"][1]["late"] > 0


def test_one_simulation_has_a_row_per_round_and_client_and_a_figure(wirelessfl, tmp_path):
    options = ("--rounds", 3, "--set", "scenario.clients=4", "--set", "channel.csi=mean")
    done = wirelessfl("simulate", *options, "--csv", "s.csv", "--plot", "s.pdf", "--json")
    rows = rows_of(tmp_path / "s.csv")
    assert [(row["round"], row["client"]) for row in rows[:5]] == [
        *(("1", "0"), ("1", "1"), ("1", "2"), ("1", "3"), ("2", "0"))
    ]
    latency_s = np.array([float(row["latency_s"]) for row in rows])
    assert latency_s.mean() == pytest.approx(done.json()["latency_s"]["mean"])
    delivered = [int(row["delivered"]) for row in rows]
    assert 1 - np.mean(delivered) == pytest.approx(done.json()["miss_rate"])
    assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("simulate", "--zip"), ["--zip", "--vary"]),
        (("simulate", "--seeds", 2), ["--seeds", "--vary"]),
        (("simulate", "--measure", "late"), ["--measure", "--vary"]),
        (("simulate", "--vary", "scenario.clients=2", "--timeline", "t.png"), ["--timeline"]),
        (("simulate", "--vary", "scenario.clients=2", "--seeds", 0), ["--seeds", "1", "0"]),
        (("simulate", "--plot", "x.txt"), ["--plot", ".pdf"]),
        (("simulate", "--style", "grayscal"), ["--style", "did you mean grayscale"]),
        (("sweep",), ["--vary", "at least one"]),
        (("sweep", "--vary", "scenario.clients=2", "--style", "no"), ["--style", "'no'"]),
        (("study", "wfl-table1", "--seeds", 0), ["--seeds", "1", "0"]),
        (("study", "wfl-table1", "--plot", "x.txt"), ["--plot", ".pdf"]),
        (("whatif", "--vary", "allocation.method=exakt"), ["did you mean 'exact'"]),
    ],
)
def test_bad_options_are_one_line(wirelessfl, tmp_path, arguments, words):
    done = wirelessfl(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert all(word in done.err for word in words)
    assert not list(tmp_path.iterdir())


def test_a_what_if_over_words_gives_what_each_word_gives_alone(wirelessfl, tmp_path):
    deadlines = "scenario.deadline_s=15ms:25ms:3"
    vary = ("--vary", deadlines, "--vary", "allocation.method=exact,equal")
    done = wirelessfl("whatif", *vary, "--draws", 3, "--csv", "w.csv", "--plot", "w.png", "--json")
    assert done.status == 0, done.err
    assert done.json()["axes"]["allocation.method"] == ["exact", "equal"]
    assert (tmp_path / "w.png").read_bytes().startswith(b"\x89PNG")
    rows = rows_of(tmp_path / "w.csv")
    assert [row["allocation.method"] for row in rows[:2]] == ["exact", "equal"]
    tables = scenario_tables("digits")
    for method in ("exact", "equal"):
        changed = {**tables, "allocation": {**tables["allocation"], "method": method}}
        alone = Sweep(changed, (Vary.parse(deadlines),), 3).run().mean("mean_ratio")
        here = [float(row["mean_ratio"]) for row in rows if row["allocation.method"] == method]
        np.testing.assert_allclose(here, alone, rtol=1e-9)
    assert {point["allocation.method"] for point in done.json()["breakpoints"]} <= {"exact"}


def test_a_what_if_takes_booleans_models_and_logarithmic_ranges(wirelessfl):
    sight = ("--set", "channel.path_loss=tr38901-umi", "--vary", "channel.line_of_sight=true,false")
    found = wirelessfl("whatif", *sight, "--draws", 2, "--json").json()
    assert found["axes"]["channel.line_of_sight"] == [True, False]
    assert found["table"]["mean_ratio"][0] < found["table"]["mean_ratio"][1]
    models = "channel.model=rayleigh,rician"
    logarithmic = "scenario.bandwidth_hz=log:2MHz:8MHz:3"
    done = wirelessfl("whatif", "--vary", models, "--vary", logarithmic, "--draws", 2)
    assert done.status == 0, done.err
    printed = " ".join(done.out.split())
    for row in ("rayleigh 2 ", "rayleigh 4 ", "rician 8 "):
        assert row in printed


def test_the_axis_of_a_logarithmic_range_is_logarithmic():
    assert Axis.parse("scenario.bandwidth_hz=log:1MHz:100MHz:4").logarithmic
    assert Axis.parse("scenario.bandwidth_hz=1MHz,2MHz,4MHz").logarithmic
    assert not Axis.parse("scenario.bandwidth_hz=1MHz:4MHz:4").logarithmic
    assert not Axis.parse("scenario.bandwidth_hz=1MHz,2MHz").logarithmic
    assert not Axis.parse("channel.csi=perfect,mean,quantile").logarithmic


def test_style_and_size_change_the_figure_and_no_date_is_in_it(wirelessfl, tmp_path):
    grid = ("simulate", "--rounds", 1, "--seeds", 2, "--vary", "scenario.clients=2,3")
    looks = {"plain": (), "grey": ("--style", "grayscale"), "wide": ("--size", "6x2")}
    for name, look in looks.items():
        for copy in ("", "-again"):
            assert wirelessfl(*grid, *look, "--plot", f"{name}{copy}.svg").status == 0
    pictures = {name: (tmp_path / f"{name}.svg").read_text() for name in looks}
    for name, picture in pictures.items():
        assert picture == (tmp_path / f"{name}-again.svg").read_text()
        assert "2026" not in picture
        assert "digits" not in picture
    assert "#0072b2" in pictures["plain"]
    assert "#0072b2" not in pictures["grey"]
    assert size_of(pictures["wide"])[0] == pytest.approx(6 * 72)
    assert size_of(pictures["plain"])[0] == pytest.approx(3.5 * 72)


@pytest.mark.slow
def test_a_study_with_other_seeds_and_its_figure(wirelessfl, tmp_path, monkeypatch):
    plugin_folder.use(monkeypatch)
    done = wirelessfl("study", "deadlines", "--jobs", 1, "--seeds", 3, "--plot", "f.svg")
    assert done.status == 0, done.err
    assert "3 seeds" in done.out
    assert "± one standard error over seeds" in done.out
    picture = (tmp_path / "f.svg").read_text()
    assert "deadlines, small" not in picture
    assert (tmp_path / "runs/results/deadlines-small-seeds-3/table.csv").exists()


def test_further_seeds_follow_the_studys_own_and_fewer_are_its_first():
    study = plugins.load("studies", "wfl-fig5")
    own = Setting().experiments(study)
    for count in (1, 2, 5):
        found = Setting(seeds=count).experiments(study)
        for label, seeds in found.items():
            assert [one.run.seed for one in seeds] == list(range(count))
            assert seeds[:2] == own[label][:count]
    assert Setting(seeds=5).options == "--scale small --seeds 5"


def test_a_study_whose_runs_differ_in_more_than_the_seed_refuses_other_seeds():
    class Odd:
        CLAIMS = ()

        @staticmethod
        def experiments(scale):
            first, second = plugins.load("studies", "wfl-fig5").experiments(scale)["15 ms"]
            other = plugins.load("studies", "wfl-fig5").experiments(scale)["20 ms"][1]
            return {"odd": [first, second, other]}

    with pytest.raises(InputError, match="--seeds 2 must be left out"):
        Setting(seeds=2).experiments(Odd)
