"""The page of a threshold study: its file, its command and its figure."""

import csv
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import call
from helpers.idx import write_mnist_like

from studies.grid.points import grid
from wirelessfl.config.axis import Axis
from wirelessfl.config.scenario_file import from_tables, to_tables

PAGE = Path(__file__).parent.parent / "docs" / "tutorial-threshold.md"
TEXT = PAGE.read_text(encoding="utf-8")
(TOML,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
(COMMAND,) = re.findall(
    r"^```\n(wirelessfl sweep threshold\.toml.*?)```", TEXT, re.DOTALL | re.MULTILINE
)
WORDS = shlex.split(COMMAND.replace("\\\n", " "))[1:]


def varied(words):
    return [words[at + 1] for at, word in enumerate(words) if word == "--vary"]


def test_one_file_of_at_most_25_lines_describes_the_cell_of_the_page():
    assert len(TOML.splitlines()) <= 25
    experiment = from_tables(tomllib.loads(TOML))
    scenario, algorithm = experiment.scenario, experiment.algorithm
    assert (scenario.clients, scenario.bandwidth_hz) == (20, 10e6)
    assert to_tables(experiment)["channel"]["carrier_hz"] == 3.5e9
    assert scenario.cpu_hz == "uniform(1e+09, 3e+09)"
    shared_bits = algorithm.demand(20).prunable_upload_bits
    personal = (5 * 5 + 1) * 32 + (5 * 5 * 32 + 1) * 64
    np.testing.assert_array_equal(shared_bits, 8 * (1_663_370 - personal))


def test_one_command_has_deadlines_from_50_to_500_ms_three_schemes_and_three_seeds():
    axes = [Axis.parse(text) for text in varied(WORDS)]
    points = grid(tomllib.loads(TOML), axes, seeds=int(WORDS[WORDS.index("--seeds") + 1]))
    deadlines_s = {point.values["scenario.deadline_s"] for point in points}
    assert (min(deadlines_s), max(deadlines_s)) == (0.05, 0.5)
    assert len({point.values["allocation.method"] for point in points}) == 3
    assert {len(point.experiments) for point in points} == {3}


@pytest.mark.slow
def test_the_command_gives_table_csv_and_pdf(capsys, monkeypatch, tmp_path):
    """The file and the command of the page on other data, with little work."""
    write_mnist_like(tmp_path / "data", "fashion-mnist")
    (tmp_path / "threshold.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WIRELESSFL_DATA", raising=False)
    little = ("--rounds", 2, "--seeds", 1, "--jobs", 1, "--data-root", "data")
    sizes = ("train_samples=40", "test_samples=20", "batch_size=1", "width=0.1")
    fields = [word for size in sizes for word in ("--set", f"training.{size}")]
    ended = call(capsys, monkeypatch, *WORDS, *little, *fields)
    assert ended.status == 0, ended.err
    for heading in ("training", "to an accuracy of 0.7", "per round", "infeasible", "late"):
        assert heading in " ".join(ended.out.split())
    with (tmp_path / "threshold.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 3
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows)
    assert (tmp_path / "threshold.pdf").read_bytes().startswith(b"%PDF")
