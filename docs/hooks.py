"""Hooks of the site: figures of results, names of files outside `docs/`, executed tutorials."""

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
FIGURE = re.compile(
    r"\]\(\.\./((?:\.\./)?(?:studies/results/[^/)]+|benchmarks/results)/[^/)]+\.png)\)"
)
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)]+)\)")
TUTORIALS = ROOT / "build" / "tutorials"  # in which the blocks of tutorials run


def on_pre_build(config: Any, **_: Any) -> None:
    """Give the blocks of tutorials an empty folder and the commands of this environment.

    Args:
        config: Configuration of the site.
    """
    shutil.rmtree(TUTORIALS, ignore_errors=True)
    TUTORIALS.mkdir(parents=True)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the figures of committed results and benchmarks, which pages show.

    Args:
        files: The files of the site.
        config: Its configuration.

    Returns:
        The files with the figures.
    """
    patterns = ("studies/results/*/figure.png", "benchmarks/results/*.png")
    for figure in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        name = figure.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(figure)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead to the figures of results, and replace other links out of the site by a file's name.

    Args:
        markdown: Text of a page.
        page: The page.

    Returns:
        The text from which the page is built.
    """
    markdown = FIGURE.sub(r"](\1)", markdown)
    if "/" in page.file.src_uri:
        return markdown  # there `..` leads back to docs/
    return OUTSIDE.sub(r"\1 (`\2`)", markdown)
