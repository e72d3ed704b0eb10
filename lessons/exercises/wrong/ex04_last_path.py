"""A shared weight gets the last of its names, not the first."""


class Parameter:
    """A weight; only which object it is counts here."""

    def __init__(self, data):
        self.data = data


class Module:
    """Anything that has parameters or modules as attributes; `vars(module)` is their dictionary."""


def named_parameters(module):
    """All parameters below a module, as a list of pairs (path, parameter)."""
    found = {}  # id of a parameter -> (path, parameter)

    def visit(value, path):
        if isinstance(value, Parameter):
            found[id(value)] = (path, value)
        for name, member in members(value):
            visit(member, f"{path}.{name}" if path else str(name))

    visit(module, "")
    return list(found.values())


def members(value):
    """The named parts of what can have parts."""
    if isinstance(value, Module):
        return vars(value).items()
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    return ()
