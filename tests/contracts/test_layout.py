"""Layout of the code base: names given once, small folders, and public names in public pages."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from wirelessfl import plugins

ROOT = Path(__file__).parents[2]
PACKAGES = ("wirelessfl", "channel_models", "optimizers", "training", "studies")
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
MOST_FILES = 16  # of a folder, without plug-ins and __init__.py


def sources(*parts: str) -> list[Path]:
    """The Python files of these folders."""
    return [file for part in parts for file in sorted((ROOT / part).rglob("*.py"))]


def is_plugin(file: Path) -> bool:
    """True if discovery finds the file: below the package of a kind, without an underscore."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    for package in plugins.KINDS.values():
        home = tuple(package.split("."))
        if parts[: len(home)] == home:
            return not any(part.startswith("_") for part in parts[len(home) :])
    return False


def test_no_class_name_is_given_twice() -> None:
    found = defaultdict(list)
    for file in sources(*PACKAGES, "benchmarks", "tests"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_plugins_are_recognised() -> None:
    named = {
        (kind, file.stem.replace("_", "-"))
        for kind, package in plugins.KINDS.items()
        for file in sources(package.replace(".", "/"))
        if is_plugin(file)
    }
    assert named == {(kind, name) for kind in plugins.KINDS for name in plugins.names(kind)}


def test_no_folder_has_too_many_files() -> None:
    counts: dict[str, int] = defaultdict(int)
    for file in sources(*PACKAGES):
        if file.name != "__init__.py" and not is_plugin(file):
            counts[str(file.parent.relative_to(ROOT))] += 1
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_import_public_names_only(page: Path) -> None:
    private = []
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [part for alias in node.names for part in alias.name.split(".")]
            else:
                continue
            private += [ast.unparse(node)] if any(name.startswith("_") for name in names) else []
    assert private == []
