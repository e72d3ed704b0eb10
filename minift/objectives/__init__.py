"""Objectives: (model, batch) -> (scalar loss, dict of floats). The trainer knows nothing else."""

from minift.objectives.classification import Classification
from minift.objectives.language import MaskedLM
from minift.objectives.multilabel import MultiLabel
from minift.objectives.regression import Regression

__all__ = ["Classification", "MaskedLM", "MultiLabel", "Regression"]
