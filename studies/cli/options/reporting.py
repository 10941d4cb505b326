"""Progress of a command: a bar on a terminal, else a line every 30 s; notes; a log file."""

import functools
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from wirelessfl.border.interrupt import Stopped
from wirelessfl.border.processes import is_first
from wirelessfl.text import one_line

EVERY_S = 30.0  # between two lines of progress


@dataclass(frozen=True)
class Reporting:
    """Options of a command on its progress.

    Attributes:
        quiet: Neither progress nor notes.
        verbose: Further lines: each round of a run, each complete run of several.
        log_file: File to which all lines are appended with their time, or None.
    """

    quiet: bool = False
    verbose: bool = False
    log_file: Path | None = None

    @contextmanager
    def reporter(self) -> Iterator["Reporter"]:
        """A reporter that records start, end and errors of the command in the log file.

        Raises:
            InputError: The options exclude each other, or the log file cannot be written.
        """
        from studies.report.output import check_output
        from wirelessfl.errors import InputError

        if self.quiet and self.verbose:
            raise InputError("-q and -v exclude each other: give one")
        check_output("--log-file", self.log_file)
        reporter = Reporter(self)
        began_s = time.monotonic()
        reporter.log(f"wirelessfl {shlex.join(sys.argv[1:])}")
        try:
            yield reporter
        except (Exception, KeyboardInterrupt) as error:
            stopped = isinstance(error, KeyboardInterrupt | click.Abort | Stopped)
            reporter.log("stopped" if stopped else f"error: {' '.join(str(error).split())}")
            raise
        reporter.log(f"complete after {duration(time.monotonic() - began_s)}")


def reporting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `-q`, `-v` and `--log-file` to a command, which receives them as `reporting`."""

    @click.option("-q", "--quiet", is_flag=True, help="Neither progress nor notes.")
    @click.option("-v", "--verbose", is_flag=True, help="A line per round, or per complete run.")
    @click.option(
        "--log-file",
        type=click.Path(path_type=Path),
        help="Append progress, notes and errors to this file, with their time.",
    )
    @functools.wraps(command)
    def with_reporting(
        *arguments: Any, quiet: bool, verbose: bool, log_file: Path | None, **options: Any
    ) -> None:
        command(*arguments, reporting=Reporting(quiet, verbose, log_file), **options)

    return with_reporting


@dataclass(frozen=True)
class Reporter:
    """Lines for the user on standard error, and all of them in the log file.

    Attributes:
        options: The options of the command.
    """

    options: Reporting

    @property
    def has_bar(self) -> bool:
        """True where progress is a bar: on a terminal."""
        return sys.stderr.isatty() and not self.silent

    @property
    def silent(self) -> bool:
        """True if nothing is written to standard error."""
        return self.options.quiet or not is_first()

    def note(self, text: str) -> None:
        """Report a message for the user."""
        self.line(f"note: {text}")

    def line(self, text: str) -> None:
        """Report a line."""
        if not self.silent:
            click.echo(one_line(text), err=True)
        self.log(text)

    def log(self, text: str) -> None:
        """Append a line to the log file, if there is one."""
        if self.options.log_file is not None and is_first():
            stamp = datetime.now().astimezone().isoformat(timespec="seconds")
            with self.options.log_file.open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {one_line(text)}\n")

    def tracker(self, title: str, total: int, done: int = 0) -> "Tracker":
        """Progress over `total` rounds, of which `done` are complete."""
        return Tracker(self, title, total, done)


class Tracker:
    """Progress over the rounds of one or several runs, while it is entered.

    Args:
        reporter: Receives the lines.
        title: Name of the bar.
        total: Number of rounds.
        done: Number of rounds that are complete at the start.
    """

    def __init__(self, reporter: Reporter, title: str, total: int, done: int) -> None:
        self._reporter = reporter
        self._title = title
        self._total = total
        self._first = self._done = done
        self._note = ""
        self._began_s = time.monotonic()
        self._ended = threading.Event()
        self._bar: Any = None
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def start(self) -> None:
        """Show the progress."""
        self._began_s = time.monotonic()
        if self._reporter.has_bar:
            self._bar = _bar()
            self._bar.add_task(self._title, total=self._total, completed=self._done, note="")
            self._bar.start()
        self._thread.start()

    def stop(self) -> None:
        """End the progress; without effect before `start`."""
        if self._thread.ident is None:
            return
        self._ended.set()
        self._thread.join()
        if self._bar is not None:
            self._bar.stop()

    def __enter__(self) -> "Tracker":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def update(self, done: int, note: str = "", detail: str = "") -> None:
        """Report the state.

        Args:
            done: Number of rounds that are complete.
            note: Short text next to it, such as an accuracy; '' keeps the last one.
            detail: Line for `-v`.
        """
        self._done = done
        self._note = note or self._note
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, note=self._note)
        if detail and self._reporter.options.verbose:
            self._reporter.line(detail)

    def advance(self) -> None:
        """Report one more round."""
        self.update(self._done + 1)

    def record(self, record: Any, score: str = "") -> None:
        """Report the record of a round.

        Args:
            record: The record.
            score: Name of its `accuracy`.
        """
        note = "" if record.accuracy is None else f"{score} {record.accuracy:.1%}"
        parts = [f"round {record.round} of {self._total}", *([note] if note else [])]
        parts += [] if record.loss is None else [f"loss {record.loss:.4g}"]
        in_time = f"{sum(record.delivered)} of {len(record.delivered)} clients in time"
        parts += [f"{1e3 * record.round_s:.4g} ms", in_time]
        self.update(record.round, note, ", ".join(parts))

    @property
    def text(self) -> str:
        """The state in one line."""
        elapsed_s = time.monotonic() - self._began_s
        parts = [f"round {self._done} of {self._total}"]
        parts += [self._note] if self._note else []
        parts.append(duration(elapsed_s))
        fresh = self._done - self._first
        left_s = elapsed_s / fresh * (self._total - self._done) if fresh else None
        parts.append("ETA unknown" if left_s is None else f"ETA {duration(left_s)}")
        title = f"{self._title}: " if self._title != "rounds" else ""
        return title + ", ".join(parts)

    def _repeat(self) -> None:
        while not self._ended.wait(EVERY_S):
            if self._bar is None:
                self._reporter.line(self.text)
            else:
                self._reporter.log(self.text)


def duration(seconds: float) -> str:
    """A time in its two largest units, such as `2 min 5 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bar() -> Any:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from studies.report.terminal import terminal

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False),
        console=terminal(stderr=True),
    )
