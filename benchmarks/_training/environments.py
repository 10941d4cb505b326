"""Environments of the peers.

They are created once in a cache folder, each with the torch version installed here.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import torch

PACKAGES = {"flower": "flwr[simulation]", "pfl": "pfl[pytorch]"}
SHOWN = {"flower": ("flwr", "ray", "torch"), "pfl": ("pfl", "torch")}
MOST_S = 600  # of installing one
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "FLWR_LOG_LEVEL": "WARNING",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


class AbsentError(RuntimeError):
    """A peer is not available, with the reason."""


def default_cache():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wirelessfl" / "peers"


_reasons = {}  # peer -> reason of its absence, so that it is tried only once


def environment(peer, cache):
    """Python and package versions of the peer's environment, created if necessary."""
    if peer in _reasons:
        raise AbsentError(_reasons[peer])
    try:
        return _environment(peer, cache)
    except AbsentError as error:
        _reasons[peer] = str(error)
        raise


def _environment(peer, cache):
    folder = cache / peer
    python = folder / "bin" / "python"
    done = folder / "versions.json"
    if not done.exists():
        print(
            f"making an environment for {peer} (up to {MOST_S // 60} minutes)",
            file=sys.stderr,
            flush=True,
        )
        venv.create(folder, with_pip=True, clear=True)  # clears the rest of an interrupted run
        pip = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            f"torch=={torch.__version__}",
            PACKAGES[peer],
        ]
        if torch.version.cuda is None and sys.platform == "linux":
            pip += ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]
        _run(pip, f"pip install {PACKAGES[peer]}")
        ask = (
            "import importlib.metadata as m, json; "
            f"print(json.dumps({{n: m.version(n) for n in {SHOWN[peer]!r}}}))"
        )
        done.write_text(_run([str(python), "-c", ask], "asking for versions"))
    return str(python), json.loads(done.read_text())


def _run(command, what):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_S, check=False)
    except subprocess.TimeoutExpired:
        raise AbsentError(f"{what} took more than {MOST_S} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise AbsentError(f"{what} failed: {lines[-1] if lines else 'no message'}")
    return done.stdout
