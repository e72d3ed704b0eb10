"""The picture of a search: it is drawn for each kind, and its labels can be read."""

from itertools import pairwise

import pytest
from search_cases import fails_for_some, valley

import minift as mf
from minift.plot import trials
from minift.plot.training import new_figure
from minift.search import (
    choice,
    grid_search,
    integer,
    log_uniform,
    random_search,
    successive_halving,
)

SPACE = {"lr": log_uniform(1e-5, 1e-1), "layers": integer(1, 5), "kind": choice("a", "b")}


@pytest.mark.parametrize("method", ["random", "halving", "constant"])
def test_the_picture_is_drawn_for_whatever_was_searched(tmp_path, method):
    file = tmp_path / "search.png"
    if method == "halving":
        found = successive_halving(valley, SPACE, trials=9, smallest=1, largest=9)
    elif method == "random":
        found = random_search(fails_for_some, {"x": integer(1, 5), "$": 3}, trials=9)
    else:
        found = grid_search(valley, {"lr": 1e-3, "layers": 3})
    mf.plot.search(found, file, "accuracy")
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("lowest", "highest"),
    [
        (1e-5, 2e-5),
        (2.1e-5, 4.9e-5),
        (4e-5, 1e-4),
        (2e-5, 9e-5),
        (2e-5, 3e-4),
        (3e-5, 9e-4),
        (1e-5, 1e-3),
        (1e-5, 1e-1),
    ],
)
def test_labels_of_a_logarithmic_axis_stand_side_by_side(lowest, highest):
    found = random_search(valley, {**SPACE, "lr": log_uniform(lowest, highest)}, trials=16)
    figure = new_figure(3.8, 3.6)
    axes = figure.subplots()
    trials.draw(axes, "lr", found)
    figure.draw_without_rendering()
    low, high = axes.get_xlim()
    labels = [*axes.get_xticklabels(), *axes.get_xticklabels(minor=True)]
    places = [*axes.get_xticks(), *axes.get_xticks(minor=True)]
    boxes = [
        label.get_window_extent()
        for place, label in sorted(zip(places, labels), key=lambda pair: pair[0])
        if label.get_text() and low <= place <= high
    ]
    assert boxes
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
