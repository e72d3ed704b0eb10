"""Pictures. matplotlib is imported on use and never asked for a display."""

from minift.plot.comparison import STRATEGY_NAMES, report
from minift.plot.computation_graph import graph

__all__ = ["STRATEGY_NAMES", "graph", "report"]
