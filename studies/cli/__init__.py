"""The command line: one module per command, which imports heavy packages when it runs."""

import io
import os
import sys
import warnings
from typing import Any

import click

from studies.cli.allocate import allocate
from studies.cli.channel import channel
from studies.cli.data import data
from studies.cli.deadline import deadline
from studies.cli.describe import describe
from studies.cli.export import export
from studies.cli.init import init
from studies.cli.list import list_plugins
from studies.cli.options.scenario import echo
from studies.cli.page import page
from studies.cli.results import results
from studies.cli.run import run
from studies.cli.search import search
from studies.cli.simulate import simulate
from studies.cli.study import study
from studies.cli.sweep import sweep
from studies.cli.whatif import whatif
from wirelessfl import __version__
from wirelessfl.border.interrupt import STATUS, Stopped, stoppable
from wirelessfl.border.processes import speaks

EXAMPLES = """\b
Examples:
  wirelessfl run                                   train on the embedded digits
  wirelessfl run wfl-fmnist --data-root DATA --rounds 20
  wirelessfl export runs/mine --client 0 -o model.safetensors   the trained model
  wirelessfl simulate --rounds 500                 latency and deadline misses, without training
  wirelessfl allocate --deadline-ms 20             one round's bandwidth and pruning ratios
  wirelessfl sweep --vary scenario.deadline_s=15ms:35ms:5 --seeds 3
  wirelessfl whatif --vary scenario.deadline_s=0.015:0.030:31
  wirelessfl deadline --to-accuracy 0.9            the best deadline, by model and by training
  wirelessfl page                                  the same in the browser, with controls
  wirelessfl channel tr38901-umi --plot umi.png    path loss, positions, SNR and fading
  wirelessfl data show --plot partition.png        labels of each client
  wirelessfl search --over training.learning_rate=1e-3:1 --evaluate-on test
  wirelessfl study wfl-table1                      a table of a paper, with its claims
  wirelessfl results                               claims of the committed results
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
    deadline,
    page,
    channel,
    data,
    search,
    study,
    results,
    list_plugins,
    describe,
    init,
)
for command in commands:
    cli.add_command(command)


def main() -> None:
    """Entry point: invalid input is one line on standard error and exit status 2."""
    os.environ["MPLBACKEND"] = "agg"  # figures are files; the user's backend need not exist
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names and signs beyond the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    with stoppable(), warnings.catch_warnings():
        warnings.showwarning = _note
        _main()


def _main() -> None:
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
    except (click.Abort, KeyboardInterrupt):  # an Abort is a RuntimeError, too
        _fail("stopped", STATUS)
    except MemoryError as error:
        _fail(f"not enough memory{f': {error}' if str(error) else ''}", 2)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        _fail(f"not enough memory: {' '.join(str(error).split())}", 2)
    except Stopped as error:
        _fail(f"stopped; {error}" if str(error) else "stopped", STATUS)


def _note(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning, such as one of the solver or of arithmetic in a plug-in, as one line."""
    echo(f"note: {' '.join(str(message).split())}", err=True)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """True for torch's errors, which have no type of their own on a CPU."""
    return any(words in str(error) for words in ("not enough memory", "out of memory"))


def _fail(message: str, status: int) -> None:
    if speaks():
        echo(f"error: {message}", err=True)
    sys.exit(status)
