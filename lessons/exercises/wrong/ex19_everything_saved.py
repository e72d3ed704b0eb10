"""The frozen W is saved as well: the file is as large as the model."""

import numpy as np


class LoRALayer:
    def __init__(self, weight, bias, r, alpha, rng):
        self.weight, self.bias, self.scale = weight, bias, alpha / r
        limit = 1 / np.sqrt(weight.shape[1])
        self.A = rng.uniform(-limit, limit, (r, weight.shape[1]))
        self.B = np.zeros((weight.shape[0], r))

    def forward(self, x):
        return x @ self.weight.T + (x @ self.A.T) @ self.B.T * self.scale + self.bias

    def merged(self):
        return self.weight + self.scale * (self.B @ self.A)


def adapter_file(layer, head):
    return {
        "weight": layer.weight,
        "bias": layer.bias,
        "lora_A": layer.A,
        "lora_B": layer.B,
        **head,
    }
