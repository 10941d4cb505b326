"""`wirelessfl page`: what-if analysis and run folders in the browser."""

from pathlib import Path

import click

from studies.cli.options.scenario import (
    DEFAULT_PRESET,
    changed,
    echo,
    scenario_argument,
    scenario_tables,
    set_option,
)

EXAMPLES = """\b
Examples:
  wirelessfl page
  wirelessfl page wfl-fmnist --open
  wirelessfl page mine.toml --runs runs/studies --port 8000
"""


@click.command(epilog=EXAMPLES, short_help="What-if analysis and run folders in the browser.")
@scenario_argument
@set_option
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    help="Folder whose run folders the second tab shows [runs].",
)
@click.option("--host", default="127.0.0.1", help="Address to listen on [127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 is any free one [8350].")
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
def page(
    scenario: str | None,
    settings: tuple[str, ...],
    runs: Path,
    host: str,
    port: int | None,
    opens: bool,
) -> None:
    """Show SCENARIO (a TOML file or a preset) in the browser, with controls; Ctrl-C ends it."""
    from studies.page.page import PORT, Page, Scenarios

    name = scenario or DEFAULT_PRESET
    tables = changed(scenario_tables(name), settings)
    scenarios = Scenarios(Path(name).stem, tables)
    shown = Page(scenarios, runs, host=host, port=PORT if port is None else port)
    echo(f"page: {shown.url} (Ctrl-C ends it)")
    if opens:
        import webbrowser

        webbrowser.open(shown.url)
    shown.serve()
