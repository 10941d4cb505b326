"""Shell completion knows presets, plug-ins, studies and fields."""

import pytest
from click.testing import CliRunner
from helpers import plugin_folder

from studies.cli import cli


def completions(line: str, shell: str = "zsh") -> list[str]:
    """The completions of a command line, whose last word is incomplete."""
    words = line.split(" ")
    environment = {
        "_WIRELESSFL_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    printed = CliRunner().invoke(cli, prog_name="wirelessfl", env=environment).output.splitlines()
    if shell == "zsh":  # type, value and help of each in three lines
        return printed[1::3]
    return [entry.partition(",")[2] for entry in printed]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("wirelessfl swe", ["sweep"]),
        ("wirelessfl run wfl", ["wfl-fmnist", "wfl-mnist"]),
        ("wirelessfl study wfl-fig", ["wfl-fig2", "wfl-fig3", "wfl-fig4", "wfl-fig5"]),
        ("wirelessfl channel ric", ["rician", "ric"]),  # or a file
        ("wirelessfl describe max", ["max-min"]),
        ("wirelessfl list st", ["studies"]),
        ("wirelessfl allocate --method equal", ["equal", "equal-common"]),
        ("wirelessfl data fetch fash", ["fashion-mnist"]),
        ("wirelessfl run --set sc", ["scenario."]),
        (
            "wirelessfl run --set scenario.dead",
            ["scenario.deadline_s=", "scenario.deadline_policy="],
        ),
        ("wirelessfl run physical --set channel.radius", ["channel.radius_m="]),
        ("wirelessfl sweep --vary allocation.method=max", ["allocation.method=max-min"]),
        ("wirelessfl run --set training.dataset=cifar100", ["training.dataset=cifar100"]),
        ("wirelessfl run --set nothing.x", []),
    ],
)
def test_names_are_completed(line, expected):
    assert completions(line) == expected


def test_bash_gets_the_same_and_files_for_a_scenario():
    assert completions("wirelessfl run dig", "bash") == ["digits"]
    assert "" in completions("wirelessfl run ", "bash")  # the shell's own file names
    assert completions("wirelessfl run mine.to", "bash") == ["mine.to"]


def test_plugins_from_outside_are_completed(monkeypatch):
    plugin_folder.use(monkeypatch)
    assert completions("wirelessfl study dead") == ["deadline-misses", "deadlines"]
    assert completions("wirelessfl allocate --method ev") == ["even"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(shell):
    environment = {"_WIRELESSFL_COMPLETE": f"{shell}_source"}
    printed = CliRunner().invoke(cli, prog_name="wirelessfl", env=environment).output
    assert "_WIRELESSFL_COMPLETE" in printed
