"""The ledger as a page: counts, then every claim with its verdict, printed values beside ours."""

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from studies.ledger.committed import Committed
from studies.ledger.counts import OWN, PAPERS, by_study, counts_of, source_of, title_of
from studies.report.results import Kind, Outcome
from wirelessfl import plugins

KINDS: tuple[str, ...] = get_args(Kind)
OUTCOMES: tuple[str, ...] = get_args(Outcome)
_ERRATUM = re.compile(r"\[(?:WFL|CA-HFP|MCE-PL|SPS)\] erratum ([WCMS]\d+)")
_HEADER = """\
# Ledger of claims

Every table and figure of the papers for which results are committed, written by
`wirelessfl results --page docs/ledger.md`; `wirelessfl results --check --page docs/ledger.md`
fails where the page, the files or the code differ.

A claim was written as a check before the runs. It *holds* or is *refuted* where the 95 % interval
of every difference that it is about, paired over seeds, lies on one side of 0, else it is
*undecided*. Its kind says what a verdict is worth: *measured*, the runs could have refuted it;
*arithmetic*, it follows from sizes and definitions; *by construction*, the method enforces it;
*calibrated*, the scenario was fitted to it, or assumed. Only measured claims are evidence. Each
claim counts once, with the settings of its study, at the largest committed scale; *small* is not
the papers' scale.
"""


def ledger_page(results: Sequence[Committed]) -> str:
    """The page.

    Args:
        results: The committed results, as `read_committed` orders them.

    Returns:
        Markdown.
    """
    studies = by_study(results)
    parts = [_HEADER, _table(*count_table(results))]
    for source in (*PAPERS, OWN):
        names = [name for name in studies if source_of(name) == source]
        parts += [f"## {source}\n"] * bool(names) + [_study(name, studies[name]) for name in names]
    return "\n".join(parts)


def count_table(results: Iterable[Committed]) -> tuple[list[str], list[list[str]]]:
    """Heading and rows of the numbers of claims by source."""
    counts = counts_of(results)
    of_papers = sum((counts[source] for source in PAPERS), Counter[tuple[str, str]]())
    rows = [[source, *_numbers(found)] for source, found in counts.items()]
    rows.append(["all papers", *_numbers(of_papers)])
    return ["source", "measured", *OUTCOMES, "decided", *KINDS[1:]], rows


def _numbers(found: Counter[tuple[str, str]]) -> list[str]:
    measured = [found["measured", outcome] for outcome in OUTCOMES]
    total = sum(measured)
    decided = f"{100 * (total - found['measured', 'undecided']) / total:.0f} %" if total else "-"
    others = [sum(found[kind, outcome] for outcome in OUTCOMES) for kind in KINDS[1:]]
    return [str(total), *map(str, measured), decided, *map(str, others)]


def _study(name: str, found: Sequence[Committed]) -> str:
    counted, *others = found
    facts = counted.facts
    seeds, rounds = len(facts["seeds"]), facts["rounds"]
    made = f"`{facts['command']}`: {seeds} seeds, {rounds} rounds, version {counted.version}."
    lines = [f"### {title_of(name)}", "", made + _errata(name), ""]
    claims = [
        [row[key] for key in ("claim", "kind", "verdict", "figures")] for row in counted.claims
    ]
    lines.append(_table(["claim", "kind", "verdict", "figures"], claims))
    if printed := _printed(counted):
        lines.append(_table(["row", "quantity", "printed", "ours"], printed))
    lines += [_other(one) for one in others]
    return "\n".join(lines)


def _errata(name: str) -> str:
    source = inspect.getsource(plugins.load("studies", name))
    labels = sorted(set(_ERRATUM.findall(source)))
    return f" Errata: [{', '.join(labels)}](errata.md)." if labels else ""


def _other(one: Committed) -> str:
    outcomes = Counter(row["verdict"] for row in one.claims if row["kind"] == "measured")
    verdicts = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in OUTCOMES)
    seeds = len(one.facts["seeds"])
    return f"Further, `{one.facts['command']}` ({seeds} seeds): measured claims {verdicts}.\n"


def _printed(one: Committed) -> list[list[str]]:
    """Row, quantity, printed value and ours, for each printed value."""
    first, *columns = one.table[0]
    partners = {name: partner_of(name, columns) for name in columns if name.startswith("paper")}
    return [
        [row[first], ours, row[name], _measured(row, ours)]
        for row in one.table
        for name, ours in partners.items()
        if row[name] and ours is not None
    ]


def partner_of(printed: str, columns: Iterable[str]) -> str | None:
    """The measured column beside a printed one.

    Args:
        printed: Name of a column with printed values, such as `paper_accuracy_20_agents`.
        columns: Names of all columns.

    Returns:
        The column of this quantity, such as `accuracy`; None if there is none.
    """
    quantity = printed.removeprefix("paper").removeprefix("_")
    others = [name for name in columns if not name.startswith("paper")]
    begins = [name for name in others if quantity == name or quantity.startswith(f"{name}_")]
    ends = [name for name in others if quantity and name.endswith(f"_{quantity}")]
    return max(begins, key=len) if begins else next(iter(ends), None)


def _measured(row: Mapping[str, str], column: str) -> str:
    if not row[column]:
        return "-"
    error = row.get(f"{column}_standard_error")
    mean = f"{float(row[column]):.4g}"
    return f"{mean} ± {float(error):.2g}" if error else mean


def _table(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    escaped = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)
