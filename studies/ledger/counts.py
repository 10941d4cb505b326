"""Numbers of claims by paper, kind and verdict."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from studies.ledger.committed import Committed
from wirelessfl import plugins

PAPERS = ("[WFL]", "[CA-HFP]", "[MCE-PL]", "[SPS]")
OWN = "Extensions"


def title_of(study: str) -> str:
    """First line of a study's docstring, which names the table or figure."""
    module: Any = plugins.load("studies", study)
    return str(module.__doc__).splitlines()[0].rstrip(".")


def source_of(study: str) -> str:
    """The paper whose table or figure a study is, or `OWN`."""
    paper, _, rest = title_of(study).partition(" ")
    return paper if paper in PAPERS and rest.startswith(("Fig.", "Table")) else OWN


def by_study(results: Sequence[Committed]) -> dict[str, list[Committed]]:
    """The results of every study, the one that counts first."""
    return {name: list(found) for name, found in groupby(results, key=lambda one: one.study)}


def counts_of(results: Iterable[Committed]) -> dict[str, Counter[tuple[str, str]]]:
    """Numbers of claims.

    Each claim counts once: with its study's own settings, at the largest committed scale.

    Args:
        results: The committed results, as `read_committed` orders them.

    Returns:
        Paper or `OWN` -> number of claims by (kind, verdict).
    """
    found = {source: Counter[tuple[str, str]]() for source in (*PAPERS, OWN)}
    for name, ones in by_study(list(results)).items():
        found[source_of(name)].update((row["kind"], row["verdict"]) for row in ones[0].claims)
    return found
