"""Tables of one round's allocation: one scheme client by client, or a comparison of schemes."""

from collections.abc import Mapping
from math import isfinite

from optimizers import Repair, measures
from studies.report.terminal import print_table, print_text
from studies.views.allocation.schemes import Scheme
from wirelessfl.units import linear_to_db

UNMET = {"infeasible", "left out"}  # statuses of clients whose demand no plan of the method meets


def print_allocation(scheme: Scheme) -> None:
    """Print one round's allocation by client, prices, the certificate and any infeasibility."""
    allocation = scheme.planned.allocation
    headings, rows = client_table(scheme)
    title = f"allocation for a deadline of {1e3 * scheme.experiment.scenario.deadline_s:g} ms"
    print_table(headings, rows, title=title, left=("status",))
    print_text(f"mean pruning ratio {allocation.pruning_ratio.mean():.4f}")
    optimal = getattr(scheme.experiment.allocator, "optimal", False)
    unit = "clients' models" if optimal else "of the method's own objective"
    price = float(allocation.bandwidth_price)
    bandwidth_hz = scheme.experiment.scenario.bandwidth_hz
    print_text(
        f"prices: {price:.4g} {unit} per band, {1e6 * price / bandwidth_hz:.4g} per MHz, "
        f"{float(allocation.deadline_price) / 1e3:.4g} per millisecond of deadline"
    )
    certificate = scheme.certificate
    against = (
        ""
        if optimal or hasattr(scheme.experiment.allocator, "certificate")
        else " against the least weighted sum of ratios, which this method does not seek"
    )
    print_text(
        f"certificate{against}: primal residual {float(certificate.primal_residual):.1e}, "
        f"stationarity {float(certificate.stationarity):.1e}, "
        f"complementarity {float(certificate.complementarity):.1e}, "
        f"dual residual {float(certificate.dual_residual):.1e}, "
        f"duality gap {float(certificate.duality_gap):.1e}"
    )
    if allocation.reason:
        print_text(f"{_heading(scheme)}: {allocation.reason}")
    if scheme.repair is not None:
        print_text(repairs_text(scheme, scheme.repair))


def _heading(scheme: Scheme) -> str:
    """Heading of the reasons: `late` where no client is worse than that."""
    return "infeasible" if set(scheme.planned.allocation.status) & UNMET else "late"


def print_schemes(schemes: Mapping[str, Scheme]) -> None:
    """Print one row per scheme: pruning, latency, and late, starved and infeasible clients."""
    deadline_s = next(iter(schemes.values())).experiment.scenario.deadline_s
    headings, rows = scheme_table(schemes)
    print_table(headings, rows, title=f"one round, deadline {1e3 * deadline_s:g} ms")


def scheme_table(schemes: Mapping[str, Scheme]) -> tuple[list[str], list[list[str]]]:
    """Headings, and one row per scheme, as printed for a comparison."""
    counts = ("late", "starved", "infeasible", "left_out")
    rows = []
    for name, scheme in schemes.items():
        allocation = scheme.planned.allocation
        counted = measures(allocation)
        cells = [
            name,
            f"{100 * allocation.pruning_ratio.mean():.2f}",
            f"{100 * allocation.pruning_ratio.max():.2f}",
            f"{1e3 * allocation.latency_s.max():.3f}",
        ]
        rows.append(cells + [f"{counted[name]:g}" for name in counts])
    named = (name.replace("_", " ") for name in counts)
    return ["scheme", "pruned %", "most %", "latency ms", *named], rows


def client_table(scheme: Scheme) -> tuple[list[str], list[list[str]]]:
    """Headings, and one row per client: allocation, gain from 1 dB of power or 1 % of CPU clock."""
    allocation = scheme.planned.allocation
    worth = scheme.sensitivities
    per_db = None if worth is None else worth.gain_db
    columns = ["client", "gain dB", "band %", "pruned %", "latency ms", "status"]
    columns += [] if worth is None or per_db is None else ["+1 dB", "+1 % CPU"]
    columns += [] if allocation.cpu_hz is None else ["CPU GHz"]
    rows = []
    gain_db = linear_to_db(scheme.planned.channel.gain[scheme.clients])
    latency_ms = 1e3 * allocation.latency_s
    is_late = scheme.late
    for client, status in enumerate(allocation.status):
        late = " late" if is_late[client] and status != "late" else ""
        cells = [
            f"{gain_db[client]:.1f}",
            f"{100 * allocation.bandwidth_fraction[client]:.2f}",
            f"{100 * allocation.pruning_ratio[client]:.2f}",
            f"{latency_ms[client]:.3f}{late}",
            str(status),
        ]
        if worth is not None and per_db is not None:
            cells += [f"{100 * per_db[client]:+.2f} %", f"{worth.log_cpu_hz[client]:+.2f} %"]
        if allocation.cpu_hz is not None:
            cells.append(f"{1e-9 * allocation.cpu_hz[client]:.3f}")
        rows.append([str(scheme.clients[client]), *cells])
    return columns, rows


def repairs_text(scheme: Scheme, found: Repair) -> str:
    """The smallest conflict and the three repairs, each of which suffices alone."""
    scenario = scheme.experiment.scenario
    deadline_ms = 1e3 * (scenario.deadline_s + float(found.shortfall_s))
    wider_mhz = 1e-6 * scenario.bandwidth_hz * (1.0 + float(found.shortfall_fraction))
    cap = float(found.max_pruning_ratio)
    repairs = [
        f"a deadline of {deadline_ms:.6g} ms" if isfinite(deadline_ms) else "no deadline",
        f"a band of {wider_mhz:.6g} MHz" if isfinite(wider_mhz) else "no band",
        f"a cap of {cap:.6g}" if isfinite(cap) else "no cap",
    ]
    clients = scheme.clients[found.conflict]
    names = ", ".join(str(client) for client in clients)
    conflict = (
        f"client {names} cannot be served"
        if clients.size == 1
        else f"clients {names} cannot be served together"
    )
    return f"smallest conflict: {conflict}; repaired by {', '.join(repairs)}"
