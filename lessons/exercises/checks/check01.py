"""Checks of exercise 01: each derivative is compared with the central difference."""

import math

from minift.learn import same, true


def slopes(exercise, function, *numbers):
    """The derivatives by all inputs, as `backward` finds them."""
    inputs = [exercise.Value(number) for number in numbers]
    exercise.backward(function(*inputs))
    return [value.grad for value in inputs]


def differences(exercise, function, *numbers, h=1e-5):
    """The same by central differences, which know nothing of `backward`."""
    found = []
    for i in range(len(numbers)):
        ends = []
        for step in (h, -h):
            moved = [number + step * (j == i) for j, number in enumerate(numbers)]
            ends.append(function(*map(exercise.Value, moved)).data)
        found.append((ends[0] - ends[1]) / (2 * h))
    return found


def case_tanh_has_the_right_value(exercise):
    """tanh returns a Value whose data is the hyperbolic tangent"""
    y = exercise.tanh(exercise.Value(0.5))
    true("tanh(Value(0.5)) should be a Value", isinstance(y, exercise.Value))
    same("the data of tanh(Value(0.5))", y.data, math.tanh(0.5))


def case_tanh_remembers(exercise):
    """tanh remembers its parent and the local derivative at that point"""
    x = exercise.Value(0.5)
    parents = exercise.tanh(x).parents
    pairs = [pair for pair in parents if isinstance(pair, tuple) and len(pair) == 2]
    one_pair = len(parents) == len(pairs) == 1
    true("x = Value(0.5): tanh(x).parents should be a tuple of one pair, (x, derivative), as "
         f"that of exp(x) is; yours holds {len(parents)} things, {len(pairs)} of them pairs",
         one_pair)  # fmt: skip
    true("x = Value(0.5): the parent of tanh(x) should be x itself", parents[0][0] is x)
    measured = (math.tanh(0.5 + 1e-6) - math.tanh(0.5 - 1e-6)) / 2e-6
    same("the local derivative of tanh at 0.5, beside the measured one",
         parents[0][1], measured, atol=1e-7)  # fmt: skip


def case_the_end_has_slope_one(exercise):
    """the walk begins with d out / d out = 1"""
    out = exercise.Value(2.0) * exercise.Value(3.0)
    exercise.backward(out)
    same("out.grad after backward(out), which sets .grad and returns nothing", out.grad, 1.0)


def case_contributions_are_added(exercise):
    """a value that is used twice gets two contributions, which add up"""
    same("b = a + a: grad of a, for a = 1", slopes(exercise, lambda a: a + a, 1.0), [2.0])


def case_the_order_is_kept(exercise):
    """a value hands on what it got once, and only when all of it has arrived"""

    def doubled_twice(a):
        b = a + a
        return b + b

    same("b = a + a; c = b + b: grad of a, for a = 1", slopes(exercise, doubled_twice, 1.0), [4.0])


def case_a_long_way_and_a_short_one(exercise):
    """of two ways to a value, one may be longer: the value waits for both"""

    def two_ways(a):
        b = a * a
        return b + exercise.exp(exercise.exp(b) * b) * b

    same("b = a·a; out = b + exp(exp(b)·b)·b: grad of a, for a = 0.4, beside the measured one",
         slopes(exercise, two_ways, 0.4), differences(exercise, two_ways, 0.4),
         rtol=1e-6)  # fmt: skip


def case_parents_alone_say_the_order(exercise):
    """the order follows from who is whose parent, not from when a value was made"""
    c, b, a = exercise.Value(4.0), exercise.Value(2.0), exercise.Value(1.0)
    b.parents, c.parents = ((a, 1.0), (a, 1.0)), ((b, 1.0), (b, 1.0))
    exercise.backward(c)
    same("c = b + b, made before b, and b = a + a, made before a: grad of a", a.grad, 4.0)


def case_all_together(exercise):
    """many inputs, tanh and reuse together"""

    def many(a, b, c):
        d = exercise.tanh(a * b + c)
        return d * d + exercise.exp(d) * a + d * c

    numbers = (0.3, -0.8, 0.5)
    same("d = tanh(a·b + c); out = d·d + exp(d)·a + d·c: grads at (0.3, -0.8, 0.5), beside the "
         "measured ones", slopes(exercise, many, *numbers),
         differences(exercise, many, *numbers), atol=1e-7)  # fmt: skip


def case_twice_is_the_same_as_once(exercise):
    """a second walk back does not stumble over what the first one left on the values"""
    a = exercise.Value(1.0)
    b = a + a
    out = b * b
    exercise.backward(out)
    exercise.backward(out)
    same("b = a + a; out = b·b, for a = 1: grad of a after backward(out) twice", a.grad, 8.0)
