"""Methods in processes of their own, run round by round in turn."""

import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from environments import QUIET, AbsentError, environment
from report import TrainingRow
from work import WorkItem

FOLDER = Path(__file__).parent
MOST_START_S = 180
MOST_ROUND_S = 300


@dataclass(frozen=True)
class TimedMethod:
    """A method by name: its script and its settings; `peer` names its environment."""

    name: str
    script: str
    method: str
    threads: int = 1
    peer: str | None = None
    precision: str = "float32"


class Process:
    """A running method."""

    def __init__(self, method, work, file, options, *, empty=False, rounds=1):
        setting = WorkItem(
            work,
            file,
            method.method,
            method.threads,
            options.device,
            method.precision,
            empty=empty,
            rounds=rounds,
        )
        python = environment(method.peer, options.cache)[0] if method.peer else sys.executable
        self.name = method.name
        self.answers = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._process = subprocess.Popen(
            [python, str(FOLDER / method.script), setting.to_command_line()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
            | QUIET,
            text=True,
        )

    def ready(self):
        """Wait until it is ready for the first round."""
        self._read(MOST_START_S)

    def round(self):
        """One round."""
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        self.answers.append(self._read(MOST_ROUND_S))

    def close(self):
        """End it, and kill it if it does not end by itself."""
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def median(self, key):
        """Median over the rounds except the first."""
        return statistics.median(answer[key] for answer in self.answers[1:] or self.answers)

    def _read(self, most_s):
        ready, _, _ = select.select([self._process.stdout], [], [], most_s)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            reason = self._last_words() if ready else f"no answer within {most_s} s"
            self.close()
            raise AbsentError(reason)
        return json.loads(line)

    def _last_words(self):
        self._process.wait(30)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with status {self._process.returncode}"


def compare(part, work, methods, file, options, *, repeats, empty=False, warm_up=True, most_s=90.0):
    """Rows of all methods: an untimed round, then `repeats` rounds of each in turn.

    A method that has taken `most_s` seconds in total gets no more rounds. A method that is not
    available gets a row with the reason.
    """
    rounds = repeats + warm_up
    processes = []
    absent = {}

    def attempt(method, act):
        try:
            return act()
        except AbsentError as error:
            absent[method.name] = f"absent: {error}"
            processes[:] = [process for process in processes if process.name != method.name]

    try:
        for method in methods:
            made = attempt(
                method, partial(Process, method, work, file, options, empty=empty, rounds=rounds)
            )
            processes += [made] if made else []
        for process in list(processes):
            attempt(process, process.ready)
        for number in range(rounds):
            print(f"{part}: {work}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            for process in list(processes):
                if (
                    len(process.answers) < 2
                    or sum(answer["wall_s"] for answer in process.answers) < most_s
                ):
                    attempt(process, process.round)
    finally:
        for process in processes:
            process.close()
    return _rows(part, work, processes, absent)


def _rows(part, work, processes, absent):
    rows = []
    for process in processes:
        base = processes[0]
        wall_s = process.median("wall_s")
        cpu_s = process.median("cpu_s")
        rows.append(
            TrainingRow(
                part=part,
                work=str(work),
                method=process.name,
                wall_s=wall_s,
                cpu_s=cpu_s,
                repeats=max(1, len(process.answers) - 1),
                wall_ratio=base.median("wall_s") / wall_s,
                cpu_ratio=base.median("cpu_s") / cpu_s,
                loss_gap=_gap(base.answers, process.answers),
            )
        )
    return rows + [
        TrainingRow(part=part, work=str(work), method=name, note=reason)
        for name, reason in absent.items()
    ]


def _gap(answers, others):
    """Largest relative difference of the mean losses of the first two rounds, due to rounding."""
    pairs = [
        (a["loss"], b["loss"])
        for a, b in zip(answers[:2], others[:2], strict=False)
        if a["loss"] is not None
    ]
    return max((abs(a - b) / abs(a) for a, b in pairs), default=None)
