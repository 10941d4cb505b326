"""Discovery: one file is one plug-in, and the file's name is the plug-in's name.

A file `equal_common.py` at any depth below the package of its kind is the plug-in `equal-common`;
it offers a class or function of the same name, case and underscores aside (`EqualCommon`). A study
is the module itself. Files and folders that start with an underscore are shared parts. Plug-ins
from outside come from entry points `wirelessfl.<kind>` or from files `<kind>/<name>.py` in the
folder that the environment variable WIRELESSFL_PLUGINS names. Classes of a notebook or script are
registered in its process.
"""

import ast
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from wirelessfl.errors import InputError, closest

KINDS = {
    "channels": "channel_models",
    "allocators": "optimizers",
    "algorithms": "training.algorithms",
    "models": "training.models",
    "datasets": "training.datasets",
    "studies": "studies.papers",
}
NEEDED = {  # attributes of the classes of a kind
    "channels": ("sample", "mean_gain"),
    "allocators": ("solve",),
    "algorithms": ("demand", "trainer"),
    "models": ("input_shape", "classes"),
    "datasets": ("load",),
}
_local: dict[str, dict[str, Any]] = {}  # kind -> name -> class of this process


def names(kind: str) -> list[str]:
    """Names of all plug-ins of a kind, without importing them.

    Args:
        kind: One of `KINDS`.

    Returns:
        Sorted names.

    Raises:
        InputError: The kind is unknown, or a name is given twice.
    """
    return sorted(_sources(kind))


def load(kind: str, name: str) -> Any:
    """Load a plug-in.

    Args:
        kind: One of `KINDS`.
        name: Name of the plug-in.

    Returns:
        Its class or function, or the module of a study.

    Raises:
        InputError: The plug-in is unknown or its file cannot be loaded.
    """
    sources = _sources(kind)
    _check_known(kind, name, sources)
    return sources[name]()


def check_name(kind: str, name: str) -> None:
    """Check that a plug-in exists, without importing it.

    Args:
        kind: One of `KINDS`.
        name: Name of the plug-in.

    Raises:
        InputError: The plug-in is unknown.
    """
    _check_known(kind, name, _sources(kind))


def _check_known(kind: str, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if name not in names:
        hint = closest(name, names) or f"; there are {', '.join(names)}"
        singular = "study" if kind == "studies" else kind.removesuffix("s")
        raise InputError(f"{singular} {name!r} is not known{hint}")


def register(kind: str, plugin: Any, name: str | None = None) -> str:
    """Make a class of this process a plug-in, such as one that is defined in a notebook.

    Other processes do not know it. A class that is registered again replaces the earlier one.

    Args:
        kind: One of `KINDS`.
        plugin: The class, with what plug-ins of its kind have.
        name: Its name; that of the class if None, `MyNet` being `my-net`.

    Returns:
        The name.

    Raises:
        InputError: The kind is unknown, the class lacks an attribute of its kind, or another
            plug-in has the name.
    """
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    called = getattr(plugin, "__name__", repr(plugin))
    if not callable(plugin):
        raise InputError(f"a plug-in of kind {kind} must be a class, got {plugin!r}")
    for attribute in NEEDED.get(kind, ()):
        if not hasattr(plugin, attribute):
            raise InputError(f"class {called} of kind {kind} must have {attribute!r}")
    chosen = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "-", called).lower()
    if chosen not in _local.get(kind, {}) and chosen in _sources(kind):
        raise InputError(
            f"class {called} must have another name: {chosen!r} is an installed plug-in of kind "
            f"{kind}"
        )
    _local.setdefault(kind, {})[chosen.replace("_", "-")] = plugin
    return chosen.replace("_", "-")


def named(kind: str, plugin: Any) -> str:
    """Name of a plug-in that is given by name or as a class, which is registered if necessary.

    Args:
        kind: One of `KINDS`.
        plugin: A name or a class.

    Returns:
        The name.

    Raises:
        InputError: See `register`.
    """
    if isinstance(plugin, str):
        return plugin
    name = name_of(plugin) if isinstance(plugin, type) else ""
    sources = _sources(kind)
    return name if name in sources and sources[name]() is plugin else register(kind, plugin)


def is_local(kind: str, name: str) -> bool:
    """True for a plug-in that only this process knows, see `register`.

    Args:
        kind: One of `KINDS`.
        name: Name of a plug-in.

    Returns:
        True if it was registered here.
    """
    return name in _local.get(kind, {})


def description(kind: str, name: str) -> str:
    """First paragraph of the docstring of a plug-in's file, or else of its class.

    A file is read without importing it.

    Args:
        kind: One of `KINDS`.
        name: Name of the plug-in.

    Returns:
        The paragraph in one line; of a file that cannot be read, the reason.
    """
    files = {_name(file): file for file in _files(kind)}
    doc = _documented(files[name]) if name in files else load(kind, name).__doc__
    return " ".join((doc or "").split("\n\n")[0].split())


def _documented(file: Path) -> str | None:
    """The docstring of a plug-in's file, or else of the class or function that it offers."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        return f"cannot be read: {type(error).__name__}: {error}"
    offered = (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and _fits(node.name, file.stem)
    )
    return next(filter(None, map(ast.get_docstring, (tree, *offered))), None)


def name_of(plugin: type) -> str:
    """Name of a plug-in's class: that of its file or entry point.

    Args:
        plugin: The class.

    Returns:
        The name.
    """
    for found in _local.values():
        for name, one in found.items():
            if one is plugin:
                return name
    registered: str = getattr(
        plugin, "__plugin_name__", plugin.__module__.rpartition(".")[2].replace("_", "-")
    )
    return registered


def own_folders() -> tuple[str, ...]:
    """Folders of the packages of this distribution."""
    root = Path(__file__).resolve().parents[1]
    packages = {"wirelessfl", *(package.partition(".")[0] for package in KINDS.values())}
    return tuple(f"{root / package}{os.sep}" for package in sorted(packages))


def _sources(kind: str) -> dict[str, Callable[[], Any]]:
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    found: dict[str, Callable[[], Any]] = {}
    for name, source in _candidates(kind):
        if name in found:
            raise InputError(
                f"plug-in {name!r} of kind {kind} is there twice: "
                "give the one from outside another name"
            )
        found[name] = source
    return found


def _candidates(kind: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name and loader of every plug-in of a kind.

    The order is: the project's own packages, entry points, files from outside, classes of this
    process.
    """
    yield from _package_sources(kind)
    for entry in _installed(entry_points, kind):
        yield entry.name, partial(_from_entry_point, entry)
    for folder in _outside_folders(kind):
        for file in _plugin_files(folder):
            yield _name(file), partial(_from_file, kind, file)
    for name, plugin in _local.get(kind, {}).items():
        yield name, partial(_itself, plugin)


@cache
def _package_sources(kind: str) -> tuple[tuple[str, Callable[[], Any]], ...]:
    files = _package_files(KINDS[kind])
    return tuple((_name(file), partial(_from_package, kind, module)) for file, module in files)


@cache
def _package_files(package: str) -> tuple[tuple[Path, str], ...]:
    """Plug-in files of the project's own package with their modules' names.

    Searched once: an installed package does not change while the process runs.
    """
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec else []
    return tuple(
        (file, ".".join([package, *file.relative_to(folder).with_suffix("").parts]))
        for folder in map(Path, folders)
        for file in _plugin_files(folder)
    )


def _outside_folders(kind: str) -> list[Path]:
    outside = os.environ.get("WIRELESSFL_PLUGINS")
    if not outside:
        return []
    if not Path(outside).is_dir():
        raise InputError(f"WIRELESSFL_PLUGINS must name a folder, got {outside!r}")
    return [Path(outside) / kind]


def _files(kind: str) -> list[Path]:
    """The files of all plug-ins of `kind` that are files."""
    own = [file for file, _ in _package_files(KINDS[kind])]
    return own + [file for folder in _outside_folders(kind) for file in _plugin_files(folder)]


@cache
def _installed(find: Callable[..., Any], kind: str) -> tuple[Any, ...]:
    """Entry points of a kind, searched once: they do not change while the process runs."""
    return tuple(find(group=f"wirelessfl.{kind}"))


def _plugin_files(folder: Path) -> list[Path]:
    """Plug-in files at any depth below a folder.

    A path with a part that starts with an underscore is no plug-in.
    """
    return sorted(
        file
        for file in folder.rglob("*.py")
        if not any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts)
    )


def _name(file: Path) -> str:
    return file.stem.replace("_", "-")


def _offered(kind: str, module: ModuleType) -> Any:
    if kind == "studies":
        return module
    stem = module.__name__.rpartition(".")[2]
    for attribute, value in vars(module).items():
        if _fits(attribute, stem) and getattr(value, "__module__", None) == module.__name__:
            return value
    raise InputError(f"plug-in file {module.__file__} must define {stem.title().replace('_', '')}")


def _fits(name: str, stem: str) -> bool:
    """True for the name of what the file `stem`.py offers, case and underscores aside."""
    return name.replace("_", "").lower() == stem.replace("_", "").lower()


def _itself(plugin: Any) -> Any:
    return plugin


def _from_package(kind: str, module: str) -> Any:
    return _offered(kind, importlib.import_module(module))


def _from_file(kind: str, file: Path) -> Any:
    return _offered(kind, _module_from_file(kind, file))


def _from_entry_point(entry: Any) -> Any:
    try:
        plugin = entry.load()
    except (Exception, SystemExit) as error:
        raise InputError(
            f"plug-in {entry.name!r} of {entry.value} cannot be loaded: {type(error).__name__}: "
            f"{' '.join(str(error).split())}"
        ) from error
    if isinstance(plugin, type):
        cast(Any, plugin).__plugin_name__ = entry.name
    return plugin


@cache
def _module_from_file(kind: str, file: Path) -> ModuleType:
    name = f"wirelessfl_plugins.{kind}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"plug-in file {file} cannot be loaded: {type(error).__name__}: "
            f"{' '.join(str(error).split())}"
        ) from error
    return module
