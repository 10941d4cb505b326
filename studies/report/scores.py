"""The name of an evaluation's score, wherever it is shown."""

from typing import Any

from wirelessfl import plugins


def score_name(training: dict[str, Any]) -> str:
    """The name of an evaluation's score: "accuracy", or "R²" for a regression.

    Args:
        training: The fields of section training.

    Returns:
        The name.
    """
    name = training.get("dataset")
    card = getattr(plugins.load("datasets", name), "card", None) if name else None
    return "R²" if getattr(card, "classes", None) == 1 else "accuracy"


def score_label(training: dict[str, Any]) -> str:
    """The score and what it is a mean over: clients, each of which counts as much, or test samples.

    Args:
        training: The fields of section training.

    Returns:
        Name and mean, as "accuracy, mean over clients".
    """
    over = "test samples" if training.get("score_mean") == "samples" else "clients"
    return f"{score_name(training)}, mean over {over}"
