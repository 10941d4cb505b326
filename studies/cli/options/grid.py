"""Options of commands that run a grid over fields, and the files that they write."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from studies.cli.options.completion import complete_setting

SEEDS = 5


def _with_known_names(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse misspelt names before plug-ins are loaded, which takes longer."""
    if not context.resilient_parsing and texts:
        from wirelessfl.config.axis import Axis
        from wirelessfl.config.scenario_file import check_names

        for axis in map(Axis.parse, texts):
            for value in axis.values[:1] if axis.numeric else axis.values:
                check_names(axis.section, axis.field, value)
    return texts


vary_option = click.option(
    "--vary",
    "varied",
    multiple=True,
    metavar="SECTION.FIELD=VALUES",
    callback=_with_known_names,
    shell_complete=complete_setting,
    help="A field and its values: a:b:n, log:a:b:n or a list, with units such as 5MHz or 23dBm; "
    "may be repeated.",
)
zip_option = click.option(
    "--zip", "zipped", is_flag=True, help="Vary the fields together, not as a grid."
)
seeds_option = click.option("--seeds", type=int, help=f"Runs per point [{SEEDS}].")
plot_option = click.option(
    "--plot",
    "plot_file",
    type=click.Path(path_type=Path),
    help="Write the figure to this file (png, pdf, svg).",
)


@dataclass(frozen=True)
class GridFiles:
    """Files of a grid: tidy tables and a figure.

    Attributes:
        csv_file: Table with a row per run; that with a row per point has `-points` in its name.
        plot_file: The figure.
        measures: Measures in the figure; empty for the usual ones.
        size: Width and height of a panel in inches as text, or None.
        style: Name or file of a matplotlib style, or None.
    """

    csv_file: Path | None
    plot_file: Path | None
    measures: tuple[str, ...]
    size: str | None
    style: str | None

    @property
    def points_file(self) -> Path | None:
        """The table with a row per point."""
        file = self.csv_file
        return file and file.with_name(f"{file.stem}-points{file.suffix}")

    @property
    def all(self) -> tuple[Path, ...]:
        """The files that are written."""
        files = (self.csv_file, self.points_file, self.plot_file)
        return tuple(file for file in files if file is not None)

    def check(self) -> None:
        """Check that the files can be written and that the figure can be drawn.

        Raises:
            InputError: A file, a measure, the size or the style is invalid.
        """
        from studies.grid.measures import SHOWN
        from studies.report.output import PICTURES, check_output
        from studies.report.style import figure_style
        from wirelessfl.errors import check_choice

        check_output("--csv", self.csv_file)
        check_output("--csv", self.points_file)
        check_output("--plot", self.plot_file, PICTURES)
        for name in self.measures:
            check_choice("--measure", name, tuple(SHOWN))
        self.panel_inches()
        if self.style is not None:
            with figure_style(self.style):
                pass

    def panel_inches(self) -> tuple[float, float]:
        """Width and height of a panel in inches.

        Raises:
            InputError: The text is no such size.
        """
        from studies.grid.figures import PANEL_INCHES
        from wirelessfl.errors import InputError, check_number

        if self.size is None:
            return PANEL_INCHES
        try:
            width, height = (float(part) for part in self.size.split("x"))
        except ValueError:
            raise InputError(f"--size must be WIDTHxHEIGHT in inches, got {self.size!r}") from None
        check_number("--size", [width, height], at_least=1, at_most=40)
        return width, height

    def write(self, result: Any) -> None:
        """Write the files that were asked for.

        Args:
            result: A `SweepResult`.
        """
        from studies.grid.figures import draw_sweep
        from studies.report.csv_files import write_records
        from studies.report.output import write_figure
        from studies.report.style import figure_style

        if self.csv_file is not None and self.points_file is not None:
            write_records(self.csv_file, result.run_rows())
            write_records(self.points_file, result.point_rows())
        if self.plot_file is not None:
            with figure_style(self.style):
                figure = draw_sweep(result, self.measures, self.panel_inches(), self.style)
                write_figure(self.plot_file, figure)


def grid_files_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `GridFiles` to a command, which receives them as `files`."""

    @click.option(
        "--csv",
        "csv_file",
        type=click.Path(path_type=Path),
        help="Table with a row per run; NAME-points.csv next to it has a row per point.",
    )
    @plot_option
    @click.option("--measure", "measures", multiple=True, help="Measure to plot; may be repeated.")
    @click.option("--size", metavar="WxH", help="Size of a panel in inches [3.5x2.6].")
    @click.option(
        "--style", help="Style of the figure: a name or a file of matplotlib, such as grayscale."
    )
    @functools.wraps(command)
    def with_files(
        *arguments: Any,
        csv_file: Path | None,
        plot_file: Path | None,
        measures: tuple[str, ...],
        size: str | None,
        style: str | None,
        **options: Any,
    ) -> None:
        files = GridFiles(csv_file, plot_file, measures, size, style)
        command(*arguments, files=files, **options)

    return with_files
