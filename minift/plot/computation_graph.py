"""A picture of what a tensor was computed from: ops, shapes, and which leaves are frozen.

Not here: the walk for gradients (`minift/autograd.py`), of which this draws the map.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from minift.autograd import nodes_before
from minift.tape import Node
from minift.tensor import Tensor

LIMIT = 150  # boxes; more cannot be read on one picture


class Look(NamedTuple):
    """How one kind of box is drawn."""

    face: str
    edge: str
    line: str


# Okabe & Ito's colours, which colour-blind readers tell apart; the outlines differ as well
LOOKS = {
    "op": Look("#ffffff", "#000000", "solid"),
    "trainable": Look("#cfe8fa", "#0072B2", "solid"),
    "frozen": Look("#eeeeee", "#777777", "dashed"),
}


def graph(
    output: Tensor, file: str | Path | None = None, names: Iterable[tuple[str, Tensor]] = ()
) -> Any:
    """Draw the graph behind `output`, from its leaves at the top down to it; returns the Figure.

    `names`: (name, tensor) pairs to label leaves with, such as `model.named_parameters()`. With
    `file` the picture is also saved there (PNG, SVG or PDF by its ending).

    Raises ValueError for a tensor with no graph (never recorded, or freed by a backward) and for
    a graph of more than 150 boxes.
    """
    from matplotlib.figure import Figure

    if output._node is None:
        raise ValueError("plot.graph: nothing was recorded for this tensor: it is a leaf")
    nodes = nodes_before([output])
    leaves = {id(x): x for node in nodes for x in node.inputs or () if isinstance(x, Tensor)}
    if len(nodes) + len(leaves) > LIMIT:
        raise ValueError(
            f"plot.graph: {len(nodes)} ops and {len(leaves)} leaves are too many to read; "
            f"draw a part with at most {LIMIT} boxes, such as one layer"
        )
    levels = _levels(nodes, leaves)
    places = _places(nodes, leaves, levels)
    width = max(6.0, 1.7 * max(list(levels.values()).count(n) for n in set(levels.values())))
    figure = Figure(figsize=(width, 1.0 + 0.85 * max(levels.values())), layout="constrained")
    axes = figure.subplots()
    labels = {id(tensor): name for name, tensor in names}
    boxes = {}
    for node in nodes:
        boxes[id(node)] = _draw_box(axes, places[id(node)], "op", f"{node.op.name}\n{node.shape}")
    for leaf in leaves.values():
        kind = "trainable" if leaf.requires_grad else "frozen"
        text = f"{labels.get(id(leaf), kind)}\n{leaf.shape}"
        boxes[id(leaf)] = _draw_box(axes, places[id(leaf)], kind, text)
    for node in nodes:
        for source in node.inputs or ():
            if id(source) in boxes:
                _draw_arrow(axes, boxes[id(source)], boxes[id(node)])
    _finish(axes, places)
    if file is not None:
        figure.savefig(file, dpi=130)
    return figure


def _levels(nodes: list[Node], leaves: dict[int, Tensor]) -> dict[int, int]:
    """Row of each box: one below its lowest input; a leaf stands just above its first user."""
    levels: dict[int, int] = {}
    for node in nodes:  # oldest first
        above = [levels[id(x)] for x in node.inputs or () if isinstance(x, Node)]
        levels[id(node)] = 1 + max(above, default=0)
    for node in nodes:
        for x in node.inputs or ():
            if id(x) in leaves:
                highest = levels[id(node)] - 1
                levels[id(x)] = min(levels.get(id(x), highest), highest)
    return levels


def _places(
    nodes: list[Node], leaves: dict[int, Tensor], levels: dict[int, int]
) -> dict[int, tuple[float, float]]:
    """(x, y) of each box: in each row, boxes follow the boxes that they feed, from the bottom."""
    users: dict[int, list[int]] = {}
    for node in nodes:
        for x in node.inputs or ():
            users.setdefault(id(x), []).append(id(node))
    places: dict[int, tuple[float, float]] = {}
    for level in range(max(levels.values()), -1, -1):
        row = [key for key in levels if levels[key] == level]

        def wish(key: int) -> float:
            below = [places[user][0] for user in users.get(key, ())]
            return sum(below) / len(below) if below else 0.0

        row.sort(key=wish)
        for i, key in enumerate(row):
            places[key] = (i - (len(row) - 1) / 2, -float(level))
    return places


def _draw_box(axes: Any, place: tuple[float, float], kind: str, text: str) -> Any:
    look = LOOKS[kind]
    box = {"boxstyle": "round,pad=0.35", "fc": look.face, "ec": look.edge, "ls": look.line}
    return axes.text(*place, text, ha="center", va="center", fontsize=8, bbox=box)


def _draw_arrow(axes: Any, source: Any, user: Any) -> None:
    """From box to box, ending at their outlines."""
    style = {"arrowstyle": "-|>", "color": "#555555", "lw": 0.9}
    outlines = {"patchA": source.get_bbox_patch(), "patchB": user.get_bbox_patch()}
    ends = {"xy": user.get_position(), "xytext": source.get_position()}
    axes.annotate("", **ends, arrowprops={**style, **outlines, "shrinkA": 1, "shrinkB": 1})


def _finish(axes: Any, places: dict[int, tuple[float, float]]) -> None:
    xs, ys = zip(*places.values(), strict=True)
    axes.set_xlim(min(xs) - 0.6, max(xs) + 0.6)
    axes.set_ylim(min(ys) - 0.5, max(ys) + 0.5)
    axes.axis("off")
    axes.set_title("blue: trainable leaf · dashed: frozen leaf or constant · white: op", fontsize=8)
