"""`wirelessfl channel`: path loss, SNR and fading of a channel model, client by client."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from studies.cli.options.completion import complete_scenario, plugin_completion
from studies.cli.options.scenario import DEFAULT_PRESET, json_option, print_json, set_option

EXAMPLES = """\b
Examples:
  wirelessfl channel rayleigh --plot rayleigh.png
  wirelessfl channel physical --set scenario.clients=20
  wirelessfl channel static --set channel.path_loss=tr38901-umi --set channel.line_of_sight=false
  wirelessfl channel peer-to-peer --set scenario.clients=20 --rounds 500 --json
"""


def _complete(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Channel models, presets and files."""
    models = plugin_completion("channels")(context, parameter, incomplete)
    return [*models, *complete_scenario(context, parameter, incomplete)]


@click.command(epilog=EXAMPLES, short_help="Path loss, SNR and fading of a channel model.")
@click.argument("scenario", required=False, shell_complete=_complete)
@set_option
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(path_type=Path),
    help="Write the figure to this file (png, pdf, svg).",
)
@click.option(
    "--rounds", type=int, default=200, show_default=True, help="Number of rounds to draw."
)
@click.option("--seed", type=int, help="Seed of the draws [run.seed].")
@json_option
def channel(
    scenario: str | None,
    settings: tuple[str, ...],
    plot_file: Path | None,
    rounds: int,
    seed: int | None,
    as_json: bool,
) -> None:
    """Show path loss, SNR and fading of the channel of SCENARIO, client by client.

    SCENARIO is a TOML file, a preset, or a channel model with its defaults (wirelessfl list
    channels). Fields of sections channel and scenario may be changed with --set.
    """
    from studies.report import output
    from studies.views.channel.channel import view
    from wirelessfl.errors import check_count

    output.check_output("--plot", plot_file, output.PICTURES)
    check_count("--rounds", rounds)
    if seed is not None:
        check_count("--seed", seed, at_least=0)
    seen = view(scenario or DEFAULT_PRESET, settings, rounds=rounds, seed=seed)
    if plot_file is not None:
        from studies.views.channel.figures import draw_channel

        output.write_figure(plot_file, draw_channel(seen))
    if as_json:
        print_json(
            {
                "channel": seen.name,
                "rounds": rounds,
                "seed": seen.seed,
                "clients": seen.rows(),
            }
        )
        return
    from studies.views.channel.tables import print_channel

    print_channel(seen)
