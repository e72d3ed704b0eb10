"""Exercise 10: predict before you run. Seven numbers about clouds, prices and critics.

Think, write the number that you expect, then check with: minift learn check 10
Two digits behind the point are enough. `math.exp` and `math.log` may help.
"""


def sigma():
    """The encoder's second output is log σ² = −2. What is σ?"""
    raise NotImplementedError("exercise 10: what is sigma?")


def slope_of_z_by_sigma():
    """μ = 0.7, σ = 0.2, and ε = −1.5 was drawn. What is dz/dσ?"""
    raise NotImplementedError("exercise 10: what is dz/dσ?")


def price_of_a_lazy_encoder():
    """K = 8. The encoder looks at nothing and always says μ = 0, σ = 1. What is the KL?"""
    raise NotImplementedError("exercise 10: what is the KL of a lazy encoder?")


def price_of_a_narrow_cloud():
    """K = 1, μ = 0, σ = ½. What is the KL?"""
    raise NotImplementedError("exercise 10: what is the KL of a narrow cloud?")


def change_of_the_drawing():
    """Two different images happen to get the same z. By how much do the decoded images differ?"""
    raise NotImplementedError("exercise 10: by how much do the decoded images differ?")


def critic_at_the_end():
    """The generator has become perfect, and D has learned all that can be learned. What is D(x)?"""
    raise NotImplementedError("exercise 10: what does D say at the end?")


def loss_of_the_critic_at_the_end():
    """And D's loss then, −½ (log D(real) + log(1 − D(made))), in nats?"""
    raise NotImplementedError("exercise 10: what is D's loss at the end?")
