"""Objectives: (model, batch) -> (scalar loss, dict of floats). The trainer knows nothing else."""

from minift.objectives.classification import Classification
from minift.objectives.language import MaskedLM

__all__ = ["Classification", "MaskedLM"]
