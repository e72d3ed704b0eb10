"""Optimizers, gradient clipping and learning-rate schedules. Read `rules.py` first."""

from minift.optim import schedules
from minift.optim.clipping import clip_grad_norm_
from minift.optim.optimizer import Optimizer
from minift.optim.rules import SGD, Adam, AdamW, RMSprop

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_grad_norm_", "schedules"]
