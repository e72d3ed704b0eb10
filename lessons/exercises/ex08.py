"""Exercise 08: mend an EarlyStopping that has six bugs.

`Hasty` below runs, and is right as long as all scores are nice. Write `EarlyStopping` from it.
Check with: minift learn check 8
"""


class Hasty:
    def __init__(self, patience, min_delta=0.0, threshold=None):
        self.patience, self.min_delta, self.threshold = patience, min_delta, threshold
        self.best_score, self.best_weights, self.waited = 1.0, None, 0

    def update(self, score, weights):
        if not score > self.best_score - self.min_delta:
            self.best_score = score
            self.best_weights = weights
        else:
            self.waited += 1
        reached = self.threshold is not None and score <= self.threshold
        return self.waited > self.patience or reached


class EarlyStopping:
    """Tells when to stop, and remembers the best weights.

    `update(score, weights)` is called after each evaluation and returns True if training should
    stop. `score` is a loss: lower is better, and it may be any number or NaN. `weights` is a
    dictionary of arrays, into which training goes on to write.

    - A score is an improvement if it is lower than the best so far by **more than** `min_delta`;
      the first number always is one. Of equal scores the first stays the best. NaN never is.
    - It stops when `patience` updates **in a row** were no improvement, or at once when a score is
      at or below `threshold`, if one is given.
    - `best_score` and `best_weights` are those of the last improvement; None before there was one.
    """

    def __init__(self, patience, min_delta=0.0, threshold=None):
        raise NotImplementedError("exercise 08: mend Hasty and write it as EarlyStopping")

    def update(self, score, weights):
        raise NotImplementedError("exercise 08: mend Hasty and write it as EarlyStopping")
