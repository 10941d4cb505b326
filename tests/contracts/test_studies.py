"""Contract of every study, built-in or external."""

import types

import pytest
from helpers import plugin_folder
from helpers.studies import check_study

from studies.report.results import Claim, Table, Verdict
from wirelessfl import plugins

MANY_RUNS = {  # studies whose runs take more than 2 s to make up
    "ca-hfp-fig4",
    "ca-hfp-table1",
    "mce-pl-table1",
    "sps-fig1",
    "sps-fig2",
    "sps-table1",
    "sps-table2",
    "sps-table4",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in MANY_RUNS else [])
        for name in plugins.names("studies")
    ],
)
def test_study_keeps_the_contract(name, tmp_path):
    check_study(name, plugins.load("studies", name), tmp_path)


def test_study_from_outside_is_listed_and_keeps_the_contract(monkeypatch, tmp_path):
    plugin_folder.use(monkeypatch)
    assert "deadlines" in plugins.names("studies")
    check_study("deadlines", plugins.load("studies", "deadlines"), tmp_path)


@pytest.mark.parametrize("fault", ["experiments", "table", "claims"])
def test_contract_catches(fault, monkeypatch, tmp_path):
    plugin_folder.use(monkeypatch)
    good = plugins.load("studies", "deadlines")
    broken = types.SimpleNamespace(
        **{name: getattr(good, name) for name in ("experiments", "table", "figure", "CLAIMS")}
    )
    if fault == "experiments":
        broken.experiments = lambda scale: {"twice": good.experiments(scale)["20 ms"][:1] * 2}
    elif fault == "table":
        broken.table = lambda runs: Table(good.table(runs).rows[:1])
        broken.CLAIMS = (Claim("nothing", lambda table: Verdict(True, "no figures")),)
    else:
        broken.CLAIMS = (Claim("nothing", lambda table: Verdict(True, "")),)
    with pytest.raises(AssertionError):
        check_study("broken", broken, tmp_path)
