"""The picture of a search: the score against each setting, side by side.

Not here: the search (`minift/search/`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minift.plot.training import BLUE, GREY, RED, new_figure, save, shortened
from minift.search.methods import SearchResult
from minift.search.spaces import Choice, LogUniform, Range

MOST = 8  # settings that are shown


def search(result: SearchResult, file: Path, score: str = "score") -> None:
    """A panel for each setting that varies: a point a trial, the best one ringed, and of a choice
    the mean of each value. Budgets are told by the shade: the darker, the larger."""
    varied = {name: one for name, one in result.space.items() if is_varied(one)}
    names = list(varied)[:MOST] or list(result.space)[:1]
    figure = new_figure(1.2 + 2.6 * len(names), 3.6)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names):
        draw(axes, name, result)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(score)
    panels[0].legend(frameon=False, fontsize=8)
    failed = sum(trial.score is None for trial in result.trials)
    lost = f", {failed} failed" if failed else ""
    figure.suptitle(f"{len(result.trials)} trials{lost}", fontsize=11)
    save(figure, file)


def draw(axes: Any, name: str, result: SearchResult) -> None:
    """One panel."""
    one = result.space[name]
    scored = [trial for trial in result.trials if trial.score is not None]
    budgets = sorted({trial.budget or 0 for trial in scored})
    scores = np.array([trial.score for trial in scored], float)
    places = np.array([place(trial.settings[name], one) for trial in scored], float)
    shades = [0.25 + 0.65 * (1 + budgets.index(t.budget or 0)) / len(budgets) for t in scored]
    axes.scatter(places, scores, color=BLUE, alpha=shades, edgecolors="none", label="trial")
    best = result.best
    axes.plot(place(best.settings[name], one), best.score, "o", markersize=12, fillstyle="none",
              color=RED, label="best")  # fmt: skip
    if isinstance(one, Choice):
        last = np.array([(trial.budget or 0) == budgets[-1] for trial in scored])
        for i in sorted(set(places[last])):
            mean = scores[last & (places == i)].mean()
            axes.plot([i - 0.25, i + 0.25], [mean, mean], color=GREY, linewidth=2)
        axes.set_xticks(range(len(one.values)), [shortened(str(v)) for v in one.values])
        axes.set_xlim(-0.6, len(one.values) - 0.4)
    elif isinstance(one, LogUniform):
        label_by_magnitude(axes, places.max() / places.min())
    axes.set_xlabel(shortened(name))


def label_by_magnitude(axes: Any, width: float) -> None:
    """A logarithmic axis with some labels, of which matplotlib's would be written over each other.

    `width`: the largest number divided by the smallest.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    labels = (1,) if width > 20 else (1, 2, 5) if width > 2.5 else (1, 1.5, 2, 3, 4, 6, 8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=labels))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def is_varied(one: Range) -> bool:
    """Whether a setting can be two things."""
    return not isinstance(one, Choice) or len(one.values) > 1


def place(value: Any, one: Range) -> float:
    """Where a value stands on its axis."""
    return one.values.index(value) if isinstance(one, Choice) else float(value)
