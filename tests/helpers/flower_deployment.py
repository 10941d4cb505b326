"""A Flower app on a SuperLink with SuperNodes on loopback."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 240.0
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "wireless"
version = "1.0.0"
description = ""
license = "Apache-2.0"
dependencies = []

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "local"

[tool.flwr.app.components]
serverapp = "wireless.apps:server"
clientapp = "wireless.apps:client"
"""


@contextmanager
def deployed(folder: Path, apps: str, nodes: int) -> Iterator[Path]:
    """The file that the server app writes to the path in RESULT, on its own SuperLink.

    Args:
        folder: An empty folder.
        apps: Python code with `server` and `client`, the apps.
        nodes: Number of SuperNodes.

    Yields:
        Path of the file; all processes are ended afterwards.
    """
    package = folder / "app" / "wireless"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "apps.py").write_text(apps)
    (package.parent / "pyproject.toml").write_text(PROJECT)
    link, *ports = (free_port() for _ in range(1 + nodes))
    (folder / "home").mkdir()
    (folder / "home" / "config.toml").write_text(
        f'[superlink]\ndefault = "loopback"\n\n[superlink.loopback]\n'
        f'address = "127.0.0.1:{link}"\ninsecure = true\n'
    )
    result = folder / "result.npz"
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "FLWR_HOME": str(folder / "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "RESULT": str(result),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(one for one in sys.path if one),
    }
    processes = []

    def start(*command):
        with (folder / f"log-{len(processes)}").open("wb") as log:
            process = subprocess.Popen(
                [*map(str, command)],
                env=environment,
                cwd=folder / "app",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        processes.append(process)
        return process

    def logs():
        return "\n".join(file.read_text()[-1500:] for file in sorted(folder.glob("log-*")))

    try:
        start("flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", link)
        wait_for(lambda: answers(link), logs)
        for index, port in enumerate(ports):
            start(
                *("flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{link}"),
                *("--port", port, "--node-config"),
                f"partition-id={index} num-partitions={nodes}",
            )
        start("flwr", "run", ".", "loopback").wait(WAIT_S)
        wait_for(result.exists, logs)
        yield result
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(port):
    with socket.socket() as tried:
        tried.settimeout(1.0)
        return tried.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, logs):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, logs()
        time.sleep(0.1)
