"""Files of the project outside the code: version, licence, typing markers, supported Pythons."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import wirelessfl

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere():
    version = wirelessfl.__version__
    assert re.search(rf"^version: {re.escape(version)}$", text("CITATION.cff"), re.MULTILINE)
    assert f"## [{version}]" in text("CHANGELOG.md")


def test_the_changelog_lists_kinds_of_changes():
    sections = re.split(r"^## \[", text("CHANGELOG.md"), flags=re.MULTILINE)[1:]
    assert sections[0].startswith("Unreleased]")
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for section in sections:
        assert set(re.findall(r"^### (\w+)$", section, re.MULTILINE)) <= kinds


def test_every_package_is_typed():
    for name in ("wirelessfl", "channel_models", "optimizers", "training", "studies"):
        assert (ROOT / name / "py.typed").is_file()


def test_the_workflow_runs_the_pythons_of_the_classifiers():
    declared = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    (matrix,) = re.findall(r"python-version: \[(.*)\]", text(".github/workflows/checks.yml"))
    assert re.findall(r"3\.\d+", matrix) == declared
    assert PROJECT["requires-python"] == f">={declared[0]}"


def test_the_four_papers_are_cited():
    for tag in ("WFL", "CA-HFP", "MCE-PL", "SPS"):
        assert f"Cited as [{tag}]" in text("CITATION.cff")
    assert PROJECT["license"] == "Apache-2.0"
    assert text("LICENSE").lstrip().startswith("Apache License")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["allocation", "convex", "simulation", "training"])
def test_a_benchmark_starts_from_anywhere(name, tmp_path):
    """A file `training.py` lies beside it, the name of one of our packages."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {name}.py")
