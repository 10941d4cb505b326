"""List of data sets, with their location, and downloads."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from wirelessfl import plugins
from wirelessfl.errors import InputError


def listed(data_root: Path | None) -> list[dict[str, Any]]:
    """One row per data set, in alphabetical order.

    Args:
        data_root: The folder of the data sets.

    Returns:
        Rows of name, sizes, shape, classes, origin, `embedded`, and `found`, the files or folders
        below `data_root` that hold it. Values are None for a plug-in without a card.
    """
    return [_row(name, data_root) for name in plugins.names("datasets")]


def _row(name: str, data_root: Path | None) -> dict[str, Any]:
    card = getattr(plugins.load("datasets", name), "card", None)
    known = {
        key: getattr(card, key, None) for key in ("train", "test", "shape", "classes", "origin")
    }
    place = None if card is None or data_root is None else card.found(data_root)
    folders = {os.path.dirname(file) or file for file in place or ()}
    return {
        "name": name,
        **known,
        "embedded": card is not None and not card.places,
        "found": sorted(folders),
    }


def fetch(name: str, data_root: Path | None) -> Path:
    """Download a data set.

    Args:
        name: Name of the plug-in.
        data_root: The folder of the data sets, created if necessary.

    Returns:
        That folder.

    Raises:
        InputError: The data set cannot be downloaded, or the download failed.
    """
    plugin = plugins.load("datasets", name)
    download = getattr(plugin(), "fetch", None)
    if download is None:
        origin = getattr(getattr(plugin, "card", None), "origin", "the plug-in has no method fetch")
        raise InputError(f"data set {name!r} cannot be fetched: {origin}")
    if data_root is None:
        raise InputError(
            f"data set {name!r} needs a folder to go to: give --data-root or set WIRELESSFL_DATA"
        )
    before = _contents(data_root)
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        _remove_damaged(plugin, data_root)
        download(data_root)
    except (OSError, RuntimeError, EOFError) as error:
        _remove_new(data_root, before)
        # No network, a full disk, a wrong MD5 sum, or a truncated archive.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"data set {name!r} could not be fetched into {data_root}: {reason}"
        ) from error
    return data_root


def _remove_damaged(plugin: Any, data_root: Path) -> None:
    """Remove files that cannot be read, which a download would leave unchanged."""
    card = getattr(plugin, "card", None)
    if card is None or card.found(data_root) != card.places[0]:
        return
    try:
        plugin().load(data_root)
    except InputError:
        for file in card.files(data_root).values():
            file.unlink()


def _contents(folder: Path) -> set[Path]:
    return {folder, *folder.rglob("*")} if folder.exists() else set()


def _remove_new(folder: Path, before: set[Path]) -> None:
    """Remove parts of a failed download: torn files, and folders that it made."""
    for path in sorted(_contents(folder) - before, reverse=True):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
