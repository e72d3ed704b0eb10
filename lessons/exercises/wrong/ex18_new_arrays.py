"""p = p - ...: the optimizer gets a new array, and the model keeps the old one."""

import numpy as np

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class Adam:
    def __init__(self, params, lr):
        self.entries = []
        self.add_group(params, lr)

    def add_group(self, params, lr):
        for p in params:
            if any(p is entry["p"] for entry in self.entries):
                raise ValueError(f"an array of shape {p.shape} is trained already")
            zeros = {"m": np.zeros_like(p), "v": np.zeros_like(p)}
            self.entries.append({"p": p, "lr": lr, "t": 0, **zeros})

    def step(self, gradients):
        for entry, g in zip(self.entries, gradients):
            if g is None:
                continue
            entry["t"] += 1
            entry["m"] = BETA1 * entry["m"] + (1 - BETA1) * g
            entry["v"] = BETA2 * entry["v"] + (1 - BETA2) * g * g
            m_hat = entry["m"] / (1 - BETA1 ** entry["t"])
            v_hat = entry["v"] / (1 - BETA2 ** entry["t"])
            entry["p"] = entry["p"] - entry["lr"] * m_hat / (np.sqrt(v_hat) + EPS)
