"""Hooks of the site: links to files outside `docs/` become names of files."""

import re
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)]+)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace links out of the site, which has no such files, by the text and the file's name.

    Args:
        markdown: Text of a page.
        page: The page.

    Returns:
        The text from which the page is built.
    """
    if "/" in page.file.src_uri:
        return markdown  # there `..` leads back to docs/
    return OUTSIDE.sub(r"\1 (`\2`)", markdown)
