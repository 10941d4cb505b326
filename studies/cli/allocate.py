"""`wirelessfl allocate`: one round's bandwidth and pruning ratios, with prices, status and certificate."""

import json
import math
from typing import Any

import click

from studies.cli._scenario import (
    DEFAULT_PRESET,
    changed,
    json_option,
    scenario_argument,
    scenario_tables,
    set_option,
)

EXAMPLES = """\b
Examples:
  wirelessfl allocate
  wirelessfl allocate wfl-mnist --deadline-ms 15 --method equal
  wirelessfl allocate --set scenario.bandwidth_hz=10e6 --json
"""


@click.command(epilog=EXAMPLES, short_help="One round's bandwidth and pruning ratios.")
@scenario_argument
@click.option("--deadline-ms", type=float, help="Deadline in milliseconds [scenario.deadline_s].")
@click.option("--method", help="Allocator [allocation.method].")
@set_option
@json_option
def allocate(
    scenario: str | None, deadline_ms: float | None, method: str | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Allocate the first round of SCENARIO (a TOML file or a preset) and show how good the answer is."""
    from optimizers import certify
    from wirelessfl.config import from_tables
    from wirelessfl.rounds import plan

    deadline_s = None if deadline_ms is None else deadline_ms / 1e3
    tables = changed(
        scenario_tables(scenario or DEFAULT_PRESET),
        settings,
        scenario__deadline_s=deadline_s,
        allocation__method=method,
    )
    experiment = from_tables(tables)
    planned = plan(experiment, experiment.algorithm.demand(experiment.scenario.clients))
    certificate = certify(planned.problem, planned.allocation)
    if as_json:
        click.echo(json.dumps(_as_dict(planned.allocation, certificate), indent=2))
        return
    from studies.report.run_tables import print_allocation

    print_allocation(planned.allocation, certificate, planned.channel, experiment.scenario.deadline_s)


def _as_dict(allocation: Any, certificate: Any) -> dict[str, Any]:
    names = (
        "bandwidth_fraction",
        "pruning_ratio",
        "latency_s",
        "status",
        "shortfall_s",
        "bandwidth_price",
        "deadline_price",
        "reason",
        "shortfall_fraction",
        "shortfall_hz",
    )
    measures = ("primal_residual", "stationarity", "complementarity", "duality_gap")
    return {
        **{name: _plain(getattr(allocation, name)) for name in names},
        "certificate": {name: _plain(getattr(certificate, name)) for name in measures},
    }


def _plain(value: Any) -> Any:
    """Arrays as lists; what is not finite as null, which JSON can hold."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
