"""Figures of the project: whole numbers on axes of rounds and clients."""

import numpy as np
import pytest

import wirelessfl as wfl
from studies.report.curves import draw_curves
from studies.report.output import new_figure, render
from studies.report.shown_figure import WHOLE


def ticks(axes):
    low, high = axes.get_xlim()
    return [tick for tick in axes.get_xticks() if low <= tick <= high]


@pytest.mark.parametrize("label", WHOLE)
def test_axes_of_whole_numbers_have_whole_ticks(label):
    figure = new_figure(6.0, 3.0)
    whole, other = figure.subplots(1, 2)
    for axes, name in ((whole, label), (other, "time (s)")):
        axes.plot([1, 2, 3], [1.0, 2.0, 3.0])
        axes.set_xlabel(name)
    render(figure, format="svg")
    assert all(tick == int(tick) for tick in ticks(whole))
    assert any(tick != int(tick) for tick in ticks(other))


def test_logarithmic_axes_keep_their_ticks():
    figure = new_figure(3.0, 3.0)
    axes = figure.subplots()
    axes.plot([1, 10, 100], [1, 2, 3])
    axes.set(xscale="log", xlabel="clients")
    render(figure, format="svg")
    assert set(ticks(axes)) == {1, 10, 100}


def test_the_curves_of_few_rounds_have_whole_ticks():
    run = wfl.run({"run": {"train": False}}, rounds=3)
    figure = new_figure(6.0, 3.0)
    axes = figure.subplots()
    draw_curves(axes, {"one": [run]}, "mean_ratio", "")
    render(figure, format="svg")
    assert np.array_equal(ticks(axes), [1, 2, 3])
