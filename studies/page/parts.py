"""Parts of the page as HTML: outcome, prices, infeasible clients, and the table of clients."""

from collections.abc import Callable, Sequence
from html import escape
from math import isfinite

import numpy as np

from optimizers import measures
from studies.page.answer import PageAnswer
from studies.page.front import Front
from studies.page.pictures.allocation import MOST_CLIENTS
from studies.views.allocation.schemes import Scheme
from studies.views.allocation.tables import client_table, repairs_text
from studies.views.simulation.timeline import INTERRUPTED, PHASES, WAIT
from wirelessfl.values import ON_TIME

SHORTEST = 1e-6  # bar that is visible, in deadlines


def outcome(answer: PageAnswer) -> str:
    """The outcome of each method as a table, and notes on rounds that cannot end."""
    rows: dict[str, list[str]] = {}
    for name, scheme in answer.schemes.items():
        for quantity, value in _outcome_of(answer, name, scheme).items():
            rows.setdefault(quantity, []).append(value)
    table = html_table(["", *answer.schemes], [[name, *cells] for name, cells in rows.items()])
    notes = "".join(
        f'<p class="note">{escape(name)}: {escape(cell.note)}</p>'
        for name, cell in answer.cells.items()
        if cell.note
    )
    return table + notes


def _outcome_of(answer: PageAnswer, name: str, scheme: Scheme) -> dict[str, str]:
    allocation = scheme.planned.allocation
    timing = answer.cells[name].timing
    counted = measures(allocation)
    missed = int((~timing.delivered[scheme.clients]).sum())
    return {
        "kept model, mean": f"{100 * allocation.kept_fraction.mean():.2f} %",
        "pruned, mean": f"{100 * allocation.pruning_ratio.mean():.2f} %",
        "planned latency, slowest": _ms(float(allocation.latency_s.max())),
        "round in the cell": _ms(timing.round_s),
        "miss the deadline in the cell": f"{missed} of {scheme.clients.size}",
        **{
            f"{count.replace('_', ' ')} in the plan": f"{counted[count]:g}"
            for count in ("late", "starved", "infeasible", "left_out")
        },
    }


def prices(answer: PageAnswer) -> str:
    """The value of one more unit of each resource, method by method."""
    lines = []
    for name, scheme in answer.schemes.items():
        said = "; ".join(_prices_of(scheme))
        label = f"<b>{escape(name)}</b>: " if len(answer.schemes) > 1 else ""
        lines.append(f"<p>{label}{escape(said)}</p>")
    return "".join(lines)


def _prices_of(scheme: Scheme) -> list[str]:
    allocation = scheme.planned.allocation
    hertz = scheme.experiment.scenario.bandwidth_hz
    per_mhz = 1e6 * float(allocation.bandwidth_price) / hertz
    per_ms = 1e-3 * float(allocation.deadline_price)
    worth = scheme.sensitivities
    if worth is None and not per_mhz and not per_ms:
        return ["no prices: the method has no objective of its own"]
    if worth is None:
        return [
            f"one more MHz: {per_mhz:.4g}, one more ms of deadline: {per_ms:.4g} of the method's "
            "own objective"
        ]
    found = [
        f"one more MHz keeps {per_mhz:.4g} of a model",
        f"one more ms of deadline {per_ms:.4g}",
    ]
    per_db = worth.gain_db
    if per_db is not None and np.isfinite(per_db).all():
        most = int(np.argmax(per_db))
        found.append(
            f"one more dB of power {float(per_db.sum()):.4g} at all clients together, "
            f"{float(per_db[most]):.4g} at client {scheme.clients[most]}"
        )
    percent = 0.01 * worth.log_cpu_hz
    if np.isfinite(percent).all():
        found.append(f"1 % more CPU frequency {float(percent.sum()):.4g} at all clients together")
    return found


def reasons(answer: PageAnswer) -> str:
    """Reasons of clients that are not served in time; empty where all are."""
    return _lines(answer, lambda scheme: str(scheme.planned.allocation.reason or ""))


def repairs(answer: PageAnswer) -> str:
    """The smallest conflict of clients and its least repairs; empty where there is none."""
    return _lines(
        answer,
        lambda scheme: "" if scheme.repair is None else repairs_text(scheme, scheme.repair),
    )


def _lines(answer: PageAnswer, said: Callable[[Scheme], str]) -> str:
    """A paragraph for each method with anything to say; one where all say the same."""
    lines = {name: line for name, scheme in answer.schemes.items() if (line := said(scheme))}
    alike = len(lines) == len(answer.schemes) and len(set(lines.values())) == 1
    if alike:
        return f"<p>{escape(next(iter(lines.values())))}</p>"
    return "".join(f"<p><b>{escape(name)}</b>: {escape(line)}</p>" for name, line in lines.items())


def clients(answer: PageAnswer) -> str:
    """The table of the clients, with their latencies in the cell."""
    parts = []
    for name, scheme in answer.schemes.items():
        headings, rows = client_table(scheme)
        finish_s = answer.cells[name].timing.finish_s[scheme.clients]
        after = headings.index("latency ms") + 1
        headings = [*headings[:after], "in the cell ms", *headings[after:]]
        rows = [
            [*row[:after], f"{1e3 * second:.3f}" if isfinite(second) else "never", *row[after:]]
            for row, second in zip(rows, finish_s, strict=True)
        ]
        caption = name if len(answer.schemes) > 1 else ""
        parts.append(html_table(headings, rows[:MOST_CLIENTS], caption))
    if answer.clients.size > MOST_CLIENTS:
        parts.append(
            f'<p class="note">the first {MOST_CLIENTS} of {answer.clients.size} clients; the CSV '
            "file has all</p>"
        )
    return "".join(parts)


def html_table(headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table whose first column names the rows.

    Args:
        headings: Headings of the columns.
        rows: Cells as text.
        caption: Its caption; empty: none.

    Returns:
        HTML, in a box that scrolls where the table is too wide.
    """
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in headings)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0"><table>{named}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3f} ms" if isfinite(seconds) else "never"


def method_legend(answer: PageAnswer) -> str:
    """The colours of the methods, where there are two."""
    if len(answer.schemes) == 1:
        return ""
    return "".join(_key(f"m{number}", name) for number, name in enumerate(answer.schemes))


def front_note(found: Front, here: Front) -> str:
    """Kept models at the deadline of the state, and the caption of the front.

    Args:
        found: The front.
        here: The same draws at the deadline of the state.
    """
    deadline_ms = 1e3 * float(here.axes[0].values[0])
    kept = []
    for method, name in enumerate(here.methods):
        mean, error = (100.0 * float(values[0]) for values in here.kept(method))
        kept.append(f"{name} keeps {mean:.2f} \N{PLUS-MINUS SIGN} {error:.2f} %")
    said = (
        f"{found.draws} channel draws at each deadline: {found.varies}. Line: mean; band and "
        "\N{PLUS-MINUS SIGN}: one standard error; disc: no client is late and no shorter deadline "
        "keeps as much."
    )
    mean_of = f"At {deadline_ms:g} ms {', '.join(kept)} on average."
    return f'<p class="fact">{escape(mean_of)}</p><p>{escape(said)}</p>'


def phase_legend(answer: PageAnswer) -> str:
    """The colours of the phases that occur in the round."""
    shortest_s = SHORTEST * answer.deadline_s
    here = {
        bar.phase
        for cell in answer.cells.values()
        for bar in cell.timeline.bars
        if bar.end_s - bar.start_s > shortest_s
    }
    late = any(
        bar.phase != WAIT and bar.end_s > answer.deadline_s * ON_TIME
        for cell in answer.cells.values()
        for bar in cell.timeline.bars
    )
    shown = [(one.replace(" ", "-"), one) for one in (*PHASES, INTERRUPTED, WAIT) if one in here]
    keys = [_key(look, name) for look, name in shown]
    return "".join([*keys, *([_key("past", "past the deadline")] if late else [])])


def status_legend(answer: PageAnswer) -> str:
    """The colours of the statuses that occur under the scenario's method."""
    here = dict.fromkeys(answer.first.planned.allocation.status.tolist())
    return "".join(_key(f"status {name.replace(' ', '-')}", name) for name in here)


def _key(look: str, name: str) -> str:
    return f'<span class="key"><span class="swatch {look}"></span>{escape(name)}</span>'
