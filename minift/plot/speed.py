"""The picture of a `minift bench`: speed and memory of each workload, beside PyTorch's.

Not here: any number of it (`minift/bench/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minift.plot.training import BLUE, GREY, RED, save


def speed(found: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """Bars to the right are minift ahead; without PyTorch, seconds and MiB of minift alone."""
    from matplotlib.figure import Figure

    rows = list(found.values())[::-1]  # the first workload on top
    titles = [row["title"] for row in rows]
    figure = Figure(figsize=(10, 1.6 + 0.42 * len(rows)), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    if all("PyTorch" in row for row in rows):
        draw_beside(left, right, titles, rows)
    else:
        left.barh(titles, [1e3 * row["minift"]["seconds"] for row in rows], color=BLUE)
        left.set(xscale="log", xlabel="ms (of a step, pass, token or op)", title="Time")
        right.barh(titles, [row["minift"]["peak_mib"] for row in rows], color=BLUE)
        right.set(xlabel="MiB at the peak", title="Memory")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.25)
        axes.set_axisbelow(True)
    save(figure, file)


def draw_beside(left: Any, right: Any, titles: list[str], rows: list[Mapping[str, Any]]) -> None:
    """Ratios to PyTorch on a logarithmic axis; the whisker is from the worst round to the best."""
    middle = [1 / row["time_ratio"] for row in rows]
    ends = [[1 / end for end in row["time_ratio_range"]] for row in rows]
    whiskers = [
        [max(m - low, 0) for m, (_, low) in zip(middle, ends)],
        [max(high - m, 0) for m, (high, _) in zip(middle, ends)],
    ]
    saved = [1 / row["memory_ratio"] for row in rows]
    for axes, values, errors, title in (
        (left, middle, whiskers, "Speed: times as fast as PyTorch"),
        (right, saved, None, "Memory: times less than PyTorch"),
    ):
        colors = [BLUE if value >= 1 else RED for value in values]
        lengths = [value - 1 for value in values]
        axes.barh(titles, lengths, left=1, color=colors, xerr=errors, ecolor=GREY, capsize=3)
        for place, value in enumerate(values):
            axes.annotate(f" {value:.2f} ", (value, place), va="bottom", fontsize=8,
                          ha="left" if value >= 1 else "right")  # fmt: skip
        axes.axvline(1, color=GREY, linewidth=1)
        axes.set(xscale="log", title=title)
        reach = max([2.0, *(1.3 * max(v, 1 / v) for v in values)])
        axes.set_xlim(1 / reach if min(values) < 1 else 0.9, reach)
        ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10) if tick <= reach and (
            tick >= 1 or (min(values) < 1 and tick >= 1 / reach))]  # fmt: skip
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
