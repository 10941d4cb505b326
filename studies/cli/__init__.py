"""The command line: one module per command, which imports heavy packages when it runs."""

import sys

import click

from studies.cli.allocate import allocate
from studies.cli.channel import channel
from studies.cli.data import data
from studies.cli.describe import describe
from studies.cli.export import export
from studies.cli.init import init
from studies.cli.list import list_plugins
from studies.cli.run import run
from studies.cli.search import search
from studies.cli.simulate import simulate
from studies.cli.study import study
from studies.cli.sweep import sweep
from studies.cli.whatif import whatif
from wirelessfl import __version__

EXAMPLES = """\b
Examples:
  wirelessfl run                                   train on the embedded digits
  wirelessfl run wfl-fmnist --data-root DATA --rounds 20
  wirelessfl export runs/mine -o model.safetensors  the trained model with its PyTorch names
  wirelessfl simulate --rounds 500                 latency and deadline misses, without training
  wirelessfl allocate --deadline-ms 20             one round's bandwidth and pruning ratios
  wirelessfl sweep --vary scenario.deadline_s=15ms:35ms:5 --seeds 3
  wirelessfl whatif --vary scenario.deadline_s=0.015:0.030:31
  wirelessfl channel tr38901-umi --plot umi.png    path loss, positions, SNR and fading
  wirelessfl data show --plot partition.png        labels of each client
  wirelessfl search --over training.learning_rate=1e-3:1 --evaluate-on test
  wirelessfl study wfl-table1                      a table of a paper, with its claims
  wirelessfl list                                  every plug-in
  wirelessfl describe fedalt                       every field of a plug-in, with unit and limits
  wirelessfl init mine.toml                        a commented scenario file to start from
"""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wirelessfl")
def cli() -> None:
    """Allocate bandwidth and pruning ratios of a wireless cell and train federated models."""


commands = (
    run,
    export,
    simulate,
    allocate,
    sweep,
    whatif,
    channel,
    data,
    search,
    study,
    list_plugins,
    describe,
    init,
)
for command in commands:
    cli.add_command(command)


def main() -> None:
    """Entry point: invalid input is one line on standard error and exit status 2."""
    from wirelessfl.errors import InputError

    try:
        sys.exit(cli(standalone_mode=False))
    except InputError as error:
        _fail(str(error), 2)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _fail(" ".join(error.format_message().split()), 2)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 2)
    except (click.Abort, KeyboardInterrupt):
        resume = "a run resumes with --out DIR --resume, a study or a search with the same command"
        _fail(f"stopped; {resume}", 130)


def _fail(message: str, status: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(status)
