"""A and B both start at zero: the gradient of each is multiplied by the other, and stays zero."""

import numpy as np


class LoRALayer:
    def __init__(self, weight, bias, r, alpha, rng):
        self.weight, self.bias, self.scale = weight, bias, alpha / r
        self.A = np.zeros((r, weight.shape[1]))
        self.B = np.zeros((weight.shape[0], r))

    def forward(self, x):
        return x @ self.weight.T + (x @ self.A.T) @ self.B.T * self.scale + self.bias

    def merged(self):
        return self.weight + self.scale * (self.B @ self.A)


def adapter_file(layer, head):
    return {"lora_A": layer.A, "lora_B": layer.B, **head}
