"""`wirelessfl export`: the trained model of a run as a file."""

from pathlib import Path

import click

from studies.cli.options.scenario import data_root_option, echo, json_option, print_json

EXAMPLES = """\b
Examples:
  wirelessfl export runs/mine --client 3 -o client-3.safetensors
  wirelessfl export runs/mine --client 3 --best -o best-3.safetensors --json
  wirelessfl export runs/fedavg -o model.safetensors
"""


@click.command(epilog=EXAMPLES, short_help="Write the trained model of a run to a file.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--client",
    type=int,
    help="Index of the client whose model is written, with its personal part [the global model].",
)
@click.option(
    "--best",
    is_flag=True,
    help="Write the model of the best round instead of the last one [needs run.keep_best].",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File with the suffix .safetensors.",
)
@data_root_option
@json_option
def export(
    run: Path,
    client: int | None,
    best: bool,
    output: Path,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Write the model in the last or best checkpoint of RUN, a run folder, as a safetensors file.

    Tensors have the names of the model in PyTorch. The metadata say what the model is, how its
    inputs are normalised, and the recorded accuracy.
    """
    from studies.report.one_run.run import Run
    from studies.report.output import check_output
    from studies.report.trained_model import SUFFIXES

    check_output("-o", output, SUFFIXES)
    model = Run.read(run).trained_model(
        client, best=best, data_root=data_root, notify=lambda line: echo(line, err=True)
    )
    values = model.write(output, data_root)
    if as_json:
        print_json({"file": str(output), **values})
        return
    owner = "the global model" if client is None else f"the model of client {client}"
    score = "" if model.accuracy is None else f", {values['score']}: {model.accuracy:.1%}"
    echo(f"{output}: {owner} ({values['model']}) after round {model.round}{score}")
