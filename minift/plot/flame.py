"""The picture of a profile: each layer stands on the one that calls it, as wide as its time.

After Gregg's flame graphs (2016), upside down: the phases are on top, the ops at the bottom.
Not here: any number of it (`minift/profiling/`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minift.plot.training import save

COLORS = {  # Okabe & Ito's, a phase each; what lies deeper is paler
    "forward": "#0072B2", "backward": "#D55E00", "optimizer": "#009E73", "inference": "#CC79A7",
}  # fmt: skip
NARROW, CHARACTER = 0.002, 0.0062  # of the whole width: not drawn; taken by a letter


class Block:
    """A place: its own seconds, and the blocks inside it."""

    def __init__(self) -> None:
        self.own = 0.0
        self.inside: dict[str, Block] = {}

    @property
    def seconds(self) -> float:
        return self.own + sum(block.seconds for block in self.inside.values())

    @property
    def depth(self) -> int:
        return 1 + max((block.depth for block in self.inside.values()), default=0)


def flame(report: Any, file: Path) -> None:
    """Draw the places of a `minift.profiling.Report`."""
    from matplotlib.figure import Figure

    whole = blocks_of(report)
    figure = Figure(figsize=(13, 1.3 + 0.34 * whole.depth), dpi=130, layout="constrained")
    axes = figure.subplots()
    left = 0.0
    for phase, block in whole.inside.items():
        draw(axes, block, phase, left, 0, whole.seconds or 1.0, COLORS[phase])
        left += block.seconds / (whole.seconds or 1.0)
    axes.set(xlim=(0, 1), ylim=(whole.depth - 1, 0), yticks=[])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    title = f"Where {whole.seconds:.2f} s went: phase, layers, ops()"
    axes.set_title(f"{title}; {report.rest:.2f} s outside of them are not shown", fontsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)
    save(figure, file)


def blocks_of(report: Any) -> Block:
    """The places of a report as a tree; a phase that took no time is left out."""
    whole = Block()
    whole.inside = {phase: Block() for phase, seconds in report.phases().items() if seconds > 0}
    for path, cost in report.costs.items():
        block = whole
        for part in path:
            block = block.inside.setdefault(part, Block())
        block.own += cost.seconds
    return whole


def draw(
    axes: Any, block: Block, name: str, left: float, depth: int, total: float, color: str
) -> None:
    """One block, and those inside it below, in the order in which they first ran."""
    width = block.seconds / total
    if width < NARROW:
        return
    alpha = max(0.35, 0.95 - 0.1 * depth)
    axes.barh(depth + 0.5, width, 0.96, left, color=color, alpha=alpha, edgecolor="white",
              linewidth=0.5)  # fmt: skip
    room = int(width / CHARACTER)
    label = name if len(name) <= room else f"{name[: room - 1]}…"
    if room >= 3:
        axes.text(left + width / 2, depth + 0.5, label.replace("$", r"\$"), ha="center",
                  va="center", fontsize=7.5, color="white" if alpha > 0.7 else "black")  # fmt: skip
    for inner, each in block.inside.items():
        draw(axes, each, inner, left, depth + 1, total, color)
        left += each.seconds / total
