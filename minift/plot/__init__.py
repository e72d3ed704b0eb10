"""Pictures. matplotlib is imported on use and never asked for a display."""

from minift.plot.comparison import STRATEGY_NAMES, report
from minift.plot.computation_graph import graph
from minift.plot.images import image_grid
from minift.plot.pretraining import plane, pretraining_curves, similarity
from minift.plot.training import (
    confusion,
    learning_curves,
    learning_rates,
    precision_recall,
    predictions,
    reliability,
)
from minift.plot.trials import search

__all__ = [
    "STRATEGY_NAMES",
    "confusion",
    "graph",
    "image_grid",
    "learning_curves",
    "learning_rates",
    "plane",
    "precision_recall",
    "predictions",
    "pretraining_curves",
    "reliability",
    "report",
    "search",
    "similarity",
]
