"""Reference pages and costs in the repository are those that the code gives."""

import tomllib
from pathlib import Path

import pytest
from helpers.cli import call

from studies.study import costs
from studies.study.reference import pages
from wirelessfl import plugins

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
HINT = "run: wirelessfl describe --pages docs/reference"


def test_the_reference_pages_are_current(monkeypatch):
    monkeypatch.delenv("WIRELESSFL_PLUGINS", raising=False)
    found = pages()
    assert {file.name for file in REFERENCE.iterdir()} == {*found, "support.md"}, HINT
    for name, text in found.items():
        assert (REFERENCE / name).read_text(encoding="utf-8") == text, f"{name}: {HINT}"


def test_a_field_stands_on_its_page_with_default_and_unit():
    found = pages()
    assert "| `deadline_s` | a number |" in found["sections.md"]
    (line,) = [
        row for row in found["channels.md"].splitlines() if row.startswith("| `k_factor_db`")
    ]
    assert "`9.0`" in line
    assert "dB" in line
    assert "## fedalt" in found["algorithms.md"]


def test_the_command_writes_the_pages(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    # Some seconds; tests/studies/study/test_support.py compares that page.
    monkeypatch.setattr("studies.study.reference.support_page", lambda: iter(["combinations"]))
    done = call(capsys, monkeypatch, "describe", "--pages", "pages")
    assert done.status == 0
    assert "combinations" in (tmp_path / "pages" / "support.md").read_text()
    assert (tmp_path / "pages" / "channels.md").read_text().startswith("# Channel models\n")


@pytest.mark.parametrize("arguments", [(), ("rician", "--pages", "pages")])
def test_describe_needs_a_name_or_a_folder(capsys, monkeypatch, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    done = call(capsys, monkeypatch, "describe", *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "--pages" in done.err
    assert not list(tmp_path.iterdir())


def test_costs_are_listed_for_every_study_and_right_for_some():
    known = tomllib.loads(costs.FILE.read_text(encoding="utf-8"))
    assert list(known) == plugins.names("studies")
    for name in ("wfl-table1", "wfl-fig5", "sps-fig6"):
        assert known[name] == costs.computed_costs(name), "run: python -m studies.study.costs"
    assert known["wfl-fig5"]["paper"] == "12 runs, 2,400 rounds, fashion-mnist"
    assert costs.preset_cost("digits") == "1 run, 100 rounds, digits"


@pytest.mark.slow
def test_all_costs_are_current():
    assert costs.FILE.read_text(encoding="utf-8") == costs.costs_file()
