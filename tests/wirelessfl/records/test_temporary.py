"""Temporary folders: removed at the end, swept after a kill, and no other folder is touched."""

import os
import tempfile
import time

import pytest

from wirelessfl.records.run_folder import HALF_MADE, RunFolder
from wirelessfl.records.temporary import PREFIX, locked, sweep, temporary_folder


@pytest.fixture(autouse=True)
def _temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def aged(folder):
    """A folder with a file in it that has not been used for an hour."""
    folder.mkdir()
    (folder / "data.pt").write_bytes(b"1")
    os.utime(folder, (time.time() - 3600,) * 2)
    return folder


def test_a_folder_lasts_as_long_as_its_context(tmp_path):
    with temporary_folder() as folder:
        assert folder.parent == tmp_path
        (folder / "x").touch()
    assert not folder.exists()


def test_folders_of_killed_processes_are_swept(tmp_path):
    dead, used, young = (tmp_path / f"{PREFIX}{name}" for name in ("dead", "used", "young"))
    aged(dead)
    aged(used)
    young.mkdir()
    others = [aged(tmp_path / name) for name in ("wirelessfl-mine", "wirelessfl-data")]
    link = tmp_path / f"{PREFIX}link"
    link.symlink_to(others[0])
    with locked(used), temporary_folder():
        pass
    assert not dead.exists()
    assert all(folder.exists() for folder in (used, young, *others, link))


def test_half_made_run_folders_are_swept(tmp_path):
    dead = aged(tmp_path / f"{HALF_MADE}abc")
    RunFolder.create(tmp_path / "run", "")
    assert not dead.exists()
    assert [folder.name for folder in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_vanishes_meanwhile_is_no_error(tmp_path, monkeypatch):
    dead = aged(tmp_path / f"{PREFIX}dead")
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: dead.rename(tmp_path / "gone"))
    sweep(tmp_path, PREFIX)
    assert (tmp_path / "gone").exists()
