"""Exercise 07: a split that is grouped and stratified, and macro-F1.

Check with: minift learn check 7
"""


def grouped_stratified_split(labels, groups, share, rng):
    """Choose the rows of the test: (n,) of True and False.

    `labels` and `groups` are (n,) integers; a group may hold several classes. No group stands on
    both sides. About `share` of the rows of *each class* go to the test, also of a rare one: as
    near as whole groups allow, and not more. Which groups, is left to `rng`, a
    numpy.random.Generator.
    """
    raise NotImplementedError("exercise 07: write grouped_stratified_split")


def macro_f1(true, predicted):
    """Mean, over the classes that occur in either array, of 2 · right / (predicted + true)."""
    raise NotImplementedError("exercise 07: write macro_f1")
