"""Exercise 04: find every parameter of a tree of modules, each once, in the order of assignment.

Check with: minift learn check 4
"""


class Parameter:
    """A weight; only which object it is counts here."""

    def __init__(self, data):
        self.data = data


class Module:
    """Anything that has parameters or modules as attributes; `vars(module)` is their dictionary."""


def named_parameters(module):
    """All parameters below a module, as a list of pairs (path, parameter).

    Looks into attributes that are modules, lists, tuples and dictionaries, and into lists within
    lists. The path joins the names on the way with dots: "layers.0.weight". A list's items are
    called "0", "1", ..., a dictionary's after their keys. Everything else is passed over. The order
    is that of assignment; a parameter in two places is listed once, at the first of them.
    """
    raise NotImplementedError("exercise 04: write named_parameters")
