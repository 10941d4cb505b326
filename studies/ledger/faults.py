"""Check that committed results belong to the code: same claims, same experiments."""

from collections.abc import Iterable, Mapping
from typing import Any

from studies.ledger.committed import Committed
from studies.report.results import Experiments
from wirelessfl import plugins
from wirelessfl.config.scenario_file import experiment_hash, parse_setting


def faults_of(results: Iterable[Committed]) -> list[str]:
    """Differences between results and the studies of today.

    Args:
        results: The committed results.

    Returns:
        One line for each difference; none where all belong to the code.
    """
    return [f"{one.path.name}: {fault}" for one in results for fault in _faults(one)]


def _faults(one: Committed) -> list[str]:
    study = plugins.load("studies", one.study)
    today = {claim.text: claim.kind for claim in study.CLAIMS}
    then = {row["claim"]: row["kind"] for row in one.claims}
    found = [f"claim {text!r} is not in the code" for text in then if text not in today]
    found += [f"claim {text!r} has no verdict" for text in today if text not in then]
    found += [
        f"claim {text!r} is {then[text]}, and {today[text]} in the code"
        for text in then
        if text in today and then[text] != today[text]
    ]
    hashes = {
        label: [experiment_hash(seed) for seed in seeds]
        for label, seeds in _experiments(one, study).items()
    }
    committed: Mapping[str, list[str]] = one.facts["experiments"]
    if hashes.keys() != committed.keys():
        return [*found, "its rows are not those of the code"]
    return found + [
        f"experiments of {label!r} are not those of the code"
        for label in hashes
        if hashes[label] != committed[label]
    ]


def _experiments(one: Committed, study: Any) -> Experiments:
    """Experiments that the study would run today, with the settings that its search had chosen."""
    planned = one.setting.experiments(study)
    searches = one.setting.searches(study)
    found = dict(planned)
    for label, search in searches.items():
        texts = one.chosen.get(label, {})
        values = {name: parse_setting(f"{name}={text}")[2] for name, text in texts.items()}
        found[label] = [search.with_values(seed, values) for seed in planned[label]]
    return found
