"""The results of a study as files.

They are table.csv, curves.csv, claims.csv, trials.csv, figure.png and command.json.
"""

import math
import platform
import textwrap
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from studies.report.csv_files import write_records
from studies.report.curves import curve_rows
from studies.report.output import new_figure, render, write_figure
from studies.report.results import Cell, Experiments, Runs, Sample, Table
from studies.report.style import figure_style
from studies.report.unserved import unserved_note, with_unserved
from studies.search.search import SearchResult
from studies.search.tables import trial_records
from studies.study.study import Setting, Study, describe, headline
from wirelessfl import __version__
from wirelessfl.config.scenario_file import experiment_hash
from wirelessfl.records import strict_json
from wirelessfl.records.run_folder import write_atomically

PACKAGES = ("torch", "torchvision", "numpy", "scipy")
CHARACTERS_PER_INCH = 14.0  # of a line above a figure


def write_results(
    folder: Path,
    name: str,
    study: Study,
    setting: Setting,
    experiments: Experiments,
    runs: Runs,
    found: SearchResult | None = None,
) -> Table:
    """Write all results of a study; they depend on neither date nor machine.

    Args:
        folder: The results folder, created if necessary.
        name: The study's name.
        study: The study.
        setting: Its scale and changes.
        experiments: Label -> one experiment per seed.
        runs: The complete runs of these experiments.
        found: The result of the study's searches, if any, which adds `trials.csv`.

    Returns:
        The study's table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = with_unserved(study.table(runs), experiments, runs)
    write_records(folder / "table.csv", table_records(table))
    write_records(folder / "claims.csv", claim_records(study, table))
    if found is not None:
        write_records(folder / "trials.csv", trial_records(found))
    if describe(experiments)["learning_rates"]:
        write_records(folder / "curves.csv", curve_rows(runs))
    command = strict_json.dumps(_provenance(name, setting, experiments), indent=2) + "\n"
    write_atomically(folder / "command.json", command.encode())
    title = headline(name, setting, experiments)
    note = unserved_note(experiments, runs)
    _write_figure(folder / "figure.png", study, runs, f"{title}\n{note}" if note else title)
    return table


def table_records(table: Table) -> list[dict[str, Any]]:
    """The rows of a table as plain values.

    A measured column `x` becomes `x` (the mean) and `x_standard_error`. A column is measured if any
    row has a sample in it; other rows have None in both.
    """
    measured = {
        name for row in table.rows for name, cell in row.items() if isinstance(cell, Sample)
    }
    return [
        {
            name: value
            for column, cell in row.items()
            for name, value in _plain(column, cell, column in measured)
        }
        for row in table.rows
    ]


def claim_records(study: Study, table: Table) -> list[dict[str, Any]]:
    """The study's claims with their verdicts and figures."""
    verdicts = [(claim, claim.check(table)) for claim in study.CLAIMS]
    return [
        {
            "claim": claim.text,
            "kind": claim.kind,
            "verdict": verdict.outcome,
            "figures": verdict.figures,
        }
        for claim, verdict in verdicts
    ]


def _plain(column: str, cell: Cell, measured: bool) -> Iterable[tuple[str, Any]]:
    if not isinstance(cell, Sample):
        return (
            [(column, cell), (f"{column}_standard_error", None)] if measured else [(column, cell)]
        )
    error = cell.standard_error
    return [(column, cell.mean), (f"{column}_standard_error", None if math.isnan(error) else error)]


def _provenance(name: str, setting: Setting, experiments: Experiments) -> dict[str, Any]:
    return {
        "command": f"wirelessfl study {name} {setting.options}",
        **describe(experiments),
        "versions": {
            "python": platform.python_version(),
            "wirelessfl": __version__,
            **{package: version(package) for package in PACKAGES},
        },
        "experiments": {
            label: [experiment_hash(seed) for seed in seeds] for label, seeds in experiments.items()
        },
    }


def write_study_figure(path: Path, study: Study, runs: Runs) -> None:
    """Write the figure of a study as PNG, PDF or SVG, without a title in it.

    Args:
        path: The file; its suffix is the format.
        study: The study.
        runs: The complete runs of its experiments.
    """
    with figure_style(None):
        write_figure(path, _drawn(study, runs))


def _drawn(study: Study, runs: Runs) -> Any:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = new_figure(6.4, 4.8)
    # Padding in inches; with the default axis labels touch the next panel.
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.1))
    study.figure(runs, figure)
    return figure


def _write_figure(path: Path, study: Study, runs: Runs, title: str) -> None:
    figure = _drawn(study, runs)
    width = int(CHARACTERS_PER_INCH * figure.get_size_inches()[0])
    lines = (textwrap.fill(line, width) for line in title.splitlines())
    figure.suptitle("\n".join(lines), fontsize="small", color="0.35")
    picture = render(figure, format="png", dpi=160, metadata={"Software": None})
    write_atomically(path, picture)
