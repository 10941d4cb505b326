"""Text on the terminal and in figures is text: no markup, no mathematics, no control characters."""

import pytest
from rich.table import Table

from studies.report.output import new_figure, render
from studies.report.terminal import terminal

HOSTILE = "a[/b] [red]c :smile: \x1b[2J"


def test_a_console_prints_names_as_they_are(capsys):
    console = terminal()
    table = Table("[bold]x[/bold]", title=HOSTILE)
    table.add_row(HOSTILE)
    console.print(table)
    console.print(HOSTILE, soft_wrap=True)
    out = capsys.readouterr().out
    assert out.count("a[/b] [red]c :smile: \\x1b[2J") == 3
    assert "[bold]x[/bold]" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("name", ["m$y_^{$", "\x1b\x00$", "$\\frac$"])
def test_a_figure_draws_names_as_they_are(name):
    figure = new_figure(3, 2)
    axes = figure.subplots()
    axes.plot([1, 10], [1e3, 1e9], label=name)
    axes.set(title=name, xlabel=name, yscale="log")
    axes.set_xticks([1, 10], labels=[name, name])
    figure.suptitle(name)
    axes.legend()
    assert render(figure, format="png").startswith(b"\x89PNG")
