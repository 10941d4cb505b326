"""The gallery as a page: the figure of every committed result, its verdicts and its command."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from studies.ledger.committed import Committed
from studies.ledger.counts import OWN, PAPERS, by_study, source_of, title_of
from studies.report.results import Outcome

_HEADER = """\
# Gallery

The figure of every committed result, written by `wirelessfl results --gallery docs/gallery.md`,
with the verdicts of its measured claims and the command that makes it again. The
[ledger](ledger.md) has the claims in words, [Results](results.md) what follows from them. Results
at *small* scale are not the papers' numbers.
"""


def gallery_page(results: Sequence[Committed], page: Path) -> str:
    """The page.

    Args:
        results: The committed results, as `read_committed` orders them.
        page: File of the page, to which the paths of the figures are relative.

    Returns:
        Markdown.
    """
    studies = by_study(results)
    parts = [_HEADER]
    for source in (*PAPERS, OWN):
        names = [name for name in studies if source_of(name) == source]
        parts += [f"## {source}\n"] * bool(names)
        for name in names:
            parts.append(f"### {title_of(name)}\n")
            parts += [_result(one, page) for one in studies[name]]
    return "\n".join(parts)


def _result(one: Committed, page: Path) -> str:
    facts = one.facts
    figure = os.path.relpath(one.path / "figure.png", page.parent)
    seeds = len(facts["seeds"])
    made = f"{seeds} seeds, {facts['rounds']} rounds, version {one.version}; {_verdicts(one)}."
    return f"![{one.path.name}]({figure})\n\n    {facts['command']}\n\n{made}\n"


def _verdicts(one: Committed) -> str:
    """Numbers of the measured claims by verdict."""
    found = Counter(row["verdict"] for row in one.claims if row["kind"] == "measured")
    if not found:
        return "no measured claim"
    outcomes: tuple[str, ...] = get_args(Outcome)
    counted = ", ".join(f"{found[name]} {name}" for name in outcomes if found[name])
    return f"measured claims: {counted}"
