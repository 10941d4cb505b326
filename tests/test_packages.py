"""The installed packages: where they come from, what importing them costs, what their plug-ins look
like.
"""

import importlib
import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from helpers import plugin_folder
from helpers.contracts import check_settings, check_signatures

from wirelessfl import plugins
from wirelessfl.protocols import Algorithm, Allocator, ChannelModel

PACKAGES = ("wirelessfl", "channel_models", "optimizers", "training", "studies")
HEAVY = ("torch", "torchvision", "sklearn", "cvxpy", "matplotlib", "click", "rich", "pydantic")
PROTOCOLS = {"channels": ChannelModel, "allocators": Allocator, "algorithms": Algorithm}
ROOT = Path(__file__).parents[1]


def python(code, folder):
    """What a fresh interpreter prints that stands in `folder`, where no test folder is on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def installed_root():
    """Where the distribution's packages lie: the checkout of an editable install, else
    site-packages.
    """
    found = distribution("wirelessfl")
    direct = json.loads(found.read_text("direct_url.json") or "{}")
    if direct.get("dir_info", {}).get("editable"):
        return Path(unquote(urlparse(direct["url"]).path))
    return Path(str(found.locate_file("")))


def test_the_packages_are_the_installed_ones(tmp_path):
    """Their names are common words and also those of the test folders."""
    code = f"import importlib, json; print(json.dumps([importlib.import_module(p).__file__ for p in {PACKAGES}]))"
    files = python(code, tmp_path)
    assert [Path(file) for file in files] == [
        installed_root() / name / "__init__.py" for name in PACKAGES
    ]
    assert [importlib.import_module(name).__file__ for name in PACKAGES] == [
        str(ROOT / name / "__init__.py") for name in PACKAGES
    ]


def test_every_package_is_listed_for_installation():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = [
        ".".join(file.parent.relative_to(ROOT).parts)
        for name in PACKAGES
        for file in _inits(ROOT / name)
    ]
    assert sorted(listed) == sorted(there)


def _inits(folder):
    return folder.rglob("__init__.py")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_folder_of_code_is_a_package(name):
    assert {file.parent for file in (ROOT / name).rglob("*.py")} == {
        file.parent for file in _inits(ROOT / name)
    }


@pytest.mark.parametrize(
    "statement", ["import wirelessfl, optimizers, channel_models", "from optimizers import solve"]
)
def test_importing_is_light(tmp_path, statement):
    code = (
        f"{statement}\nimport json, sys; print(json.dumps(sorted(set({HEAVY}) & set(sys.modules))))"
    )
    assert python(code, tmp_path) == []


def test_listing_plugins_is_light(tmp_path):
    code = (
        "import json, sys; from wirelessfl import plugins; [plugins.names(kind) for kind in plugins.KINDS]\n"
        f"print(json.dumps(sorted(set({HEAVY}) & set(sys.modules))))"
    )
    assert python(code, tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in PROTOCOLS for name in plugins.names(kind)]
)
def test_a_plugin_is_a_frozen_dataclass_with_the_methods_of_its_kind(kind, name):
    cls = plugins.load(kind, name)
    assert plugins.name_of(cls) == name
    check_settings(cls)
    check_signatures(cls, PROTOCOLS[kind])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("channels", "two-state"), ("allocators", "even"), ("algorithms", "counting")],
)
def test_a_plugin_from_outside_is_held_to_the_same(monkeypatch, kind, name):
    plugin_folder.use(monkeypatch)
    cls = plugins.load(kind, name)
    check_settings(cls)
    check_signatures(cls, PROTOCOLS[kind])
