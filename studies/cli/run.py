"""`wirelessfl run`: a run from the channel to the trained model."""

import json
from pathlib import Path
from typing import Any

import click

from studies.cli.options.reporting import Reporter, Reporting, reporting_options
from studies.cli.options.scenario import (
    DEFAULT_PRESET,
    changed,
    data_root_option,
    json_option,
    print_json,
    rounds_option,
    scenario_argument,
    scenario_tables,
    seed_option,
    set_option,
)
from studies.runner.torchrun import from_first, own_folder

EXAMPLES = """\b
Examples:
  wirelessfl run
  wirelessfl run wfl-mnist --data-root DATA --out runs/mnist
  wirelessfl run --set scenario.deadline_s=0.02 --set training.learning_rate=0.05
  wirelessfl run --out runs/mnist --resume
"""


@click.command(epilog=EXAMPLES, short_help="Run a scenario and leave a run folder.")
@scenario_argument
@set_option
@rounds_option
@seed_option
@click.option("--out", type=click.Path(path_type=Path), help="Run folder [runs/NAME-HASH].")
@click.option(
    "--resume", is_flag=True, help="Resume the run in the folder; implied when torchrun restarts."
)
@click.option("--device", help="cpu or cuda [run.device].")
@click.option(
    "--executor",
    help="auto, loop, workers, compiled, stacked or graph [run.executor]; run.workers = 0 uses "
    "every core.",
)
@click.option(
    "--plots/--no-plots", default=True, help="Draw the run as pictures in its folder [--plots]."
)
@reporting_options
@data_root_option
@json_option
def run(
    scenario: str | None,
    settings: tuple[str, ...],
    rounds: int | None,
    seed: int | None,
    out: Path | None,
    resume: bool,
    device: str | None,
    executor: str | None,
    plots: bool,
    reporting: Reporting,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Run SCENARIO and leave a run folder.

    SCENARIO is a TOML file or one of the presets digits, physical, wfl-mnist, wfl-fmnist, mce-pl-
    paper, mce-pl-code and sps-blog.
    """
    from studies.runner.single_run import check_same_experiment
    from wirelessfl.border.processes import processes, rank, restarted
    from wirelessfl.config import scenario_file as config
    from wirelessfl.errors import InputError
    from wirelessfl.records.run_folder import RunFolder

    resume = resume or restarted()
    there = from_first(lambda: _stored(out)) if resume and out else None
    if resume and out and there is None and scenario is None:
        raise InputError(
            f"--resume {out}: the folder holds no run to resume; give a SCENARIO to start one"
        )
    base = scenario_tables(scenario or DEFAULT_PRESET) if scenario or there is None else there
    tables = changed(
        base,
        settings,
        run__rounds=rounds,
        run__seed=seed,
        run__device=device,
        run__executor=executor,
    )
    experiment = config.from_tables(tables)
    alone = rank() == 0 and processes() == 1
    if not alone and not experiment.run.train:
        raise InputError("run.train = false must run in one process, without torchrun")
    name = Path(scenario or DEFAULT_PRESET).stem
    path = out or Path("runs") / f"{name}-{config.experiment_hash(experiment)}"
    there = from_first(lambda: _stored(path)) if resume else None
    if there is not None:
        check_same_experiment(experiment, there, f"--resume {path}")
    with reporting.reporter() as reporter, own_folder(path) as mine:
        recorded = [config.recorded_inputs(of) for of in (tables, there or {})]
        summary = _run(experiment, mine, there is not None, data_root, recorded, reporter)
    if mine != path:
        return
    if plots:
        from studies.views.run.figures import draw_run

        draw_run(RunFolder.open(path))
    if as_json:
        print_json({"folder": str(path), **summary})
    else:
        _report(path, experiment)


def _stored(out: Path) -> dict[str, dict[str, Any]] | None:
    """The experiment of the folder to resume; None when the folder is empty or missing."""
    from wirelessfl.config.scenario_file import read_tables
    from wirelessfl.records.run_folder import RunFolder, check_folder

    check_folder("--out", out)
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    return read_tables(RunFolder.open(out).experiment_file)


def _run(
    experiment: Any,
    path: Path,
    resumed: bool,
    data_root: Path | None,
    recorded: list[Any],
    reporter: Reporter,
) -> dict[str, Any]:
    from wirelessfl.border import gate
    from wirelessfl.border.interrupt import Stopped, resumable
    from wirelessfl.border.processes import processes
    from wirelessfl.config.input_files import check_contents
    from wirelessfl.config.scenario_file import experiment_hash, input_contents, to_toml
    from wirelessfl.errors import InputError
    from wirelessfl.no_training import NoTraining
    from wirelessfl.planning import check_before_start
    from wirelessfl.records.run_folder import RunFolder

    settings = experiment.run
    clients = experiment.scenario.clients
    demand = gate.first_demand(experiment.algorithm, clients)
    first = check_before_start(experiment, demand).allocation
    sends = (demand.fixed_upload_bits + demand.prunable_upload_bits).any()
    if sends and not first.bandwidth_fraction.any():
        reporter.note(f"no client has any bandwidth in round 1: {first.reason}")
    if not resumed:
        RunFolder.check_free(path)
    inputs = input_contents(experiment, data_root)
    for files in recorded:
        check_contents("section [inputs]", files, inputs)
    if processes() > 1:
        from training.executors.distributed import check_same

        check_same("the experiment", (experiment_hash(experiment), inputs))
    toml = to_toml(experiment, folder=path, inputs=inputs)
    trainer = (
        gate.trainer(
            experiment.algorithm,
            clients=clients,
            seed=settings.seed,
            runtime=settings.runtime(data_root),
        )
        if settings.train
        else NoTraining(demand)
    )
    try:
        folder = RunFolder.open(path) if resumed else RunFolder.create(path, toml)
        with folder.in_use():
            try:
                with resumable(lambda: _way_on(folder)):
                    _finish(folder, experiment, trainer, toml, inputs, reporter)
            except (InputError, OSError, Stopped):
                if not resumed:
                    folder.remove_unused()
                raise
    finally:
        trainer.close()
    summary: dict[str, Any] = json.loads(folder.summary_file.read_text())
    return summary


def _finish(
    folder: Any, experiment: Any, trainer: Any, toml: str, inputs: Any, reporter: Reporter
) -> None:
    from studies.report.scores import score_label
    from wirelessfl.config.scenario_file import experiment_hash, to_tables
    from wirelessfl.errors import InputError
    from wirelessfl.records.run_folder import write_atomically
    from wirelessfl.rounds import run_rounds

    done = folder.count()
    rounds = experiment.run.rounds
    if done > rounds:
        raise InputError(
            f"run.rounds must be at least {done}, the rounds already in {folder.path}, got {rounds}"
        )

    score = score_label(to_tables(experiment)["training"])
    tracker = reporter.tracker("rounds", rounds, done)

    def on_start() -> None:
        write_atomically(folder.experiment_file, toml.encode())
        tracker.start()

    try:
        run_rounds(
            experiment,
            trainer,
            folder,
            identity=experiment_hash(experiment, with_rounds=False),
            inputs=inputs,
            on_start=on_start,
            on_round=lambda record: tracker.record(record, score),
            notify=reporter.note,
        )
    finally:
        tracker.stop()


def _way_on(folder: Any) -> str:
    """The command that continues the run; empty before its first checkpoint."""
    if not folder.checkpoint_files():
        return ""
    return f"the run resumes with --out {folder.path} --resume"


def _report(path: Path, experiment: Any) -> None:
    from studies.views.run.tables import print_run

    print_run(path, experiment.scenario.deadline_s)
