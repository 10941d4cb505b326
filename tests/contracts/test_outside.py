"""One file is one plug-in, also an external one: it is listed, and the contract tests find it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.plugin_folder import OUTSIDE

DUMMIES = sorted(file.stem.replace("_", "-") for file in OUTSIDE.glob("*/*.py"))


@pytest.mark.slow
def test_plugins_from_outside_go_through_the_contract_tests():
    arguments = [
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-k",
        " or ".join(f"[{name}" for name in DUMMIES),
    ]
    done = subprocess.run(
        # Without this very file, which would start itself again and again.
        [
            sys.executable,
            "-m",
            "pytest",
            *arguments,
            "--ignore",
            __file__,
            str(Path(__file__).parent),
        ],
        env={**os.environ, "WIRELESSFL_PLUGINS": str(OUTSIDE)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    passed = int(done.stdout.rpartition(" passed")[0].rpartition("\n")[2].split(",")[-1])
    assert passed >= len(DUMMIES)
