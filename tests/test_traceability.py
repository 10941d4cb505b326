"""Citations of the papers in the code and the pages `docs/equations.md` and `docs/errata.md` agree."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("wirelessfl", "channel_models", "optimizers", "training", "studies", "benchmarks")
SOURCES = sorted(file for name in (*PACKAGES, "tests") for file in (ROOT / name).rglob("*.py"))
LISTS = [ROOT / "docs" / name for name in ("equations.md", "errata.md")]
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").glob("*.md")) - set(LISTS))]
PAPERS = ("WFL", "CA-HFP", "MCE-PL", "SPS")

TAG = r"\[(?P<paper>WFL|CA-HFP|MCE-PL|SPS)\]"
NUMBER = r"\((?:A\.)?\d{1,2}[ab]?\)"
ITEM = rf"{NUMBER}(?:-{NUMBER})?"
LIST = rf"{ITEM}(?:(?:, | and ){ITEM})*"
LABEL = r"(?:[WCMS]-?\d+(?:\.\d)?)"
PLACE = r"(?:Algorithm \d+|Fig\. \d+|Table [IVX]+|Table \d+|Section [IVX\d]+(?:-[A-Z])?(?:\.\d+)*|Appendix [A-F]|Theorem \d|Lemma \d|Remark \d)"
LABELS = {"WFL": "W", "CA-HFP": "C", "MCE-PL": "M", "SPS": "S"}


# Docstrings, other strings (passed over) and runs of whole-line or single comments.
PARTS = re.compile(
    r'"""(?P<doc>.*?)"""'
    r'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    r"|(?P<comment>(?:^[ ]*#[^\n]*\n)+|#[^\n]*)",
    re.DOTALL | re.MULTILINE,
)


@cache
def comments(file: Path) -> list[tuple[str, str]]:
    """Comments and docstrings of a module, or the paragraphs of a page, each as (place, words)."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        text = re.sub(r"^```.*?^```", lambda m: "\n" * m[0].count("\n"), text, flags=re.S | re.M)
        parts = [(m.start(), m[0]) for m in re.finditer(r"\S(?:.|\n(?!\n))*", text)]
    else:
        parts = [
            (m.start(), m["doc"] or re.sub(r"^[ ]*# ?", "", m["comment"], flags=re.MULTILINE))
            for m in PARTS.finditer(text)
            if m["doc"] or m["comment"]
        ]
    name = file.relative_to(ROOT)
    return [
        (f"{name}:{text.count(chr(10), 0, at) + 1}", " ".join(part.split())) for at, part in parts
    ]


def numbers(citation: str) -> set[str]:
    """The equation numbers of `(16)-(18), (20)`: 16, 17, 18, 20."""
    found = set()
    for item in re.findall(ITEM, citation):
        ends = re.findall(r"\(((?:A\.)?)(\d+)([ab]?)\)", item)
        prefix, first, _ = ends[0]
        last = ends[-1][1]
        if first == last:
            found |= {f"{prefix}{first}{end[2]}" for end in ends}
        else:
            found |= {f"{prefix}{n}" for n in range(int(first), int(last) + 1)}
    return found


@cache
def cited() -> dict[tuple[str, str], str]:
    """(paper, equation, label or place) -> one file and line that cites it."""
    found: dict[tuple[str, str], str] = {}
    for file in (*SOURCES, *PAGES):
        for where, words in comments(file):
            for match in re.finditer(rf"{TAG} eq\. ({LIST})", words):
                found |= {(match["paper"], f"({n})"): where for n in numbers(match[2])}
            for match in re.finditer(rf"{TAG} ({PLACE})(?:, lines? ([\d, and-]*\d))?", words):
                found[match["paper"], match[2]] = where
                lines = re.findall(r"\d+", match[3] or "") if match[2] == "Algorithm 1" else []
                if match["paper"] == "SPS":
                    found |= {("SPS", f"line {number}"): where for number in lines}
            for match in re.finditer(rf"{TAG} (?:errat(?:um|a) )?({LABEL}(?:, {LABEL})*)", words):
                found |= {(match["paper"], n): where for n in match[2].split(", ")}
    return found


def sections(page: str) -> dict[str, str]:
    """The text of a page below each paper's heading."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    parts = re.split(rf"^## {TAG}\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(page: str, paper: str) -> set[str]:
    """First columns of the tables of a page, with ranges and lists of equations and lines expanded."""
    found = set()
    for cell in re.findall(r"^\| ([^|]+?) \|", sections(page)[paper], re.MULTILINE):
        lines = re.fullmatch(r"lines? (\d+)(?:(-|, )(\d+))?", cell)
        if re.fullmatch(LIST, cell):
            found |= {f"({n})" for n in numbers(cell)}
        elif lines:
            first, last = int(lines[1]), int(lines[3] or lines[1])
            found |= {f"line {n}" for n in range(first, last + 1)}
        else:
            found.add(cell)
    return found


@pytest.mark.parametrize("paper", PAPERS)
def test_every_citation_has_an_entry(paper):
    known = entries("equations.md", paper) | entries("errata.md", paper)
    missing = {what: where for (tag, what), where in cited().items() if tag == paper}
    assert {what: where for what, where in missing.items() if what not in known} == {}


def test_the_papers_are_cited():
    """Without a citation found the other tests could not fail."""
    count = {paper: sum(tag == paper for tag, _ in cited()) for paper in PAPERS}
    assert count["WFL"] > 20
    assert min(count.values()) > 10


@pytest.mark.parametrize(
    ("paper", "equations"),
    [
        ("WFL", {str(n) for n in range(1, 79)}),
        ("CA-HFP", {str(n) for n in range(1, 16)}),
        (
            "MCE-PL",
            {str(n) for n in range(1, 27) if n != 16}
            | {"16a", "16b"}
            | {f"A.{n}" for n in range(1, 8)},
        ),
        ("SPS", {"1"} | {f"line {n}" for n in range(1, 20)}),
    ],
)
def test_every_numbered_equation_and_line_has_an_entry(paper, equations):
    wanted = {name if name.startswith("line") else f"({name})" for name in equations}
    assert wanted - entries("equations.md", paper) == set()


@pytest.mark.parametrize(
    ("paper", "figures", "tables"),
    [
        ("WFL", 5, ["I"]),
        ("CA-HFP", 6, ["I", "II"]),
        ("MCE-PL", 9, ["I", "II", "III"]),
        ("SPS", 8, list("12345")),
    ],
)
def test_every_figure_and_table_has_an_entry(paper, figures, tables):
    wanted = {f"Fig. {n}" for n in range(1, figures + 1)} | {f"Table {n}" for n in tables}
    assert wanted - entries("equations.md", paper) == set()


@pytest.mark.parametrize(
    ("paper", "count"), [("WFL", 20), ("CA-HFP", 18), ("MCE-PL", 12), ("SPS", 16)]
)
def test_every_erratum_has_an_entry(paper, count):
    wanted = {f"{LABELS[paper]}{n}" for n in range(1, count + 1)}
    assert wanted - entries("errata.md", paper) == set()


def defines(file: Path, name: str) -> bool:
    """True if a module defines a function, class, method, field or constant of this name."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    for part in name.split("."):
        found = [node for node in body if part in _names(node)]
        if not found:
            return False
        body = found[0].body if isinstance(found[0], ast.ClassDef) else []
    return True


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def test_every_place_that_the_pages_name_exists():
    text = "".join(page.read_text(encoding="utf-8") for page in LISTS)
    places = sorted(set(re.findall(r"`([\w/]+\.py)(?:::([\w.]+))?`", text)))
    assert len(places) > 100
    missing = [
        f"{file}::{name}"
        for file, name in places
        if not (ROOT / file).is_file() or (name and not defines(ROOT / file, name))
    ]
    assert missing == []


TAGS = r"\[(?:WFL|CA-HFP|MCE-PL|SPS)\]"


def test_every_symbol_has_a_name_that_the_code_uses():
    text = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^## Symbols\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    names = {name.split("(")[0].split(".")[-1] for name in re.findall(r"`([^`]+)`", table)}
    code = "".join(file.read_text(encoding="utf-8") for file in SOURCES)
    words = set(re.findall(r"\w+", code))
    assert len(names) > 30
    assert names - words == set()


@pytest.mark.parametrize("paper", PAPERS)
def test_every_row_names_a_place_or_a_reason(paper):
    rows = re.findall(r"^\| .* \|$", sections("equations.md")[paper], re.MULTILINE)
    cells = [row.strip("| ").split(" | ")[-1] for row in rows]
    heads = {"implemented in"}
    bare = [cell for cell in cells if cell not in heads and not re.search(r"`[\w/]+\.py::", cell)]
    assert [cell for cell in bare if not re.match(r"not implemented: \w", cell)] == []


FORMER = {
    "an equation before its paper": rf"\beqs?\. ?\(?\d[\d()., and-]* of {TAGS}",
    "an equation without a paper": r"(?<!\] )(?<!38\.901, )\b[Ee]qs?\. ?\(?\d",
    "a number in place of `eq. (n)`": rf"{TAGS} {NUMBER}|{NUMBER},? of {TAGS}",
    "a place before its paper": rf"{PLACE} of {TAGS}",
    "a label before its paper": rf"\b{LABEL} of {TAGS}",
    "an erratum without its paper": rf"(?<!\] )\berrat(?:um|a) {LABEL}",
    "a number alone": rf"(?<![\w)\]])(?!\(0\)){NUMBER}(?![\w*/^])",
}


@pytest.mark.parametrize("former", FORMER.values(), ids=FORMER)
def test_there_is_one_notation(former):
    """`[WFL] eq. (15)` and no other: a search for it finds every place.

    A number alone in a page may also be a value in brackets.
    """
    citation = re.compile(rf"{TAGS} eq\. {LIST}")
    found = [
        f"{where}: {match[0]}"
        for file in (SOURCES if former == FORMER["a number alone"] else (*SOURCES, *PAGES))
        if file != Path(__file__) and file.relative_to(ROOT).parts[:2] != ("tests", "helpers")
        for where, words in comments(file)
        for match in re.finditer(former, citation.sub("", words))
    ]
    assert found == []


def test_a_line_of_an_algorithm_comes_with_the_algorithm():
    found = [
        where
        for file in SOURCES
        for where, words in comments(file)
        if re.search(r"\blines? \d", words)
        and not re.search(r"Algorithm \d|FederatedAveraging", words)
    ]
    assert found == []
