"""A threshold of 0 is taken for none."""


class EarlyStopping:
    """Tells when to stop, and remembers the best weights."""

    def __init__(self, patience, min_delta=0.0, threshold=None):
        self.patience, self.min_delta, self.threshold = patience, min_delta, threshold
        self.best_score, self.best_weights, self.waited = None, None, 0

    def update(self, score, weights):
        first = self.best_score is None and score == score
        if first or (self.best_score is not None and self.best_score - score > self.min_delta):
            self.best_score = score
            self.best_weights = {name: array.copy() for name, array in weights.items()}
            self.waited = 0
        else:
            self.waited += 1
        reached = bool(self.threshold) and score <= self.threshold
        return self.waited >= self.patience or reached
