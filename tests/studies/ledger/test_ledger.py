"""Ledger of claims: it is what the committed files say, and these belong to the code."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from helpers.cli import call

from studies.ledger import (
    Committed,
    counts_of,
    faults_of,
    gallery_page,
    ledger_page,
    read_committed,
)
from studies.ledger.counts import OWN, source_of
from studies.ledger.page import partner_of
from wirelessfl import plugins

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "studies" / "results"
QUICK = "wfl-fig3-paper-learning-rate-0.01"


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, "results", *arguments)


@pytest.fixture
def copied(tmp_path):
    """A folder of results with one study in it."""
    shutil.copytree(RESULTS / QUICK, tmp_path / "results" / QUICK)
    return tmp_path / "results" / QUICK


def edited(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_page_is_what_the_committed_files_say():
    page = (ROOT / "docs" / "ledger.md").read_text()
    assert page == ledger_page(read_committed(RESULTS)), "wirelessfl results --page docs/ledger.md"


def test_the_gallery_has_the_figure_and_command_of_every_result():
    file = ROOT / "docs" / "gallery.md"
    found = read_committed(RESULTS)
    text = file.read_text()
    written = "wirelessfl results --gallery docs/gallery.md"
    assert text == gallery_page(found, file), written
    for one in found:
        assert f"](../studies/results/{one.path.name}/figure.png)" in text
        assert (one.path / "figure.png").is_file()
        assert f"\n    {one.facts['command']}\n" in text


def test_claims_of_committed_results_are_those_of_the_code():
    for one in read_committed(RESULTS):
        claims = plugins.load("studies", one.study).CLAIMS
        committed = [(row["claim"], row["kind"]) for row in one.claims]
        assert committed == [(claim.text, claim.kind) for claim in claims], one.path.name


@pytest.mark.slow
def test_committed_results_belong_to_the_code():
    assert faults_of(read_committed(RESULTS)) == []


def test_damage_is_found_and_ends_with_status_one(wirelessfl, copied):
    root = copied.parent
    assert wirelessfl("--results", root, "--page", "page.md").status == 0
    assert wirelessfl("--results", root, "--page", "page.md", "--check").status == 0
    edited(copied / "claims.csv", "measured,undecided", "arithmetic,undecided")
    other = json.loads((copied / "command.json").read_text())
    label = next(iter(other["experiments"]))
    other["experiments"][label][0] = "000000000000"
    (copied / "command.json").write_text(json.dumps(other))
    ended = wirelessfl("--results", root, "--page", "page.md", "--check")
    assert ended.status == 1
    printed = " ".join(ended.out.split())
    assert "is arithmetic, and measured in the code" in printed
    assert f"experiments of {label!r} are not those of the code" in printed
    assert "page.md is not the page of" in printed


def test_claims_that_come_and_go_are_found(copied):
    file = copied / "claims.csv"
    rows = list(csv.reader(file.read_text().splitlines()))
    edited(file, rows[1][0], "Another claim")
    first, second = faults_of([Committed.read(copied)])
    assert "claim 'Another claim' is not in the code" in first
    assert f"claim {rows[1][0]!r} has no verdict" in second


def test_a_claim_counts_once():
    results = read_committed(RESULTS)
    counted = counts_of(results)
    studies = {one.study for one in results}
    claims = {name: len(plugins.load("studies", name).CLAIMS) for name in studies}
    for source, numbers in counted.items():
        assert numbers.total() == sum(claims[name] for name in studies if source_of(name) == source)
    assert source_of("deadline-misses") == OWN
    assert source_of("wfl-table1") == "[WFL]"
    of_fig5 = [one.path.name for one in results if one.study == "wfl-fig5"]
    assert of_fig5[0] == "wfl-fig5-paper"


def test_every_printed_value_has_a_measured_one_beside_it():
    for one in read_committed(RESULTS):
        columns = list(one.table[0])
        for name in columns:
            if name.startswith("paper") and any(row[name] for row in one.table):
                assert partner_of(name, columns) in columns, (one.path.name, name)
    assert partner_of("paper_accuracy_20_agents", ["accuracy", "best_accuracy"]) == "accuracy"
    assert partner_of("paper_ms", ["latency_ms"]) == "latency_ms"
    assert partner_of("paper", ["accuracy"]) is None


def test_a_folder_without_results_is_one_line(wirelessfl, tmp_path):
    (tmp_path / "empty").mkdir()
    ended = wirelessfl("--results", "empty")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "--results empty holds no results" in ended.err
    (tmp_path / "empty/x").mkdir()
    (tmp_path / "empty/x/command.json").write_text('{"command": "wirelessfl study"}')
    ended = wirelessfl("--results", "empty")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "holds no results of a study" in ended.err
    assert wirelessfl("--results", RESULTS, "--page", "page.txt").status == 2


def test_counts_as_json(wirelessfl):
    rows = wirelessfl("--results", RESULTS, "--json").json()
    assert {row["source"] for row in rows} == {"[WFL]", "[CA-HFP]", "[MCE-PL]", "[SPS]", OWN}
    total = sum(numbers.total() for numbers in counts_of(read_committed(RESULTS)).values())
    assert sum(row["claims"] for row in rows) == total
