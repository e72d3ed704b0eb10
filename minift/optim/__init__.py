"""Optimizers, gradient clipping and learning-rate schedules. Read `optimizers.py` first."""

from minift.optim import schedules
from minift.optim.clipping import clip_grad_norm_
from minift.optim.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_grad_norm_", "schedules"]
