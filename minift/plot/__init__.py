"""Pictures. matplotlib is imported on use and never asked for a display."""

from minift.plot.comparison import STRATEGY_NAMES, report
from minift.plot.computation_graph import graph
from minift.plot.images import image_grid
from minift.plot.training import confusion, learning_curves, precision_recall, predictions

__all__ = [
    "STRATEGY_NAMES",
    "confusion",
    "graph",
    "image_grid",
    "learning_curves",
    "precision_recall",
    "predictions",
    "report",
]
