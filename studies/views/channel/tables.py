"""The table of a channel model, one client per row."""

from typing import Any

from studies.report.terminal import print_table, print_text
from studies.views.channel.channel import PERCENTILES, ChannelView


def print_channel(view: ChannelView) -> None:
    """Print distance, path loss, gain, SNR and fading percentiles of each client."""
    rows = view.rows()
    sight = view.line_of_sight is not None
    columns = [
        "client",
        "distance m",
        *(["sight"] if sight else []),
        "path loss dB",
        "mean gain dB",
        "SNR dB",
    ]
    columns += [f"{percent} %" for percent in PERCENTILES]
    printed = []
    for row in rows:
        cells = [_number(row["distance_m"])]
        cells += [("yes" if row["line_of_sight"] else "no")] if sight else []
        cells += [_number(row[name]) for name in ("path_loss_db", "mean_gain_db", "snr_db")]
        cells += [_fading(row[f"fading_{percent}_db"]) for percent in PERCENTILES]
        printed.append([str(row["client"]), *cells])
    print_table(columns, printed, title=f"{view.name}, seed {view.seed}")
    print_text(
        f"distance, losses and SNR over {view.scenario.bandwidth_hz / 1e6:g} MHz in the first "
        f"round; percentages: percentiles over {len(view.gain)} rounds of the gain in dB over the "
        "mean gain"
    )


def _fading(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 1) + 0.0:+.1f}"  # no -0.0


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.1f}"
