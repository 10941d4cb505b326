"""Every phase and executor on a stand-in accelerator that is compiled here (PrivateUse1)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[2]
PHASES = ("train", "prune", "accumulate", "mask", "pruned")
LAYERS = 4  # of digits-cnn
LONGER = 2 * 3  # two more steps of three clients

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("g++") is None or shutil.which("ninja") is None,
        reason="the stand-in device needs a C++ compiler (g++) and ninja",
    ),
]


def audit(folder):
    """The findings of the audit, one object for each case."""
    path = os.pathsep.join([str(HELPERS), str(HELPERS.parent)])
    done = subprocess.run(
        [sys.executable, str(HELPERS / "helpers" / "stand_in" / "audit.py"), str(folder)],
        env=os.environ | {"PYTHONPATH": path, "MAX_JOBS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return audit(tmp_path_factory.mktemp("stand_in"))


def test_phases_on_the_device_stay_there(found):
    fault, *cases = found
    assert fault["mixed"] == {"aten::add": 1}
    assert fault["reads"] == 1
    for case in cases:
        assert case["mixed"] == {}, case
        assert case["gap"] <= 1e-5, case
    assert len(cases) == 3 * len(PHASES)


def test_local_steps_do_not_wait_for_the_device(found):
    """Straight-through masks read one number of every layer in a step, other phases none."""
    for case in found[1:]:
        budget = LAYERS * LONGER if case["phase"] in ("mask", "pruned") else 0
        assert case["reads"] <= budget, case
