"""Language of the code base: standard technical English in docstrings, comments and pages.

Docstrings and comments open with a noun phrase or an imperative, and everyday words for which the
field has a term are not used.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = (
    *("wirelessfl", "channel_models", "optimizers", "training", "studies", "tests", "benchmarks"),
    *("docs", "README.md", "CONTRIBUTING.md"),
)

# Word -> replacement.
WORDS = {
    r"(?:no|some|every)body": "no client, any client, all clients",
    r"who (?:is|are|was|prunes?|takes?|sits?|holds?|sends?|trains?|can|cannot|could|ha[sd]|have)": (
        "late clients, clients that prune, the holders of a weight"
    ),
    r"who (?:did|does)": "the client that ...",
    r"those who": "the clients that ...",
    r"what \w+(?: \w+)? (?:comes?|came) to": "the value, the cost, the result",
    r"(?:hears?|heard)": "receive, last received",
    r"lets? go of": "release, close",
    r"mend(?:s|ed|ing)?": "fix, repair",
    r"on (?:the air|(?:its|their|the) way)": "transmitted, in transit, in progress",
    r"by hand": "reference implementation, computed manually",
    r"made[- ]up": "synthetic",
    r"left out": "excluded, omitted",
    r"as (?:it is|they are)": "unchanged",
    r"so many(?:th)?": "the number or its symbol",
    r"manyth": "every n-th",
    r"out of the question": "rejected",
    r"one more of everything": "each resource",
    r"(?:rooms?|houses?|wings?) of": "packages, layers, interfaces",
    r"the (?:house|room|wing)s?": "packages, layers, interfaces",
    r"(?:is|are) (?:not )?there": "available, present",
    r"behind it": "after it, followed by",
    r"a person": "the user",
    r"programme": "program",
}
# Words that are replaced in pages only.
PAGE_WORDS = {
    r"comes? to": "is, amounts to",
    r"(?:beside|behind)": "next to, after",
    r"(?:rooms?|wings?|floors?(?!\())": "packages, layers",
}
SENTENCE_OPENING = re.compile(r"(?:^|[.:;]\s)(What|Who|How|Which|Those)\b", re.MULTILINE)
FENCED = re.DOTALL | re.MULTILINE
# Words with which no docstring opens; comments may open with a conjunction ("As ...", "So ...").
OPENINGS = (
    *("What", "Who", "Whose", "Which", "Those", "That", "Nothing", "Nobody", "Somebody"),
    *("Everybody", "Everything"),
)
CONJUNCTIONS = ("How", "Where", "When", "Whether", "As", "So")
NOUN_FIRST = "a noun phrase or an imperative"


def offences(text: str, words: dict[str, str] = WORDS) -> Iterator[tuple[int, str]]:
    """The words of a table in a text without its code, with line (from 0) and replacement.

    A phrase may be broken over two lines.
    """
    prose = re.sub(r"`[^`\n]*`", "", text)
    for pattern, replacement in words.items():
        spaced = pattern.replace(" ", r"\s+")
        for match in re.finditer(rf"\b{spaced}\b", prose, re.IGNORECASE):
            words_found = " ".join(match.group().split())
            yield prose.count("\n", 0, match.start()), f"{words_found!r}: write {replacement}"


def opening(text: str, forbidden: tuple[str, ...]) -> Iterator[str]:
    """The complaint about a text that opens with a forbidden word."""
    match = re.match(rf"({'|'.join(forbidden)})\b(?!-)", text.strip())
    if match:
        yield f"opens with {match.group()!r}: open with {NOUN_FIRST}"


def of_docstrings(source: str) -> Iterator[tuple[int, str]]:
    """The complaints about the docstrings of a module, with their line (from 1)."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", [])
        for statement in body if isinstance(body, list) else []:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                continue
            for complaint in opening(value.value, (*OPENINGS, *CONJUNCTIONS)):
                yield statement.lineno, complaint
            for number, complaint in offences(value.value):
                yield statement.lineno + number, complaint


def of_comments(source: str) -> Iterator[tuple[int, str]]:
    """The complaints about the comments of a module; only the first line of a block can open it."""
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        text = token.string.lstrip("#! ")
        if line != last + 1:
            for complaint in opening(text, OPENINGS):
                yield line, complaint
        last = line
        for _, complaint in offences(text):
            yield line, complaint


def of_prose(text: str) -> Iterator[tuple[int, str]]:
    """The complaints about a Markdown page, without its code, with their line (from 1)."""
    prose = re.sub(r"^```.*?^```", lambda code: "\n" * code.group().count("\n"), text, flags=FENCED)
    for number, complaint in offences(prose, {**WORDS, **PAGE_WORDS}):
        yield number + 1, complaint
    for match in SENTENCE_OPENING.finditer(prose):
        complaint = f"opens with {match.group(1)!r}: open with {NOUN_FIRST}"
        yield prose.count("\n", 0, match.start(1)) + 1, complaint


def complaints(path: Path) -> list[str]:
    """Every complaint about a file, with the file and the line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        found = [*of_docstrings(text), *of_comments(text)]
    else:
        found = list(of_prose(text))
    where = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return [f"{where}:{line}: {complaint}" for line, complaint in sorted(found)]


def files_of(part: str) -> list[Path]:
    """The Python files and pages of a folder, or a page itself; not the table in this file."""
    path = ROOT / part
    found = [path] if path.is_file() else [*path.rglob("*.py"), *path.rglob("*.md")]
    return [file for file in sorted(found) if file != Path(__file__)]


@pytest.mark.parametrize("part", PARTS)
def test_the_language_is_plain_technical_english(part: str) -> None:
    found = [complaint for file in files_of(part) for complaint in complaints(file)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ('"""What a round costs."""\n', ":1: opens with 'What': open with a noun phrase"),
        ("x = 1  # nobody is late\n", ":1: 'nobody': write no client"),
        ('x = 1\n"""Costs.\n\nPaid by those who send."""\n', ":4: 'those who': write the clients"),
        ("# Who is late\n# is dropped.\n", ":1: opens with 'Who'"),
    ],
)
def test_a_complaint_names_line_and_replacement(
    source: str, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "module.py"
    file.write_text(source)
    assert any(f"module.py{complaint}" in line for line in complaints(file))


def test_code_is_not_prose(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Costs.\n\n```python\nnobody = 1\n```\n\nThe field `heard`; somebody.\n")
    assert [line.partition(":")[2] for line in complaints(page)] == [
        "7: 'somebody': write no client, any client, all clients"
    ]
    module = tmp_path / "module.py"
    module.write_text("# Costs,\n# What else\nnobody = 'so many'\n")
    assert complaints(module) == []
