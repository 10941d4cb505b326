"""The result of a search as files: trials.csv, best.toml and search.json."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studies.report.csv_files import write_records
from studies.report.results import Sample
from studies.runner.single_run import folder_of
from studies.search.search import Search, SearchResult
from studies.search.tables import trial_records
from wirelessfl.config.scenario_file import to_tables, to_toml
from wirelessfl.records import strict_json
from wirelessfl.records.run_folder import RunFolder, write_atomically


def write_search(
    folder: Path,
    root: Path,
    label: str,
    one: Search,
    found: SearchResult,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the search of one label.

    `best.toml` is the first of the repeated experiments, ready to run.

    Args:
        folder: The folder to write to, created if necessary.
        root: The folder of the run folders.
        label: The label of the search.
        one: The search.
        found: Its result.
        more: Further entries of search.json.

    Returns:
        The content of search.json.
    """
    best = found.chosen[label]
    repeats = found.experiments[label]
    again = Sample(
        tuple(one.criterion.of(RunFolder(folder_of(experiment, root))) for experiment in repeats)
    )
    error = again.standard_error
    report = {
        "scenario": label,
        "over": {name: str(where) for name, where in one.space.items()},
        "metric": one.metric,
        "evaluate_on": one.evaluate_on,
        "best": dict(best.values),
        "score": best.score,
        "repeated": {
            "evaluate_on": to_tables(repeats[0])["training"].get("evaluate_on"),
            "seeds": [experiment.run.seed for experiment in repeats],
            "mean": again.mean,
            "standard_error": None if math.isnan(error) else error,
            "values": list(again.values),
        },
        **(more or {}),
        "trials": trial_records(found),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "trials.csv", trial_records(found))
    write_atomically(folder / "best.toml", to_toml(repeats[0], folder=folder).encode())
    write_atomically(folder / "search.json", (strict_json.dumps(report, indent=2) + "\n").encode())
    return report
