"""Output to the terminal: the one place that turns foreign text into printable text."""

from typing import Any

from rich.console import Console
from rich.text import Text

from wirelessfl.text import printable_lines


class _PlainConsole(Console):
    """Console on which text is text: no markup, no emoji codes, no control characters.

    Names of files, labels of plug-ins and values of scenarios may hold any of them.
    """

    def render_str(self, text: str, *args: Any, **options: Any) -> Text:
        """Text of a string; tables, titles and prints all pass here."""
        return super().render_str(printable_lines(text), *args, **options)


def terminal(*, stderr: bool = False, quiet: bool = False) -> Console:
    """A console for tables, messages and progress bars.

    Args:
        stderr: Write to standard error.
        quiet: Write nothing.

    Returns:
        The console; styles are given as `Text` or by the argument `style`, never in the text.
    """
    return _PlainConsole(stderr=stderr, quiet=quiet, markup=False, emoji=False)
