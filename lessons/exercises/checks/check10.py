"""Checks of exercise 10: what was predicted against what the formulas say."""

import math

from minift.learn import true


def near(value, expected):
    return isinstance(value, int | float) and abs(value - expected) < 0.006


def case_sigma(exercise):
    """σ is the standard deviation, σ² the variance; the encoder gives the variance's logarithm"""
    value = exercise.sigma()
    true(f"you said σ = {value}; log σ² would then be {log_square(value)} in place of −2",
         near(value, math.exp(-1)))  # fmt: skip


def log_square(value):
    return f"{2 * math.log(value):.2f}" if value > 0 else "no number"


def case_slope(exercise):
    """z = μ + σ·ε: whoever moves σ moves z by ε times as much"""
    value = exercise.slope_of_z_by_sigma()
    true(f"you said dz/dσ = {value}; look what stands beside σ in z = μ + σ·ε", near(value, -1.5))


def case_lazy(exercise):
    """a code that is like N(0, 1) says nothing, and costs nothing"""
    value = exercise.price_of_a_lazy_encoder()
    true(f"you said {value}; put μ = 0 and σ = 1 into ½ (μ² + σ² − log σ² − 1), eight times",
         near(value, 0))  # fmt: skip


def case_narrow(exercise):
    """a KL is never negative, and the variance stands in it twice: once as it is, once as log"""
    value = exercise.price_of_a_narrow_cloud()
    expected = 0.5 * (0.25 + math.log(4) - 1)
    true(f"you said {value}; σ = ½ means that σ² is smaller still, and every term of "
         "½ (μ² + σ² − log σ² − 1) counts", near(value, expected))  # fmt: skip


def case_drawing(exercise):
    """the decoder sees z alone"""
    value = exercise.change_of_the_drawing()
    true(f"you said {value}; which of the two images could the decoder know about, given z?",
         near(value, 0))  # fmt: skip


def case_critic(exercise):
    """of two kinds that are the same, shown equally often, nobody can say which is which"""
    value = exercise.critic_at_the_end()
    true(f"you said D(x) = {value}; D that always says this would be right how often, for real "
         "samples and for made ones?", near(value, 0.5))  # fmt: skip


def case_loss(exercise):
    """a critic who cannot know still pays for not knowing, as a coin would"""
    value = exercise.loss_of_the_critic_at_the_end()
    true(f"you said {value} nats; put what D says at the end into both logarithms",
         near(value, math.log(2)))  # fmt: skip
