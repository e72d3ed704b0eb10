"""A price for each number of the code, even where nothing is said."""

import math


def sigma():
    return math.exp(-2 / 2)


def slope_of_z_by_sigma():
    return -1.5


def price_of_a_lazy_encoder():
    return 8 * 0.5


def price_of_a_narrow_cloud():
    return 0.5 * (0.25 - math.log(0.25) - 1)


def change_of_the_drawing():
    return 0.0


def critic_at_the_end():
    return 0.5


def loss_of_the_critic_at_the_end():
    return math.log(2)
