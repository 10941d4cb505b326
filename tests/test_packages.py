"""The installed packages: where they come from, what importing them costs, what their plug-ins look
like.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from helpers import plugin_folder
from helpers.contracts import check_settings, check_signatures

import wirelessfl
from wirelessfl import plugins
from wirelessfl.protocols import (
    Algorithm,
    Allocator,
    AllocatorWithMemory,
    ChannelModel,
)

PACKAGES = ("wirelessfl", "channel_models", "optimizers", "training", "studies")
HEAVY = ("torch", "torchvision", "sklearn", "cvxpy", "matplotlib", "click", "rich", "pydantic")
PROTOCOLS = {"channels": ChannelModel, "allocators": Allocator, "algorithms": Algorithm}
ROOT = Path(__file__).parents[1]


def python(code, folder):
    """The output of a fresh interpreter in `folder`, without test folders on its path."""
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
    """Folder of the distribution's packages: an editable install's checkout or site-packages."""
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


@pytest.mark.parametrize("preset", ["digits", "wfl-fmnist"])
def test_a_plan_needs_no_torch(tmp_path, preset):
    code = (
        "import json, sys; from studies.cli import cli\n"
        "from studies.presets import scenario_tables\n"
        "from wirelessfl.config.scenario_file import experiment_hash, from_tables\n"
        f"experiment = from_tables(scenario_tables({preset!r}))\n"
        "demand = experiment.algorithm.demand(10).prunable_upload_bits.tolist()\n"
        "heavy = {'torch', 'sklearn', 'torchvision'} & set(sys.modules)\n"
        "print(json.dumps([len(experiment_hash(experiment)), min(demand) > 0, sorted(heavy)]))"
    )
    assert python(code, tmp_path) == [12, True, []]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in PROTOCOLS for name in plugins.names(kind)]
)
def test_a_plugin_is_a_frozen_dataclass_with_the_methods_of_its_kind(kind, name):
    cls = plugins.load(kind, name)
    assert plugins.name_of(cls) == name
    check_settings(cls)
    check_signatures(cls, AllocatorWithMemory if getattr(cls, "memory", False) else PROTOCOLS[kind])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("channels", "two-state"), ("allocators", "even"), ("algorithms", "counting")],
)
def test_a_plugin_from_outside_is_held_to_the_same(monkeypatch, kind, name):
    plugin_folder.use(monkeypatch)
    cls = plugins.load(kind, name)
    check_settings(cls)
    check_signatures(cls, AllocatorWithMemory if getattr(cls, "memory", False) else PROTOCOLS[kind])


def user_folder(tmp_path):
    """A folder with modules of the user that have names of our packages."""
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("raise SystemExit('user code was run')\n")
    for name in ("optimizers.py", "torch.py"):
        (tmp_path / name).write_text("raise SystemExit('user code was run')\n")
    return tmp_path


def test_the_command_line_does_not_see_the_working_directory(tmp_path):
    done = subprocess.run(
        [str(Path(sys.executable).parent / "wirelessfl"), "allocate", "--json"],
        cwd=user_folder(tmp_path),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)


def test_a_package_that_is_hidden_is_named_with_both_paths(tmp_path):
    folder = user_folder(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "import wirelessfl"], cwd=folder, capture_output=True, text=True
    )
    last = done.stderr.splitlines()[-1]
    assert str(folder / "optimizers.py") in last
    assert str(ROOT / "optimizers" / "__init__.py") in last
    done = subprocess.run(
        [sys.executable, "-m", "wirelessfl", "list"], cwd=folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {last.removeprefix('ImportError: ')}\n"


def test_the_version_needs_no_installation(tmp_path):
    code = (
        "import importlib.metadata as metadata, runpy, sys\n"
        "def missing(name):\n"
        "    raise metadata.PackageNotFoundError(name)\n"
        "metadata.distribution = missing\n"
        "sys.argv = ['wirelessfl', '--version']\n"
        "runpy.run_module('wirelessfl', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"wirelessfl, version {wirelessfl.__version__}\n"


@pytest.mark.slow
def test_worker_processes_do_not_see_the_working_directory(tmp_path):
    """The workers of a run and of a sweep are started where the user's modules lie."""
    code = (
        "import os, sys; sys.path.remove('')\n"
        "import json, torch\n"
        "from studies.runner.processes import worker_processes\n"
        "if __name__ == '__main__':\n"
        "    with worker_processes(1) as pool:\n"
        "        names = pool.submit(os.getcwd).result()\n"
        "    print(json.dumps(['' in sys.path, os.environ.get('PYTHONSAFEPATH')]))\n"
    )
    folder = user_folder(tmp_path)
    (folder / "multiprocessing.py").write_text("raise SystemExit('user code was run')\n")
    assert python(code, folder) == [False, None]
    run = (
        "import sys; sys.path.remove('')\n"
        "import json\n"
        "from studies.cli import cli\n"
        "cli(['run', '--set', 'run.executor=workers', '--set', 'run.workers=2', '--rounds', '1',"
        " '--out', 'out', '--json'], standalone_mode=False)\n"
    )
    assert python(run, folder)["rounds"] == 1


@pytest.mark.slow
def test_a_wheel_in_a_fresh_environment_does_not_see_the_working_directory(tmp_path):
    """The wheel alone is installed; its dependencies are those of the tests' environment."""
    source, fresh, folder = tmp_path / "source", tmp_path / "fresh", tmp_path / "user"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".*", "runs", "build", "*.egg-info", "results", "docs"),
    )
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    (source / "dist").mkdir()
    subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, check=True)
    (wheel,) = (source / "dist").glob("*.whl")
    venv.create(fresh, with_pip=True)
    binaries = fresh / "bin"
    subprocess.run(
        [binaries / "python", "-m", "pip", "install", "--no-deps", "--no-index", wheel],
        capture_output=True,
        check=True,
    )
    (packages,) = fresh.glob("lib/*/site-packages")
    dependencies = [path for path in sys.path if Path(path).name == "site-packages"]
    assert (packages / "studies" / "page" / "static" / "page.html").is_file()
    (packages / "dependencies.pth").write_text("\n".join(dependencies))
    folder.mkdir()
    user_folder(folder)
    (folder / "studies").mkdir()
    (folder / "studies" / "__init__.py").write_text("raise SystemExit('user code was run')\n")

    def output(*command):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        ).stdout

    files = (
        "import sys; sys.path.remove('')\n"
        f"import importlib, json; print(json.dumps([importlib.import_module(p).__file__ for p in {PACKAGES}]))"
    )
    assert json.loads(output(binaries / "python", "-c", files)) == [
        str(packages / name / "__init__.py") for name in PACKAGES
    ]
    command = [binaries / "wirelessfl", "run", "--set", "run.executor=workers", "--rounds", "1"]
    done = json.loads(output(*command, "--set", "run.workers=2", "--out", "out", "--json"))
    assert done["rounds"] == 1
    study = [binaries / "wirelessfl", "list", "--json"]
    assert json.loads(output(*study))["studies"] == plugins.names("studies")


def test_public_names_are_imported_when_they_are_used(tmp_path):
    code = (
        "import json, sys, wirelessfl as wfl\n"
        "light = 'numpy' not in sys.modules\n"
        "found = {name: getattr(wfl, name) is not None for name in wfl.__all__}\n"
        "print(json.dumps([light, all(found.values()), sorted(found) == sorted(dir(wfl))]))"
    )
    assert python(code, tmp_path) == [True, True, True]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = wirelessfl.nothing


def test_a_run_by_the_python_interface(tmp_path):
    out = tmp_path / "new" / "run"
    settings = {"run": {"rounds": 2, "eval_every": 2}}
    done = wirelessfl.run(settings, out)
    assert [record["round"] for record in done.records] == [1, 2]
    assert [record for record in wirelessfl.load(out).records] == list(done.records)
    assert [path.name for path in out.parent.iterdir()] == ["run"]
    longer = wirelessfl.run({"run": {"rounds": 3, "eval_every": 2}}, out)
    assert (len(longer), longer.experiment.run.rounds) == (3, 3)
    with pytest.raises(wirelessfl.InputError, match=r"holds another experiment: scenario\.clients"):
        wirelessfl.run({"scenario": {"clients": 4}}, out)
    assert wirelessfl.read(settings).run.rounds == 2
    assert wirelessfl.list_plugins("datasets")["datasets"][:2] == ["blogfeedback", "cifar10"]
