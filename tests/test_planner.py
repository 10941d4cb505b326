"""The page of a planner's questions: ten commands, and the output that it shows."""

import re
import shlex
from pathlib import Path

import pytest
from helpers.cli import call

PAGE = Path(__file__).parent.parent / "docs" / "planner.md"
QUESTIONS = re.findall(
    r"^## \d+\. (.*?)\n.*?^```\n(wirelessfl .*?)```.*?^```\n(.*?)```",
    PAGE.read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)
FEW = {
    "whatif": ("--draws", "2"),
    "simulate": ("--seeds", "1", "--rounds", "1"),
    "sweep": ("--seeds", "1", "--rounds", "1", "--jobs", "1", "--set", "run.train=false"),
}


def words(command):
    return shlex.split(command.replace("\\\n", " "))[1:]


def numbers(line):
    return re.findall(r"\d[\d.]*", line)


def test_there_are_ten_questions_with_one_command_each():
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize(
    ("title", "command", "shown"), QUESTIONS, ids=[one[0] for one in QUESTIONS]
)
def test_a_command_runs_and_has_the_columns_and_points_of_the_page(
    capsys, monkeypatch, tmp_path, title, command, shown
):
    monkeypatch.chdir(tmp_path)
    given = words(command)
    ended = call(capsys, monkeypatch, *given, *FEW[given[0]])
    assert ended.status == 0, ended.err
    values = [text.partition("=")[2].split(",")[0] for text in given if "=" in text]
    rows = [line.split() for line in ended.out.splitlines() if line.strip()]
    first = [value.rstrip("msHzMG") for value in values]
    assert any(row[: len(first)] == first for row in rows), ended.out
    for heading in ("infeas", "late"):
        assert heading in shown
        assert heading in ended.out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "command", "shown"), QUESTIONS, ids=[one[0] for one in QUESTIONS]
)
def test_the_page_shows_what_a_command_prints(capsys, monkeypatch, tmp_path, title, command, shown):
    """All but what is trained, whose last digits depend on the machine."""
    monkeypatch.chdir(tmp_path)
    ended = call(capsys, monkeypatch, *words(command))
    assert ended.status == 0, ended.err
    printed = [line.split() for line in ended.out.splitlines()]
    table = shown.partition("per round")[2] if "training" in shown else shown
    rows = [line.split() for line in table.splitlines() if numbers(line)]
    assert len(rows) >= 3
    for row in rows:
        assert row in printed
