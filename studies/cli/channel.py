"""`wirelessfl channel`: path loss, SNR and fading of a channel model, client by client."""

from pathlib import Path

import click

from studies.cli._scenario import json_option, print_json, set_option
from studies.cli.options.completion import plugin_completion

EXAMPLES = """\b
Examples:
  wirelessfl channel rayleigh --plot rayleigh.png
  wirelessfl channel static --set channel.path_loss=tr38901-umi --set channel.line_of_sight=false
  wirelessfl channel peer-to-peer --set scenario.clients=20 --rounds 500 --json
"""


@click.command(epilog=EXAMPLES, short_help="Path loss, SNR and fading of a channel model.")
@click.argument("name", shell_complete=plugin_completion("channels"))
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
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@json_option
def channel(
    name: str,
    settings: tuple[str, ...],
    plot_file: Path | None,
    rounds: int,
    seed: int,
    as_json: bool,
) -> None:
    """Show path loss, SNR and fading of the channel model NAME, client by client.

    See `wirelessfl list` for the names. Fields of sections channel and scenario may be changed with
    --set; all others have their defaults.
    """
    from studies.report import output
    from studies.views.channel.channel import view
    from wirelessfl.errors import check_count

    output.check_output("--plot", plot_file, output.PICTURES)
    check_count("--rounds", rounds)
    check_count("--seed", seed, at_least=0)
    seen = view(name, settings, rounds=rounds, seed=seed)
    if plot_file is not None:
        from studies.views.channel.figures import draw_channel

        output.write_figure(plot_file, draw_channel(seen))
    if as_json:
        print_json({"channel": name, "rounds": rounds, "seed": seed, "clients": seen.rows()})
        return
    from studies.views.channel.tables import print_channel

    print_channel(seen)
