"""Fine-tuning: which weights of a pre-trained model move, at what rate, and when.

A strategy is data: parameter groups for the optimizer, callbacks for the trainer. Read
`layers.py` (what is deep in a model), then `strategies.py`, then what goes
with them: `low_rank.py`, `l2_sp.py`, `features.py`, and
`forgetting.py`, which measures what they cost.
"""

from minift.finetune.features import Head, extract_features
from minift.finetune.forgetting import SourceTask
from minift.finetune.l2_sp import L2SP, l2_sp
from minift.finetune.layers import layers_of, layerwise_lr
from minift.finetune.low_rank import LoRA
from minift.finetune.proof import FrozenProof
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
    "L2SP",
    "FrozenProof",
    "GradualUnfreezing",
    "Head",
    "LoRA",
    "SourceTask",
    "Strategy",
    "discriminative",
    "extract_features",
    "full",
    "gradual_unfreezing",
    "head_only",
    "l2_sp",
    "layers_of",
    "layerwise_lr",
    "lora",
]
