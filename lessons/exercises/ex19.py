"""Exercise 19: a LoRA layer that does not learn, and a file that lacks something.

`BrokenLoRA` and `broken_file` have four mistakes between them. Write `LoRALayer` and `adapter_file`
without them. Check with: minift learn check 19
"""

import numpy as np


class BrokenLoRA:
    """Runs; but it never learns, and would not be the same after merging."""

    def __init__(self, weight, bias, r, alpha, rng):
        self.weight, self.bias, self.scale = weight, bias, r / alpha
        self.A = np.zeros((r, weight.shape[1]))
        self.B = np.zeros((weight.shape[0], r))

    def forward(self, x):
        return x @ self.weight.T + (x @ self.A.T) @ self.B.T * self.scale + self.bias

    def merged(self):
        return self.weight + self.B @ self.A


def broken_file(layer, head):
    return {"lora_A": layer.A, "lora_B": layer.B}


class LoRALayer:
    """y = x Wᵀ + (alpha / r) (x Aᵀ) Bᵀ + b, of which A and B are trained."""

    def __init__(self, weight, bias, r, alpha, rng):
        """`weight` W (out, in) and `bias` b (out,) are frozen: never change them.

        Makes `self.A` (r, in), each number from `rng.uniform(-1/√in, 1/√in)`, and `self.B`
        (out, r), so that the layer begins as the frozen one, and can learn.
        """
        raise NotImplementedError("exercise 19: write LoRALayer.__init__")

    def forward(self, x):
        """Rows x (n, in) -> (n, out)."""
        raise NotImplementedError("exercise 19: write LoRALayer.forward")

    def merged(self):
        """The one matrix (out, in) that does the same, as a new array."""
        raise NotImplementedError("exercise 19: write LoRALayer.merged")


def adapter_file(layer, head):
    """What must be saved, by name, so that whoever has W and b can answer as the trained model.

    `head` is the new head that was trained with the layer: a dict of arrays, such as
    {"classifier.weight": ..., "classifier.bias": ...}. The layer's arrays are called "lora_A" and
    "lora_B".
    """
    raise NotImplementedError("exercise 19: write adapter_file")
