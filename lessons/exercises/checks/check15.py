"""Checks of exercise 15: what was predicted, against what is counted or computed here."""

import math

from minift.learn import true


def near(value, expected):
    return isinstance(value, int | float) and abs(value - expected) < 0.006


def case_shift(exercise):
    """each token but the last is read; each token but the first is asked for, by the row before"""
    found = exercise.read_and_asked()
    true(f"you said {found!r}; return two strings", isinstance(found, tuple) and len(found) == 2)
    read, asked = found
    true(f"you said that {len(read)} letters are read and {len(asked)} asked; each row has one "
         "question, and the row has six letters, of which the first has nothing before it",
         len(read) == len(asked) == 5)  # fmt: skip
    pairs = ", ".join(f"{r}→{a}" for r, a in zip(read, asked))
    whole = read + asked[-1] == read[0] + asked == "banana"
    true(f"you said: {pairs}. Look up in 'banana' which letter follows which", whole)


def case_no_shift(exercise):
    """without the shift the question contains its answer"""
    value = exercise.loss_without_the_shift()
    true(f"you said {value}; the loss is minus the logarithm of the probability that the program "
         "looks up, and the model gives all of it to just this token", near(value, 0))  # fmt: skip


def case_the_copier_is_no_language_model(exercise):
    """a loss that looked like a triumph says nothing about the next token"""
    value = exercise.right_answers_of_that_model()
    repeats = sum(a == b for a, b in zip("coffee", "coffee"[1:]))
    true(f"you said {value}; go through the five pairs of neighbours: which are equal?",
         value == repeats)  # fmt: skip


def case_causal(exercise):
    """row t has seen the tokens up to t, itself included, and nothing later"""
    value = exercise.rows_that_may_change()
    reached = [row for row in range(8) if row >= 5]
    true(f"you said {value}; for each row ask whether token 5 is among the tokens that it has seen",
         value == len(reached))  # fmt: skip


def case_mean(exercise):
    """the loss is the mean of −log p, so that texts of different lengths can be compared"""
    value = exercise.loss_of_three_tokens()
    expected = -sum(map(math.log, (1 / 2, 1 / 2, 1 / 4))) / 3
    true(f"you said {value}; take −log (to the base e) of each of the three, and then their mean",
         near(value, expected))  # fmt: skip


def case_perplexity(exercise):
    """perplexity undoes the logarithm: as unsure as among so many equally probable tokens"""
    value = exercise.perplexity_of_that()
    true(f"you said {value}; it lies between 2 and 4, since the model was as unsure as among 2, "
         "2 and 4 equal ones; the base is that of the logarithm",
         near(value, 2 ** (4 / 3)))  # fmt: skip


def case_uncertain(exercise):
    """a model that is uncertain for all inputs gives every token the same probability"""
    value = exercise.loss_of_the_most_uncertain()
    true(f"you said {value}; with so many tokens, how probable is each if none is preferred?",
         near(value, math.log(50)))  # fmt: skip


def case_temperature(exercise):
    """the temperature divides the scores: above 1 it makes them more equal"""
    value = exercise.probability_at_a_temperature()
    true(f"you said {value}; at temperature 1 it would be {1 / (1 + math.exp(-2)):.3f}, and above "
         "1 the two must come nearer to each other",
         near(value, 1 / (1 + math.exp(-1))))  # fmt: skip
