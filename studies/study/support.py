"""Support of algorithms, models and data sets for each other, as they accept or refuse it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wirelessfl import plugins
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import InputError

CLIENTS = 2
# Changes of section training with which a combination is tried, in this order.
CHOICES: tuple[Mapping[str, Any], ...] = (
    {},
    {"personal": "features"},
    {"personal": "none"},
    {"weight_init": "unit-uniform"},
)


@dataclass(frozen=True)
class Support:
    """Answer for one combination.

    Attributes:
        settings: Fields of section training that it needs besides the names; None where it is
            refused with all of them.
        reason: Message of the refusal; empty where it is supported.
    """

    settings: Mapping[str, Any] | None
    reason: str = ""


def fits(model: str, dataset: str) -> Support:
    """Test if a model can be made for a data set, and by which partition it can be divided.

    Args:
        model: Name of the model's plug-in.
        dataset: Name of the data set's plug-in.

    Returns:
        The partition where the default one is refused, or the reason of the refusal.
    """
    kind: Any = plugins.load("models", model)
    numbers = plugins.load("datasets", dataset).card.classes == 1
    if (getattr(kind, "loss", "cross-entropy") == "cross-entropy") == numbers:
        return Support(None, f"predicts {'classes' if numbers else 'numbers'}")
    names = {"model": model, "dataset": dataset}
    partition = {"partition": "iid"} if numbers else {}
    return _tried({**names, "algorithm": "fedavg", **partition}, partition)


def supports(algorithm: str, model: str, dataset: str) -> Support:
    """Test if an algorithm trains a model that fits a data set.

    Args:
        algorithm: Name of the algorithm's plug-in.
        model: Name of the model's plug-in.
        dataset: Name of a data set for which `fits` is supported.

    Returns:
        The fields that it needs, or the reason of the refusal.
    """
    partition = fits(model, dataset).settings or {}
    names = {"algorithm": algorithm, "model": model, "dataset": dataset, **partition}
    found = Support(None)
    for choice in CHOICES:
        tried = _tried({**names, **choice}, {**partition, **choice})
        if tried.settings is not None:
            return tried
        found = found if found.reason else tried
    return found


def _tried(training: Mapping[str, Any], settings: Mapping[str, Any]) -> Support:
    """Support as found by the demand of a first round, for which the model is made."""
    try:
        from_tables({"training": dict(training)}).algorithm.demand(CLIENTS)
    except InputError as error:
        return Support(None, str(error))
    return Support(settings)


def fitting() -> dict[str, dict[str, Support]]:
    """The data sets that fit each model.

    Returns:
        Model -> data set -> partition that it needs.
    """
    found: dict[str, dict[str, Support]] = {}
    for model in plugins.names("models"):
        answers = {dataset: fits(model, dataset) for dataset in plugins.names("datasets")}
        found[model] = {
            name: answer for name, answer in answers.items() if answer.settings is not None
        }
    return found


def support_page() -> Iterator[str]:
    """Parts of the page in Markdown."""
    yield (
        "Combinations that train, found by trying each: a plug-in is asked for the demand of a "
        "first round, and a test trains every combination of this page for a round. `-`: refused, "
        "in one line that names the field. Models follow the channels and classes of a data set; "
        "`training.image_size` and `training.image_channels` frame smaller images, so that models "
        "for 28x28 or 32x32 pixels take them."
    )
    pairs = fitting()
    yield "## Models and data sets"
    datasets = plugins.names("datasets")
    rows = [
        [f"`{model}`", *(_mark(found.get(dataset, Support(None))) for dataset in datasets)]
        for model, found in pairs.items()
    ]
    yield _table(["model", *(f"`{dataset}`" for dataset in datasets)], rows)
    yield "## Algorithms and models"
    yield (
        "On every data set that fits the model. A word stands for the field that a combination "
        "needs: `personal` is `training.personal`, the parts of the model that stay with the "
        "clients (`features` for example; `none` where there is only one layer); `weight_init` is "
        "`training.weight_init = unit-uniform`, for masks of weights that would begin at 0."
    )
    models = [model for model, found in pairs.items() if found]
    rows = []
    for algorithm in plugins.names("algorithms"):
        answers = [supports(algorithm, model, next(iter(pairs[model]))) for model in models]
        rows.append([f"`{algorithm}`", *(_mark(answer) for answer in answers)])
    yield _table(["algorithm", *(f"`{model}`" for model in models)], rows)


def _mark(answer: Support) -> str:
    """Word of a combination: yes, its fields, or a dash."""
    if answer.settings is None:
        return "-"
    fields = [field for field in answer.settings if field != "partition"]
    partition = answer.settings.get("partition")
    return ", ".join(fields) or ("yes" if partition is None else f"yes, {partition}")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
