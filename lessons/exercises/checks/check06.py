"""Checks of exercise 06: predictions beside what minift.optim does. The answer is not shown."""

import numpy as np

import minift as mf
from minift.learn import true


def after(make, gradients, anew=False):
    """The weight, from 1, after a step for each gradient; `anew`: with a new optimizer for each."""
    w = mf.Tensor(np.array([1.0]), requires_grad=True)
    optimizer = make([w])
    for gradient in gradients:
        optimizer = make([w]) if anew else optimizer
        w.grad = mf.Tensor(np.array([gradient]))
        optimizer.step()
    return float(w.numpy()[0])


def adam(params):
    return mf.optim.Adam(params, lr=0.1)


def compare(what, yours, right, think):
    """Hold a prediction against the number, without showing it."""
    try:
        found = np.asarray(yours, dtype=float)
    except (ValueError, TypeError):
        raise AssertionError(f"{what}: a number is expected, yours is {yours!r}") from None
    true(f"{what}\n  yours: {found}\n  {think}",
         found.shape == np.shape(right) and np.allclose(found, right, atol=2e-3))  # fmt: skip


def case_adam_large(exercise):
    """Adam divides by the size of the gradient"""
    compare("w = 1, gradient 1000, one step of Adam with η = 0.1", exercise.adam_large(),
            after(adam, [1000.0]), "What is m̂ / √v̂ in the first step?")  # fmt: skip


def case_adam_small(exercise):
    """however small the gradient is"""
    compare("w = 1, gradient 0.001, one step of Adam with η = 0.1", exercise.adam_small(),
            after(adam, [0.001]), "What is m̂ / √v̂ in the first step?")  # fmt: skip


def case_adam_uncorrected(exercise):
    """without bias correction, m and v are too small, but not by the same factor"""
    m, v = (1 - 0.9) * 1.0, (1 - 0.999) * 1.0
    compare("w = 1, gradient 1, one step of Adam without bias correction",
            exercise.adam_uncorrected(), 1 - 0.1 * m / np.sqrt(v),
            "Compute m and v of the first step, then m / √v.")  # fmt: skip


def case_momentum_three(exercise):
    """momentum adds old gradients to the new one"""
    compare("w = 1, gradient 1 in three steps of momentum (μ = 0.9, η = 0.1)",
            exercise.momentum_three(),
            after(lambda p: mf.optim.SGD(p, lr=0.1, momentum=0.9), [1.0] * 3),
            "Write down b after each of the three steps.")  # fmt: skip


def case_adam_anew(exercise):
    """an optimizer that is made anew forgets: each step is a first step (E68)"""
    compare("w = 1, gradients +1, -0.1, +1, -0.1; a new Adam (η = 0.1) for each step",
            exercise.adam_anew(), after(adam, [1.0, -0.1, 1.0, -0.1], anew=True),
            "Every step is the first step of its Adam. How far does that go, and which way?",
            )  # fmt: skip


def case_adam_kept(exercise):
    """with a constant gradient the corrected means are exact from the first step on"""
    compare("w = 1, gradient +5 in ten steps of one Adam, η = 0.1",
            exercise.adam_kept(), after(adam, [5.0] * 10),
            "What is a weighted mean of ten equal numbers?")  # fmt: skip


def case_adamw_at_rest(exercise):
    """AdamW's decay does not go through the gradient"""
    compare("w = 1, gradient 0, one step of AdamW, η = 0.1, λ = 0.5",
            exercise.adamw_at_rest(),
            after(lambda p: mf.optim.AdamW(p, lr=0.1, weight_decay=0.5), [0.0]),
            "Which of AdamW's two parts needs a gradient?")  # fmt: skip


def case_clipped(exercise):
    """clipping keeps the direction: one factor for all"""
    p = mf.Tensor(np.zeros(2), requires_grad=True)
    p.grad = mf.Tensor(np.array([3.0, 4.0]))
    mf.optim.clip_grad_norm_([p], 1.0)
    compare("gradients [3, 4] after clipping to a joint length of 1", exercise.clipped(),
            p.grad.numpy(), "How long is (3, 4)? Which factor makes it 1?")  # fmt: skip
