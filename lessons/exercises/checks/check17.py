"""Checks of exercise 17: texts of unequal length, and a body whose dropout may be on."""

import numpy as np

from minift.learn import same, true

RNG = np.random.default_rng(17)
HIDDEN = RNG.normal(size=(3, 4, 2))
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])


class Body:
    """A body that looks a vector up for each token, and drops half of the numbers in training."""

    def __init__(self, training=True):
        self.table = np.random.default_rng(1).normal(size=(9, 3))
        self.rng = np.random.default_rng(2)
        self.training, self.texts_seen = training, 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def __call__(self, ids):
        self.texts_seen += len(ids)
        hidden = self.table[ids]
        if self.training:
            hidden = hidden * (self.rng.random(hidden.shape) < 0.5) * 2
        return hidden


def batches():
    """Two batches of unequal width; id 0 is padding."""
    first = np.array([[5, 3, 2], [7, 0, 0]])
    second = np.array([[4, 4, 1, 8, 6]])
    return [(ids, (ids != 0).astype(int)) for ids in (first, second)]


def expected():
    """The means of the vectors of the real tokens, text by text."""
    table = Body().table
    return np.array([table[[5, 3, 2]].mean(0), table[[7]].mean(0), table[[4, 4, 1, 8, 6]].mean(0)])


def case_without_padding(exercise):
    """where there is no padding, it is the mean over all tokens"""
    same("two texts of three tokens, all real", exercise.mean_pool(HIDDEN[:2, :3], np.ones((2, 3))),
         HIDDEN[:2, :3].mean(axis=1))  # fmt: skip


def case_padding_is_no_token(exercise):
    """padding is in nobody's sum and in nobody's count"""
    rows = [HIDDEN[0].mean(0), HIDDEN[1, :2].mean(0), HIDDEN[2, 0]]
    same("texts of 4, 2 and 1 real tokens in a batch of width 4",
         exercise.mean_pool(HIDDEN, MASK), rows)  # fmt: skip


def case_the_width_does_not_matter(exercise):
    """a text has the same vector whatever it is padded to"""
    wider = np.concatenate([HIDDEN, np.full((3, 5, 2), 1e6)], axis=1)
    mask = np.concatenate([MASK, np.zeros((3, 5), int)], axis=1)
    same("the same texts, padded to width 9 with vectors of 1,000,000",
         exercise.mean_pool(wider, mask), exercise.mean_pool(HIDDEN, MASK))  # fmt: skip


def case_nothing_to_read(exercise):
    """a text without any real token has the vector 0, and no NaN"""
    mask = np.array([[0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    same("the first and the third of three texts are empty", exercise.mean_pool(HIDDEN, mask),
         [np.zeros(2), HIDDEN[1, :2].mean(0), np.zeros(2)])  # fmt: skip


def case_your_input_stays(exercise):
    """the function reads its arguments and changes nothing in them"""
    hidden, mask = HIDDEN.copy(), MASK.copy()
    exercise.mean_pool(hidden, mask)
    same("the hidden states after the call", hidden, HIDDEN)


def case_features_of_a_body_at_rest(exercise):
    """each text's features are the mean of what the body says of its tokens, in order"""
    same("three texts in two batches, from a body whose dropout is off",
         exercise.features(Body(training=False), batches()), expected())  # fmt: skip


def case_no_noise(exercise):
    """features that a head will see again and again must not depend on chance"""
    same("the same three texts, from a body that was in training mode",
         exercise.features(Body(training=True), batches()), expected())  # fmt: skip


def case_as_it_was_found(exercise):
    """whoever borrows a body gives it back in the mode in which it was"""
    for training in (True, False):
        body = Body(training)
        exercise.features(body, batches())
        true(f"before the call the body's `training` was {training}, afterwards it is "
             f"{body.training}", body.training is training)  # fmt: skip


def case_once(exercise):
    """the point of features is that each text passes the body once"""
    body = Body(training=False)
    exercise.features(body, batches())
    true(f"3 texts were given, and the body has read {body.texts_seen}", body.texts_seen == 3)
