"""`wirelessfl simulate`: the cell alone over many rounds, and a timeline of one of them."""

from pathlib import Path

import click

from studies.cli._scenario import (
    DEFAULT_PRESET,
    changed,
    json_option,
    print_json,
    scenario_argument,
    scenario_tables,
    set_option,
    with_progress,
)

EXAMPLES = """\b
Examples:
  wirelessfl simulate --rounds 500
  wirelessfl simulate --set channel.csi=mean --timeline round.png
  wirelessfl simulate --set scenario.packet_error=waterfall --timeline round.pdf --round 7
"""


@click.command(
    epilog=EXAMPLES, short_help="Latency, deadline misses, band and energy, without training."
)
@scenario_argument
@click.option("--rounds", type=int, help="Number of rounds [run.rounds].")
@click.option("--seed", type=int, help="Seed of the run [run.seed].")
@set_option
@click.option(
    "--timeline",
    type=click.Path(path_type=Path),
    help="Write a timeline of one round to this file (png, pdf, svg).",
)
@click.option("--round", "seen", type=int, help="The round to draw, from 1 [the last].")
@json_option
def simulate(
    scenario: str | None,
    rounds: int | None,
    seed: int | None,
    settings: tuple[str, ...],
    timeline: Path | None,
    seen: int | None,
    as_json: bool,
) -> None:
    """Simulate channel, allocation and cell of SCENARIO (a TOML file or a preset); no training."""
    from studies.report import output
    from studies.views.simulation.simulation import Simulation, check_round, summary
    from studies.views.simulation.simulation import simulate as simulate_rounds
    from wirelessfl.config import scenario_file as config
    from wirelessfl.errors import InputError

    output.check_output("--timeline", timeline, output.PICTURES)
    if seen is not None and timeline is None:
        raise InputError(f"--round {seen} says which round --timeline draws: give both")
    name = scenario or DEFAULT_PRESET
    experiment = config.from_tables(
        changed(scenario_tables(name), settings, run__rounds=rounds, run__seed=seed)
    )
    drawn = (
        None
        if timeline is None
        else check_round(experiment, experiment.run.rounds if seen is None else seen)
    )
    found: list[Simulation] = []
    with_progress(
        experiment.run.rounds,
        0,
        lambda on_start, on_round: found.append(
            simulate_rounds(experiment, seen=drawn, on_start=on_start, on_round=on_round)
        ),
    )
    if timeline is not None:
        from studies.views.simulation.timeline_figures import draw_timeline

        output.write_figure(timeline, draw_timeline(found[0], Path(name).stem))
    if as_json:
        print_json(summary(found[0]))
        return
    from studies.views.simulation.tables import print_simulation

    print_simulation(summary(found[0]))
