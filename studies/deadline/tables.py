"""The best deadline on the terminal."""

from studies.deadline.best import BestDeadline, Fitted
from studies.deadline.halving import Trained, ranked
from studies.report.results import Sample
from studies.report.terminal import print_table, print_text

FORMULAS = {"power": "G1 / x^{shape:.3g}", "bound": "G1 / (1 - {shape:.3g} (1 - x))"}


def print_best(found: BestDeadline) -> None:
    """Print a row per trained deadline, both laws, and the best deadlines of both roads.

    Args:
        found: The result.
    """
    models = found.models
    best = found.best
    at = {one.deadline_s: one for one in found.trained}
    rows = [row for row in found.rows() if row["deadline_s"] in at]
    cells = [
        [
            f"{1e3 * row['deadline_s']:.4g}",
            f"{100 * row['kept_model']:.1f}",
            f"{1e3 * row['round_s']:.4g}",
            *(_seconds(row[f"{name}_s"]) for name in models),
            *_cells(at[row["deadline_s"]], found),
        ]
        for row in rows
    ]
    timed = [] if found.target is None else ["time to s"]
    print_table(
        [
            "deadline ms",
            "kept %",
            "round ms",
            *(f"{name} s" for name in models),
            "trained s",
            "accuracy %",
            *timed,
        ],
        cells,
        title=f"{len(rows)} deadlines with {len(best.accuracy.values)} seeds",
        bold=[index for index, row in enumerate(rows) if row["deadline_s"] == best.deadline_s],
    )
    print_text(
        f"model: {', '.join(f'{name} s' for name in models)} are seconds to accuracy "
        f"{found.level:.3g}, rounds needed times round length"
    )
    for name, one in models.items():
        print_text(_model(name, one))
    print_text(_training(found))


def _cells(one: Trained, found: BestDeadline) -> list[str]:
    accuracy = str(Sample(tuple(100.0 * value for value in one.accuracy.values)))
    cells = [f"{one.seconds:.4g}", accuracy]
    if found.target is None:
        return cells
    missing = f"{one.reached} of {len(one.seconds_to)} seeds"
    return [*cells, missing if one.time is None else str(one.time)]


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.4g}"


def _model(name: str, one: Fitted) -> str:
    formula = FORMULAS[name].format(shape=one.law.shape)
    over = one.best_of_seeds_s
    return (
        f"{name}: rounds G(x) = {formula} of the kept model x, G1 = {one.law.whole:.3g}; best "
        f"deadline {1e3 * one.best_s:.4g} ms, by seed {over.scaled(1e3)} ms"
    )


def _training(found: BestDeadline) -> str:
    best = found.best
    others = [one for one in ranked(found.trained)[1:] if one.rung == best.rung]
    against = f", against {1e3 * others[0].deadline_s:.4g} ms" if others else ""
    if found.target is None:
        result = f"accuracy {best.accuracy} after {best.seconds:.4g} s"
    elif best.time is None:
        result = f"{best.reached} of {len(best.seconds_to)} seeds reach {found.target:g}"
    else:
        result = f"{best.time} s to accuracy {found.target:g}"
    return f"training: best deadline {1e3 * best.deadline_s:.4g} ms{against}: {result}"
