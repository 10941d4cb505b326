"""The figure of a simulation: distributions of the latency."""

from collections.abc import Sequence
from typing import Any

from studies.report.output import new_figure
from studies.views.simulation.simulation import Simulation


def draw_latencies(
    found: Simulation, panel_inches: tuple[float, float], colours: Sequence[str]
) -> Any:
    """Draw the latencies of all clients and rounds, and of the slowest client of each round.

    Args:
        found: The simulation.
        panel_inches: Width and height in inches.
        colours: The colours of the lines.

    Returns:
        A matplotlib figure with empirical distribution functions, and the deadline; updates that
        never arrive count as later than any value.
    """
    figure = new_figure(*panel_inches)
    axes = figure.subplots()
    columns = found.columns
    lines = {
        "planned": columns["planned_s"].ravel(),
        "simulated": columns["latency_s"].ravel(),
        "slowest of a round": columns["latency_s"].max(axis=1),
    }
    for index, (label, seconds) in enumerate(lines.items()):
        arrived = sorted(1e3 * value for value in seconds if value == value)
        heights = [(at + 1) / seconds.size for at in range(len(arrived))]
        axes.step(
            arrived,
            heights,
            where="post",
            label=label,
            color=colours[index % len(colours)],
            linestyle=("-", "--", "-.")[index],
        )
    deadline_ms = 1e3 * found.experiment.scenario.deadline_s
    axes.axvline(deadline_ms, color="black", linestyle=":", label="deadline")
    latest = [deadline_ms, *(1e3 * value for value in columns["latency_s"].ravel())]
    right = 1.05 * max(value for value in latest if value == value)
    axes.set(xlabel="latency (ms)", ylabel="fraction that arrived")
    axes.set(xlim=(0.0, right), ylim=(0.0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", frameon=False)
    return figure
