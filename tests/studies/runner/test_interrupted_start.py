"""Ctrl-C at any moment of worker processes: nothing but the parent's own line."""

import os
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import sys, time
from concurrent.futures import wait
from studies.runner.processes import worker_processes

if __name__ == "__main__":
    print("ready", flush=True)
    try:
        with worker_processes(2) as executor:
            wait([executor.submit(time.sleep, 0.05) for _ in range(2000)])
    except KeyboardInterrupt:
        sys.exit("stopped")
"""
MOMENTS_S = (0.0, 0.03, 0.1, 0.4, 1.5)  # before, while and after the processes start


def test_workers_that_are_stopped_as_they_start_say_nothing(tmp_path):
    check(tmp_path, (0.1,), everyone=True)


@pytest.mark.slow
@pytest.mark.parametrize("everyone", [True, False], ids=["terminal", "parent alone"])
def test_stopped_workers_say_nothing_at_any_moment(tmp_path, everyone):
    check(tmp_path, MOMENTS_S, everyone=everyone)


def accept_interrupts():
    """Undo what a shell does to its background jobs, and with it to the tests in them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def check(tmp_path, moments_s, *, everyone):
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    for moment_s in moments_s:
        process = subprocess.Popen(
            [sys.executable, file],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=accept_interrupts,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moment_s)
        if everyone:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert (moment_s, process.returncode, errors) == (moment_s, 1, "stopped\n")
