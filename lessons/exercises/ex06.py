"""Exercise 06: where does the weight stand? Predict eight times, with paper and pencil.

Each function returns the weight as a number (or a list). The rules have the lesson's settings:
μ = 0.9, β₁ = 0.9, β₂ = 0.999; leave ε out. Three digits are enough.

Check with: minift learn check 6
"""


def adam_large():
    """w = 1, gradient 1000, one step of Adam with η = 0.1."""
    raise NotImplementedError("exercise 06: predict a step of Adam with a large gradient")


def adam_small():
    """w = 1, gradient 0.001, one step of Adam with η = 0.1."""
    raise NotImplementedError("exercise 06: predict a step of Adam with a small gradient")


def adam_uncorrected():
    """The same, gradient 1, but without the bias correction: m and v used as they are."""
    raise NotImplementedError("exercise 06: predict a step without bias correction")


def momentum_three():
    """w = 1, gradient 1 in each of three steps of SGD with momentum, η = 0.1."""
    raise NotImplementedError("exercise 06: predict three steps of momentum")


def adam_anew():
    """w = 1, gradients +1, -0.1, +1, -0.1, η = 0.1; a new Adam is made for every step (E68)."""
    raise NotImplementedError("exercise 06: predict four steps, each of a new Adam")


def adam_kept():
    """w = 1, gradient +5 in each of ten steps of one and the same Adam, η = 0.1."""
    raise NotImplementedError("exercise 06: predict ten steps of Adam with a constant gradient")


def adamw_at_rest():
    """w = 1, gradient 0, one step of AdamW with η = 0.1 and a decay of λ = 0.5."""
    raise NotImplementedError("exercise 06: predict a step of AdamW without a gradient")


def clipped():
    """Two weights with gradients [3, 4]; the gradients after clipping to a joint length of 1."""
    raise NotImplementedError("exercise 06: predict two clipped gradients")
