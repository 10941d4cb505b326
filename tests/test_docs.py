"""Every Python snippet of the documentation runs; those of one file run one after another."""

import re
from pathlib import Path

import pytest

DOCS = sorted((Path(__file__).parent.parent / "docs").glob("*.md"))


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.stem)
def test_the_snippets_run(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in re.findall(
        r"^```python\n(.*?)^```", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        exec(compile(snippet, str(file), "exec"), names)
