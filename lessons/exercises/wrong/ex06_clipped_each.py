"""Clipping each number by itself: the direction changes."""


def adam_large():
    """m / √v is the sign of the gradient in the first step."""
    return 0.9


def adam_small():
    """The same, whatever the size."""
    return 0.9


def adam_uncorrected():
    """m = 0.1 and v = 0.001, so the step is 0.1 · 0.1 / √0.001 = 0.316."""
    return 1 - 0.1 * 0.1 / 0.001**0.5


def momentum_three():
    """b is 1, then 1.9, then 2.71."""
    return 1 - 0.1 * (1 + 1.9 + 2.71)


def adam_anew():
    """Each new Adam goes η along the sign: down, up, down, up."""
    return 1.0


def adam_kept():
    """With a constant gradient the corrected means are exact: ten steps of η."""
    return 0.0


def adamw_at_rest():
    """Only the decay: (1 - η λ) w."""
    return 0.95


def clipped():
    """The joint length is 5."""
    return [1.0, 1.0]
