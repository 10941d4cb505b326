"""Commands in forks of this process, which has imported everything: a start takes milliseconds."""

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import studies.cli
import studies.views.run.figures
import training.algorithms
from wirelessfl import plugins

HUNG = -1000  # status of a command that did not end


def import_all() -> None:
    """Import what commands import, once, before the forks."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401
    import torch

    assert studies.views.run.figures
    assert training.algorithms
    torch.set_num_threads(1)
    for kind in ("channels", "allocators", "algorithms", "models", "datasets"):
        for name in plugins.names(kind):
            if name != "sionna-tdl":
                plugins.load(kind, name)


@dataclass(frozen=True)
class Outcome:
    """Outcome of a command.

    Attributes:
        status: Exit status; minus the signal where one ended it; `HUNG` where it did not end.
        out: Standard output.
        err: Standard error.
    """

    status: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        """Lines of standard error other than progress and notes."""
        lines = [line for line in self.err.replace("\r", "\n").split("\n") if line.strip()]
        return [line for line in lines if not line.lstrip().startswith(("rounds", "note:"))]


@dataclass
class Fork:
    """A command in a process of its own.

    Attributes:
        arguments: Arguments of `wirelessfl`.
        folder: Working directory.
        environment: Changes to the environment.
        prepare: Called in the new process before the command.
    """

    arguments: tuple[object, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None

    def start(self) -> "Fork":
        """Start the command."""
        self._output = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._run()
        return self

    def poll(self) -> int | None:
        """Status of the process; None while it runs."""
        if not hasattr(self, "_status"):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0:
                return None
            self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; a process that has ended is left alone."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, limit_s: float = 120.0) -> Outcome:
        """Wait for the end, at most some seconds."""
        deadline = time.monotonic() + limit_s
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        hung = self.poll() is None
        if hung:
            os.kill(self.pid, signal.SIGKILL)
            while self.poll() is None:
                time.sleep(0.01)
        texts = []
        for file in self._output:
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
            file.close()
        return Outcome(HUNG if hung else self._status, *texts)

    def _run(self) -> None:
        """The command, in the new process, which ends here."""
        status = 70
        try:
            for number, file in enumerate(self._output, start=1):
                os.dup2(file.fileno(), number)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            os.chdir(self.folder)
            os.environ.update(self.environment)
            sys.argv = ["wirelessfl", *map(str, self.arguments)]
            self.prepare()
            studies.cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:
            traceback.print_exc()
            status = 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def run(*arguments: object, folder: Path, limit_s: float = 120.0, **options: Any) -> Outcome:
    """Run a command to its end."""
    return Fork(arguments, folder, **options).start().wait(limit_s)
