"""Callbacks that pass records to experiment trackers."""

import builtins

import pytest
from helpers import plugin_folder
from test_notebooks import scalars

import wirelessfl as wfl

TABLES = {"run": {"rounds": 6, "eval_every": 3}, **plugin_folder.TABLES}


@pytest.fixture(autouse=True)
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


def test_a_resumed_run_continues_its_event_files(tmp_path):
    pytest.importorskip("tensorboardX")
    board = wfl.TensorBoard(tmp_path / "logs", every=2)
    wfl.run(TABLES, tmp_path / "run", callbacks=[board], stop=lambda record: record.round == 4)
    wfl.run(TABLES, tmp_path / "run", callbacks=[board])
    files = sorted((tmp_path / "logs").iterdir())
    steps = [scalars(file) for file in files]
    written = sorted(step for found in steps for step in found["loss"])
    assert written == [2, 3, 4, 6]
    assert "extra.norm" not in steps[0]


def test_a_tracker_that_is_not_installed_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "tensorboardX":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(wfl.InputError, match=r'pip install "wirelessfl\[tensorboard\]"$'):
        wfl.TensorBoard(tmp_path)
