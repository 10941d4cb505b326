"""The documentation is true: snippets run, commands parse, the README shows real output."""

import csv
import re
import shlex
import tomllib
from collections import Counter
from pathlib import Path
from typing import get_args

import click
import pytest
from helpers.cli import call

from studies.cli import cli
from studies.cli.options.scenario import DEFAULT_PRESET, changed, scenario_tables
from studies.ledger import counts_of, read_committed
from studies.ledger.counts import PAPERS
from studies.report.results import Outcome
from wirelessfl import plugins
from wirelessfl.config.scenario_file import from_tables

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(file: Path, language: str) -> list[str]:
    """The fenced blocks of a page in `language`; an empty one for blocks without a language."""
    text = file.read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [body for name, body in fenced if name == language]


def commands(file: Path) -> list[str]:
    """Every `wirelessfl ...` in a fenced or indented block, without comments."""
    text = file.read_text(encoding="utf-8")
    indented = re.findall(
        r"(?:^    .*\n)+", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M
    )
    code = "\n".join([*blocks(file, ""), *indented]).replace("\\\n", " ")
    return re.findall(r"^ *(wirelessfl .*?)(?: +#.*)?$", code, re.MULTILINE)


def page_file(stem: str) -> Path:
    """The page of this name."""
    return next(file for file in PAGES if file.stem == stem)


COMMANDS = sorted({(file.stem, text) for file in PAGES for text in commands(file)})


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_the_snippets_run(file, tmp_path, monkeypatch):
    """The snippets of one page run one after another."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in blocks(file, "python"):
        exec(compile(snippet, str(file), "exec"), names)


def test_there_are_commands():
    assert len(COMMANDS) > 30


@pytest.mark.parametrize(("page", "text"), COMMANDS, ids=[text[:70] for _, text in COMMANDS])
def test_the_commands_are_understood(page, text):
    """Options, presets, plug-ins and fields of a command exist and have possible values."""
    name, *arguments = shlex.split(text)[1:]
    with cli.make_context("wirelessfl", [name], resilient_parsing=True) as parent:
        command = cli.get_command(parent, name)
        assert command is not None
        while isinstance(command, click.Group):
            command = command.commands[arguments.pop(0)]
        context = command.make_context(name, arguments, parent=parent)
    given = context.params
    if name == "study":
        plugins.load("studies", given["name"])
    elif "settings" in given:
        scenario = given.get("scenario") or DEFAULT_PRESET
        is_model = name == "channel" and scenario in plugins.names("channels")
        (own,) = blocks(page_file(page), "toml") if scenario.endswith(".toml") else ("",)
        if own:  # the file that the page shows
            base = tomllib.loads(own)
        else:
            base = {"channel": {"model": scenario}} if is_model else scenario_tables(scenario)
        method = given.get("method")
        from_tables(changed(base, given["settings"], allocation__method=method))


def test_every_benchmark_is_on_its_page_with_the_command_of_its_table():
    text = page_file("benchmarks").read_text(encoding="utf-8")
    tables = sorted((ROOT / "benchmarks" / "results").glob("*.csv"))
    assert len(tables) >= 4
    for table in tables:
        head = table.read_text(encoding="utf-8").splitlines()[:5]
        (command,) = re.findall(r"command:? (python [^;\n]+)", "\n".join(head))[:1]
        assert f"\n    {command}\n" in text
        assert f"](../benchmarks/results/{table.stem}.png)" in text
        assert f"](../benchmarks/results/{table.name})" in text


def test_every_command_has_an_example():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert {name for name in cli.commands if f"wirelessfl {name}" not in text} == set()


def shown(file: Path, start: str) -> list[list[str]]:
    """The words of each line of the block of a page that begins with `start`."""
    (block,) = [body for body in blocks(file, "") if body.lstrip().startswith(start)]
    return [line.split() for line in block.splitlines() if re.search(r"\d", line)]


def test_the_readme_shows_what_the_what_if_prints(capsys, monkeypatch):
    (command,) = [text for text in commands(README) if " whatif " in text]
    ended = call(capsys, monkeypatch, *shlex.split(command)[1:])
    printed = [line.split() for line in ended.out.splitlines()]
    rows = shown(README, "bandwidth")
    assert len(rows) == 3
    for row in rows:
        assert row in printed


def test_the_readme_shows_what_the_run_prints(capsys, monkeypatch, tmp_path):
    """All but the accuracy, which takes the training: channel, allocation and cell give the rest."""
    monkeypatch.chdir(tmp_path)
    (command,) = [text for text in commands(README) if " run " in text]
    ended = call(capsys, monkeypatch, *shlex.split(command)[1:], "--set", "run.train=false")
    printed = [line.split() for line in ended.out.splitlines()]
    rows = [row for row in shown(README, "│") if "accuracy," not in row]
    assert len(rows) >= 4
    for row in rows:
        assert row in printed


def test_the_page_of_results_shows_the_committed_study():
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    table = ROOT / "studies" / "results" / "wfl-fig5-paper" / "table.csv"
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        ratio, accuracy, error = (
            f"{float(row[name]):.3f}"
            for name in ("mean_ratio", "accuracy", "accuracy_standard_error")
        )
        assert f"| {row['threshold']} | {ratio} | {accuracy} ± {error} |" in page


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_links_lead_to_files_and_headings(file):
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target, heading in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", text):
        page = file.parent / target if target else file
        assert page.exists(), f"{file.name}: {target}"
        if heading:
            names = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in names}
            assert heading in slugs, f"{file.name}: {target}#{heading}"


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_paths_of_the_repository_exist(file):
    """Paths of the examples (`my_rule.py`) are the reader's and need not exist."""
    text = file.read_text(encoding="utf-8")
    roots = "wirelessfl|channel_models|optimizers|training|studies|tests|benchmarks|docs"
    paths = set(re.findall(rf"`((?:{roots})/[\w/.-]*)`", text))
    assert {path for path in paths if "/my_" not in path and not (ROOT / path).exists()} == set()


def test_the_page_of_results_counts_the_committed_verdicts():
    counts = counts_of(read_committed(ROOT / "studies" / "results"))
    measured = sum((counts[paper] for paper in PAPERS), Counter())
    holds, refuted, undecided = (measured["measured", of] for of in get_args(Outcome))
    words = (
        f"Of {holds + refuted + undecided} measured claims of the papers {holds} hold, {refuted} "
        f"are refuted and {undecided} are undecided"
    )
    for page in ("docs/results.md", "README.md"):
        assert words in " ".join((ROOT / page).read_text(encoding="utf-8").split()), page
