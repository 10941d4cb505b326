"""`wirelessfl allocate`: comparison of schemes, figures, sensitivities and repairs."""

import json

import numpy as np
import pytest
from helpers.cli import call

SCHEMES = "exact,equal,equal-common,min-latency"


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def test_schemes_side_by_side_are_each_what_it_is_alone(wirelessfl):
    found = wirelessfl("allocate", "--compare", SCHEMES, "--json").json()
    assert list(found) == SCHEMES.split(",")
    for name, scheme in found.items():
        assert scheme == wirelessfl("allocate", "--method", name, "--json").json()
    mean = {name: np.mean(scheme["pruning_ratio"]) for name, scheme in found.items()}
    assert mean["exact"] <= mean["equal"]
    assert found["exact"]["sensitivities"]["deadline_s"] is not None
    assert found["equal"]["sensitivities"] is None


def test_the_plan_is_that_of_the_participants_of_the_first_round(wirelessfl, tmp_path):
    """Open-loop power and the band depend on their number, not on that of all clients."""
    settings = ["physical", "--set", "scenario.clients=12", "--set", "run.participants=4"]
    found = wirelessfl("allocate", *settings, "--json").json()
    radio_only = ["--set", "run.train=false", "--rounds", "1", "--out", "out"]
    assert wirelessfl("run", *settings, *radio_only).status == 0
    record = json.loads((tmp_path / "out" / "rounds.jsonl").read_text())
    assert found["clients"] == record["clients"]
    for name in ("bandwidth_fraction", "pruning_ratio"):
        np.testing.assert_allclose(found[name], record[name], rtol=1e-12)
    assert found["certificate"]["duality_gap"] < 1e-9
    lines = [line.split() for line in wirelessfl("allocate", *settings).out.splitlines()]
    rows = [int(line[0]) for line in lines if line and line[0].isdigit()]
    assert rows == record["clients"]


def test_the_comparison_is_a_line_per_scheme(wirelessfl):
    printed = wirelessfl("allocate", "--compare", "exact, equal-common").out
    lines = [
        line.split() for line in printed.splitlines() if line.strip().startswith(("exact", "equal"))
    ]
    assert [line[0] for line in lines] == ["exact", "equal-common"]
    assert [int(line[4]) > 0 for line in lines] == [False, True]  # late clients


@pytest.mark.parametrize(
    "options", [[], ["--compare", SCHEMES], ["--set", "allocation.max_pruning_ratio=1"]]
)
def test_figures(wirelessfl, tmp_path, options):
    assert wirelessfl("allocate", *options, "--plot", "a.png").status == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_conflict_is_named_with_its_repairs(wirelessfl):
    hard = ("--deadline-ms", 9, "--set", "scenario.bandwidth_hz=3e6")
    found = wirelessfl("allocate", *hard, "--json").json()["repair"]
    assert any(found["conflict"])
    printed = wirelessfl("allocate", *hard).out
    assert "smallest conflict" in printed
    mended = wirelessfl(
        "allocate", "--deadline-ms", 9 + 1e3 * found["shortfall_s"], *hard[2:], "--json"
    ).json()
    assert mended["repair"] is None
    assert "infeasible" not in mended["status"]
    wider = ("--set", f"scenario.bandwidth_hz={3e6 + found['shortfall_hz']}")
    assert wirelessfl("allocate", *hard[:2], *wider, "--json").json()["repair"] is None


def test_what_nothing_mends_is_said(wirelessfl):
    printed = wirelessfl(
        "allocate", "--deadline-ms", 5.34, "--set", "allocation.max_pruning_ratio=0.5"
    ).out
    assert "cannot be served" in printed
    late = wirelessfl("allocate", "--deadline-ms", 5, "--method", "equal").out
    assert "no band, no cap" in late


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--compare", "exact,exakt"], ["allocation.method", "exakt", "exact"]),
        (["--compare", "exact,exact"], ["--compare", "different", "exact,exact"]),
        (["--compare", "exact,"], ["allocation.method", "''"]),
        (["--compare", "exact", "--method", "equal"], ["--method", "--compare", "equal"]),
        (["--plot", "nowhere/a.png"], ["--plot", "nowhere"]),
        (["--plot", "a.txt"], ["--plot", ".png"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(wirelessfl, tmp_path, options, words):
    ended = wirelessfl("allocate", *options)
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1
    for word in words:
        assert word in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_says_what_it_is_against(wirelessfl):
    assert "certificate: primal residual" in wirelessfl("allocate").out
    other = " ".join(wirelessfl("allocate", "--method", "max-min").out.split())
    assert (
        "certificate against the least weighted sum of ratios, which this method does not seek"
        in other
    )
    assert "of the method's own objective per band" in other
