"""Progress of a run in a notebook or on a terminal."""

import sys
import time
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from wirelessfl.experiment import Experiment
from wirelessfl.records.callbacks import Callback
from wirelessfl.values import RoundRecord

EVERY_S = 0.2


def in_notebook() -> bool:
    """True if this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class ProgressLine(Callback):
    """Shows round, last accuracy and remaining time in one line that is replaced.

    Args:
        show: Shows a fraction in [0, 1] and a text.
    """

    def __init__(self, show: Callable[[float, str], None]) -> None:
        self._show = show
        self._total = 1
        self._first = 0
        self._accuracy = ""
        self._began = self._shown = time.perf_counter()

    @classmethod
    def here(cls) -> "ProgressLine":
        """Progress in the output of a notebook's cell, else on standard error."""
        return cls(_notebook_line() if in_notebook() else _terminal_line)

    def on_start(self, experiment: Experiment, rounds: int) -> None:
        """Show the line.

        Args:
            experiment: The experiment.
            rounds: Number of rounds that are recorded already.
        """
        self._total = experiment.run.rounds
        self._first = rounds
        self._began = time.perf_counter()
        self._update(rounds)

    def on_round(self, record: RoundRecord) -> None:
        """Replace the line, at most five times a second.

        Args:
            record: Record of the round.
        """
        if record.accuracy is not None:
            self._accuracy = f", accuracy {record.accuracy:.1%}"
        if time.perf_counter() - self._shown >= EVERY_S or record.round == self._total:
            self._update(record.round)

    def on_end(self, summary: Mapping[str, Any]) -> None:
        """Show the end of the run.

        Args:
            summary: Summary of the run; empty after an error.
        """
        reason = summary.get("stopped") or summary.get("interrupted")
        if reason:
            self._show(summary["rounds"] / self._total, f"round {summary['rounds']}: {reason}\n")
        elif summary:
            self._show(1.0, f"round {summary['rounds']} of {self._total}{self._accuracy}\n")

    def _update(self, rounds: int) -> None:
        self._shown = time.perf_counter()
        done = rounds - self._first
        left_s = (self._shown - self._began) / done * (self._total - rounds) if done else 0.0
        remaining = f", {left_s:.0f} s left" if left_s >= 1 else ""
        text = f"round {rounds} of {self._total}{self._accuracy}{remaining}"
        self._show(rounds / self._total, text)


def _terminal_line(fraction: float, text: str) -> None:
    sys.stderr.write(f"\r{text.rstrip():<70}" + "\n" * text.endswith("\n"))
    sys.stderr.flush()


def _notebook_line() -> Callable[[float, str], None]:
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)

    def show(fraction: float, text: str) -> None:
        bar = f'<progress value="{fraction:.4f}" max="1"></progress>'
        handle.update(HTML(f"{bar} {escape(text.rstrip())}"))

    return show
