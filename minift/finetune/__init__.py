"""Fine-tuning: which weights of a pre-trained model move, at what rate, and when.

A strategy is data: parameter groups for the optimizer, callbacks for the trainer. Read
`layers.py` (what is deep in a model), then `strategies.py`, `low_rank.py` and `features.py`.
"""

from minift.finetune.features import Head, extract_features
from minift.finetune.layers import layers_of, layerwise_lr
from minift.finetune.low_rank import LoRA
from minift.finetune.strategies import (
    GradualUnfreezing,
    Strategy,
    discriminative,
    full,
    gradual_unfreezing,
    head_only,
    lora,
)

__all__ = [
    "GradualUnfreezing",
    "Head",
    "LoRA",
    "Strategy",
    "discriminative",
    "extract_features",
    "full",
    "gradual_unfreezing",
    "head_only",
    "layers_of",
    "layerwise_lr",
    "lora",
]
