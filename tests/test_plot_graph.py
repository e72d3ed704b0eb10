"""The picture of a graph: every op, every leaf, its name and whether it is frozen."""

from pathlib import Path

import pytest

import minift as mf


def texts_of(figure: object) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def test_graph_shows_ops_shapes_names_and_what_is_frozen(tmp_path: Path) -> None:
    model = mf.nn.Sequential(mf.nn.Linear(3, 4), mf.nn.Tanh(), mf.nn.Linear(4, 2))
    model.freeze("2.bias")
    loss = mf.functional.cross_entropy(model(mf.ones(5, 3)), [0, 1, 0, 1, 1])
    figure = mf.plot.graph(loss, tmp_path / "graph.png", model.named_parameters())
    assert sorted(texts_of(figure)) == sorted(
        [
            "linear\n(5, 4)", "tanh\n(5, 4)", "linear\n(5, 2)", "row_cross_entropy\n(5,)",
            "mean\n()", "0.weight\n(4, 3)", "0.bias\n(4,)", "2.weight\n(2, 4)", "2.bias\n(2,)",
            "frozen\n(5, 3)",
        ]
    )  # fmt: skip
    dashed = [
        text.get_text()
        for text in figure.axes[0].texts
        if text.get_bbox_patch() and text.get_bbox_patch().get_linestyle() in ("--", "dashed")
    ]
    assert sorted(dashed) == ["2.bias\n(2,)", "frozen\n(5, 3)"]
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    loss.backward()  # the picture leaves the graph as it was


def test_graph_refuses_what_it_cannot_draw() -> None:
    x = mf.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="nothing was recorded for this tensor"):
        mf.plot.graph(x)
    y = x
    for _ in range(200):
        y = y * 1.0
    with pytest.raises(ValueError, match="200 ops and 1 leaves are too many to read"):
        mf.plot.graph(y)
    y.sum().backward()
    with pytest.raises(ValueError, match="was freed by an earlier backward"):
        mf.plot.graph(y)
