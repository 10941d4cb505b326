"""Allocations in words: one line, or one row per client."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.interface import Array, Problem
from wirelessfl.text import text_table

MOST_ROWS = 20
HEADINGS = ("client", "band %", "pruned %", "latency ms", "status")


class Answer(Protocol):
    """The part of an allocation that is shown."""

    @property
    def problem(self) -> Problem:
        """The problem; (..., K)."""
        ...

    @property
    def bandwidth_fraction(self) -> Array:
        """Fraction of the band; (..., K)."""
        ...

    @property
    def pruning_ratio(self) -> Array:
        """Pruning ratio; (..., K)."""
        ...

    @property
    def latency_s(self) -> Array:
        """Planned latency in s; (..., K)."""
        ...

    @property
    def status(self) -> NDArray[np.str_]:
        """Status of each client; (..., K)."""
        ...


def headline(answer: Answer) -> str:
    """Size and outcome of an allocation in one line.

    Args:
        answer: The allocation.

    Returns:
        Number of clients (and problems), mean pruning ratio, clients by status.
    """
    *batch, clients = answer.problem.shape
    problems = int(np.prod(batch))
    words, counts = np.unique(answer.status, return_counts=True)
    found = ", ".join(f"{count} {word}" for word, count in zip(words, counts, strict=True))
    many = f" in each of {problems} problems" if batch else ""
    return f"Allocation of {clients} clients{many}: kept {_kept(answer):.1%} of the model; {found}"


def cells(answer: Answer) -> list[tuple[str, ...]]:
    """Rows of the table of one problem, the first `MOST_ROWS` clients.

    Args:
        answer: The allocation; (K,), or (..., K) without rows.

    Returns:
        Cells below `HEADINGS`.
    """
    if len(answer.problem.shape) != 1:
        return []
    return [
        (
            str(client),
            f"{100 * answer.bandwidth_fraction[client]:.2f}",
            f"{100 * answer.pruning_ratio[client]:.2f}",
            f"{1e3 * answer.latency_s[client]:.3f}",
            str(answer.status[client]),
        )
        for client in range(min(MOST_ROWS, answer.problem.shape[0]))
    ]


def as_text(answer: Answer) -> str:
    """An allocation as text.

    Args:
        answer: The allocation.

    Returns:
        The headline, and below it the table of a single problem.
    """
    rows = cells(answer)
    if not rows:
        return headline(answer)
    more = answer.problem.shape[0] - len(rows)
    return "\n".join(
        [headline(answer), text_table(HEADINGS, rows), *([f"{more} more clients"] if more else [])]
    )


def _kept(answer: Answer) -> float:
    return float(1.0 - np.mean(answer.pruning_ratio))
