"""Protocol of a method in a process of its own: a line starts a round, JSON answers it.

Standard library only, as it also runs in the peers' environments.
"""

import json
import os
import sys
import time
from pathlib import Path


def seconds():
    """Wall and CPU seconds so far.

    CPU time is that of this process and all its descendants on Linux, else of this process alone.
    """
    return time.perf_counter(), time.process_time() + sum(map(_cpu_s, _descendants(os.getpid())))


def _descendants(pid):
    children = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        children.setdefault(int(fields[1]), []).append(int(file.parent.name))
    found = list(children.get(pid, ()))
    for process in found:
        found += children.get(process, ())
    return found


def _cpu_s(pid):
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the clock that clock_getcpuclockid(3) names
    except OSError:
        return 0.0


class Gate:
    """The method's side of the protocol: `while gate.opens(): gate.done(one_round())`."""

    def __init__(self):
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # output of libraries must not get between the answers
        self.asked = 0  # rounds begun
        self._start = None

    def opens(self):
        """Wait for the next round; False when no more are requested."""
        if self._start is None:
            self._answer(ready=True)
        if not sys.stdin.readline():
            return False
        self.asked += 1
        self._start = seconds()
        return True

    def done(self, loss):
        """Report the seconds of a round and its mean loss (None without training)."""
        wall_s, cpu_s = (now - start for now, start in zip(seconds(), self._start, strict=True))
        self._answer(wall_s=wall_s, cpu_s=cpu_s, loss=None if loss is None else float(loss))

    def _answer(self, **message):
        print(json.dumps(message), file=self._answers, flush=True)
