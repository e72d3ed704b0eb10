"""One count of steps for each group: a frozen member ages with the others."""

import numpy as np

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class Adam:
    def __init__(self, params, lr):
        self.entries, self.clocks = [], []
        self.add_group(params, lr)

    def add_group(self, params, lr):
        self.clocks.append(0)
        for p in params:
            if any(p is entry["p"] for entry in self.entries):
                raise ValueError(f"an array of shape {p.shape} is trained already")
            zeros = {"m": np.zeros_like(p), "v": np.zeros_like(p)}
            self.entries.append({"p": p, "lr": lr, "group": len(self.clocks) - 1, **zeros})

    def step(self, gradients):
        moving = {e["group"] for e, g in zip(self.entries, gradients) if g is not None}
        self.clocks = [t + (n in moving) for n, t in enumerate(self.clocks)]
        for entry, g in zip(self.entries, gradients):
            if g is None:
                continue
            t = self.clocks[entry["group"]]
            entry["m"] = BETA1 * entry["m"] + (1 - BETA1) * g
            entry["v"] = BETA2 * entry["v"] + (1 - BETA2) * g * g
            m_hat = entry["m"] / (1 - BETA1**t)
            v_hat = entry["v"] / (1 - BETA2**t)
            entry["p"] -= entry["lr"] * m_hat / (np.sqrt(v_hat) + EPS)
