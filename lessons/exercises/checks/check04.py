"""Checks of exercise 04: names, order, shared parameters."""

from minift.learn import same, true


def tree(exercise, **parts):
    """A module with these attributes, assigned in this order."""
    module = exercise.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    return module


def listed(exercise, module):
    """What named_parameters returns, as a list of pairs."""
    found = exercise.named_parameters(module)
    true("named_parameters should return a list of pairs (path, parameter); yours returned "
         f"{type(found).__name__}", isinstance(found, list) and
         all(isinstance(pair, tuple) and len(pair) == 2 for pair in found))  # fmt: skip
    return found


def names(exercise, module):
    return [name for name, _ in listed(exercise, module)]


def case_attributes(exercise):
    """a module's own parameters are found under the names of its attributes"""
    weight, bias = exercise.Parameter([1.0]), exercise.Parameter([0.0])
    found = listed(exercise, tree(exercise, weight=weight, bias=bias, size=3, name="linear"))
    same("names in a module with weight, bias, size = 3, name = 'linear'",
         [name for name, _ in found], ["weight", "bias"])  # fmt: skip
    true("each name should come with its own parameter, the very object",
         found[0][1] is weight and found[1][1] is bias)  # fmt: skip


def case_modules_in_modules(exercise):
    """the path joins the names on the way with dots"""
    inner = tree(exercise, weight=exercise.Parameter([1.0]))
    outer = tree(exercise, linear=inner, scale=exercise.Parameter([2.0]))
    same("names in a module that has a module `linear` and a parameter `scale`",
         names(exercise, tree(exercise, head=outer)),
         ["head.linear.weight", "head.scale"])  # fmt: skip


def case_lists_and_dictionaries(exercise):
    """modules in lists, tuples and dictionaries are trained too: nobody may be forgotten"""
    part = lambda: tree(exercise, weight=exercise.Parameter([1.0]))
    module = tree(exercise, layers=[part(), [part(), part()]], pair=(part(),),
                  heads={"sentiment": part(), "topic": part()})  # fmt: skip
    expected = ["layers.0.weight", "layers.1.0.weight", "layers.1.1.weight", "pair.0.weight",
                "heads.sentiment.weight", "heads.topic.weight"]  # fmt: skip
    found = names(exercise, module)
    missing = [name for name in expected if name not in found]
    true(f"names in a module with a list, a list in a list, a tuple and a dictionary\n"
         f"  yours:   {found}\n  missing: {missing}", not missing)  # fmt: skip
    same("the same names, in order", found, expected)


def case_the_order_of_assignment(exercise):
    """the order is that of assignment, in every run: a file and an optimizer rely on it"""
    given = [f"{letter}{number}" for number in (7, 2, 9) for letter in "zmaqc"]
    module = tree(exercise, **{name: exercise.Parameter([0.0]) for name in given})
    for _ in range(3):
        same("names of 15 parameters", names(exercise, module), given)


def case_shared_once(exercise):
    """a parameter in two places is one parameter: listed twice, it would be updated twice"""
    table = exercise.Parameter([[1.0, 2.0]])
    embedding = tree(exercise, weight=table)
    head = tree(exercise, bias=exercise.Parameter([0.0]), decoder=table)
    same("names where embedding.weight and head.decoder are one and the same object",
         names(exercise, tree(exercise, embedding=embedding, head=head)),
         ["embedding.weight", "head.bias"])  # fmt: skip
    same("names where one module stands in a list twice",
         names(exercise, tree(exercise, layers=[embedding, embedding])),
         ["layers.0.weight"])  # fmt: skip


def case_equal_is_not_the_same(exercise):
    """two parameters that start from equal numbers are still two"""
    start = [0.0]
    module = tree(exercise, a=exercise.Parameter(start), b=exercise.Parameter(start))
    same("names of two parameters with equal numbers", names(exercise, module), ["a", "b"])


def case_every_call_starts_anew(exercise):
    """a second call finds what the first one found"""
    module = tree(exercise, weight=exercise.Parameter([1.0]))
    exercise.named_parameters(module)
    same("names in the second call", names(exercise, module), ["weight"])
