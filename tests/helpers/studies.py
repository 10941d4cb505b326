"""Synthetic runs, and the contract of every study, built-in or external."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studies.report.one_run.run import Run
from studies.report.results import Claim, Experiments, Sample, Table, Verdict
from studies.runner.sweep import folder_of
from studies.search.search import Search
from studies.study.study import SCALES, Setting, read_runs, scales_of
from studies.study.write import write_results
from wirelessfl.config.scenario_file import experiment_hash, to_toml
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.records.summary import summarise
from wirelessfl.values import RoundRecord

Rows = Mapping[str, Mapping[str, float]]  # label -> column -> mean
EVAL_EVERY = 5
# Further quantities that methods with control variates record.
EXTRA = {
    "local_steps": 10.0,
    "sum_control": 1e-9,
    "mean_control": 10.0,
    "norm": 5.0,
    "gradient": 2.0,
    "train_loss": 3e7,
    **dict.fromkeys(  # of the convergence theorems
        (
            *("loss", "gradient", "dissimilarity", "smoothness", "noise", "pruning_error"),
            *("zeroed_error", "personal_gradient", "shared_gradient", "diversity", "ratios"),
            *("holders", "without_holder", "shared_smoothness", "personal_smoothness"),
            *("cross_smoothness", "shared_noise", "personal_noise", "shared_moment"),
        ),
        0.5,
    ),
}


def synthetic_record(
    number: int,
    clients: int,
    *,
    rounds: int = 10,
    loss: float | None = 1.0,
    accuracy: float = 0.5,
    ratio: float = 0.5,
    latency_s: float = 0.025,
) -> RoundRecord:
    """A record in which every client does the same; accuracy in every fifth round and the last."""
    due = number % EVAL_EVERY == 0 or number == rounds
    return RoundRecord(
        round=number,
        clock_s=number * latency_s,
        round_s=latency_s,
        loss=loss,
        accuracy=accuracy if due else None,
        clients=list(range(clients)),
        bandwidth_fraction=[1.0 / clients] * clients,
        pruning_ratio=[ratio] * clients,
        gain=[1e-12] * clients,
        believed_gain=[1e-12] * clients,
        planned_s=[latency_s] * clients,
        latency_s=[latency_s] * clients,
        delivered=[True] * clients,
        lost=[False] * clients,
        earlier=[False] * clients,
        retransmissions=[0] * clients,
        band_utilisation=0.5,
        uplink_bits=[32.0 * 16560 * (1.0 - ratio)] * clients,
        downlink_bits=[0.0] * clients,
        flops=[1e6] * clients,
        energy_j=[0.1] * clients,
        extra=EXTRA,
    )


def synthetic_run(experiment: Experiment, root: Path, *, rounds: int = 10, **values: Any) -> None:
    """A complete run folder of an experiment, with the given values in every round."""
    path = folder_of(experiment, root)
    if path.exists():
        return
    folder = RunFolder.create(path, to_toml(experiment))
    for number in range(1, rounds + 1):
        folder.append(
            synthetic_record(number, experiment.scenario.clients, rounds=rounds, **values)
        )
    folder.write_summary(summarise(folder.records()))


def synthetic_runs(experiments: Experiments, root: Path, seed: int = 0) -> None:
    """A run folder with random values for every experiment; losses only where it trains."""
    rng = np.random.default_rng(seed)
    for seeds in experiments.values():
        for experiment in seeds:
            values = {
                "accuracy": rng.uniform(0.5, 1),
                "ratio": rng.uniform(0.2, 0.8),
                "latency_s": rng.uniform(0.02, 0.06),
            }
            loss = rng.uniform(0.1, 2)
            synthetic_run(experiment, root, **values, loss=loss if experiment.run.train else None)


def run_of(
    accuracies: Sequence[float | None], *, clients: int = 2, latency_s: float = 1.0, **fields: Any
) -> Run:
    """A run with these evaluations, None where a round has none; `fields` change every record."""
    records = [
        synthetic_record(number, clients, latency_s=latency_s).as_dict()
        | {"accuracy": accuracy, **fields}
        for number, accuracy in enumerate(accuracies, start=1)
    ]
    return Run(records)


def table_of(rows: Rows) -> Table:
    """A table of {label: {column: mean}} over two seeds that hardly differ."""
    cells = {
        label: {name: Sample((mean, mean * (1 + 1e-6))) for name, mean in row.items()}
        for label, row in rows.items()
    }
    return Table(tuple({"row": label, **row} for label, row in cells.items()))


def refused(study: Any, rows: Rows, label: str | None = None, **cells: float) -> list[str]:
    """The texts of the claims that fail, once these cells of a row are other ones."""
    changed = rows if label is None else {**rows, label: {**rows[label], **cells}}
    table = table_of(changed)
    return [claim.text for claim in study.CLAIMS if not claim.check(table).holds]


def check_study(name: str, module: Any, folder: Path) -> None:
    """Check experiments and searches of all scales, and the results of synthetic runs."""
    assert set(scales_of(module)) <= set(SCALES)
    assert "small" in scales_of(module)
    for scale in scales_of(module):
        planned = module.experiments(scale)
        _check_experiments(planned)
        _check_searches(Setting(scale).searches(module), planned)
    experiments = module.experiments("small")
    synthetic_runs(experiments, folder / "runs")
    runs = read_runs(experiments, folder / "runs")
    table = write_results(folder / "results", name, module, Setting(), experiments, runs)
    _check_table(table, experiments)
    _check_claims(module.CLAIMS, table)
    for file in ("table.csv", "claims.csv", "figure.png", "command.json"):
        assert (folder / "results" / file).stat().st_size > 0


def _check_experiments(experiments: Experiments) -> None:
    assert experiments
    seeds = [[experiment.run.seed for experiment in runs] for runs in experiments.values()]
    assert all(row == seeds[0] for row in seeds)
    assert len(set(seeds[0])) == len(seeds[0]) > 1
    hashes = [experiment_hash(experiment) for runs in experiments.values() for experiment in runs]
    assert len(set(hashes)) == len(hashes)


def _check_searches(searches: Mapping[str, Search], planned: Experiments) -> None:
    assert searches.keys() <= planned.keys()
    for label, search in searches.items():
        assert isinstance(search, Search)
        assert search.seed not in {experiment.run.seed for experiment in planned[label]}
        search.trial_of(planned[label][0], search.draw(1, 1))


def _check_table(table: Table, experiments: Experiments) -> None:
    assert isinstance(table, Table)
    assert all(tuple(row) == table.columns for row in table.rows)
    assert [row[table.columns[0]] for row in table.rows] == list(experiments)


def _check_claims(claims: Sequence[Claim], table: Table) -> None:
    assert claims
    assert len({claim.text for claim in claims}) == len(claims)
    for claim in claims:
        assert isinstance(claim, Claim)
        verdict = claim.check(table)
        assert isinstance(verdict, Verdict)
        assert verdict.figures
