"""The choice of a backend, without a cluster."""

import sys

import pytest

from studies.runner.backend import Backend
from studies.runner.cluster import Conditions
from wirelessfl import __version__
from wirelessfl.errors import InputError


def test_without_dask_the_install_command_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    backend = Backend(cluster="tcp://127.0.0.1:9")
    with (
        pytest.raises(InputError, match=r'^--cluster needs distributed.*: pip install "wirelessfl'),
        backend.start(tmp_path, 1),
    ):
        pass


def test_gathering_needs_a_cluster():
    with pytest.raises(InputError, match="--gather must be given with --cluster"):
        Backend(gather=True)


def test_a_worker_that_does_not_see_the_folder_is_refused(tmp_path):
    token = tmp_path / "token"
    with pytest.raises(InputError, match=f"^{tmp_path} must be a folder that all machines share"):
        Conditions(__version__, token).check()
    Conditions(__version__, None).check()
    token.touch()
    Conditions(__version__, token).check()
