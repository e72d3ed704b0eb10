"""Read all but the last token, ask for all but the first; the rest is logarithms."""

import math


def read_and_asked():
    return "banan", "anana"


def loss_without_the_shift():
    return 0.0


def right_answers_of_that_model():
    return 2


def rows_that_may_change():
    return 3


def loss_of_three_tokens():
    return (math.log(2) + math.log(2) + math.log(4)) / 3


def perplexity_of_that():
    return math.exp(4 / 3 * math.log(2))


def loss_of_the_most_uncertain():
    return math.log(50)


def probability_at_a_temperature():
    return 1 / (1 + math.exp(-1))
