"""Checks of exercise 19: how the layer begins, what it computes, what it leaves alone."""

import numpy as np

from minift.learn import same, true

RNG = np.random.default_rng(19)
WEIGHT, BIAS, X = RNG.normal(size=(6, 16)), RNG.normal(size=6), RNG.normal(size=(5, 16))
HEAD = {"classifier.weight": RNG.normal(size=(3, 6)), "classifier.bias": RNG.normal(size=3)}


def layer_of(exercise, r=4, alpha=8.0, seed=0, trained=False):
    layer = exercise.LoRALayer(WEIGHT.copy(), BIAS.copy(), r, alpha, np.random.default_rng(seed))
    if trained:  # as if some steps had been made
        layer.A = np.random.default_rng(seed + 1).normal(size=(r, 16))
        layer.B = np.random.default_rng(seed + 2).normal(size=(6, r))
    return layer


def expected(layer, r, alpha):
    return X @ WEIGHT.T + alpha / r * np.einsum("ni,ri,or->no", X, layer.A, layer.B) + BIAS


def case_it_begins_as_the_frozen_layer(exercise):
    """before the first step nothing has changed: the answers are those of W and b"""
    same("5 rows through a new layer, beside x Wᵀ + b",
         layer_of(exercise).forward(X), X @ WEIGHT.T + BIAS)  # fmt: skip


def case_it_can_learn(exercise):
    """one of the two matrices must have a gradient in the first step, or nothing ever moves"""
    layer = layer_of(exercise)
    largest = max(np.abs(X @ layer.A.T).max(), np.abs(layer.B).max())  # gradients are made of these
    true("a new layer, 5 rows: the largest number of which a gradient of A or B could be made is "
         f"{largest}", largest > 1e-3)  # fmt: skip


def case_how_they_start(exercise):
    """A is drawn from -1/√in to 1/√in, B is zero"""
    layer = layer_of(exercise)
    same("shape of A for r = 4, in = 16", np.shape(layer.A), (4, 16))
    same("B of a new layer", layer.B, np.zeros((6, 4)))
    largest = np.abs(layer.A).max()
    true(f"the numbers of A for in = 16 should reach up to 0.25, and not beyond; the largest of "
         f"yours is {largest:.3f}", 0.15 < largest <= 0.25)  # fmt: skip
    other = layer_of(exercise, seed=1)
    true("two layers with two generators should not have the same A",
         not np.array_equal(layer.A, other.A))  # fmt: skip


def case_the_formula(exercise):
    """the change is scaled by alpha over r, whatever both are"""
    for r, alpha in ((4, 8.0), (2, 8.0), (4, 1.0)):
        layer = layer_of(exercise, r, alpha, trained=True)
        same(f"5 rows through a trained layer, r = {r}, alpha = {alpha}",
             layer.forward(X), expected(layer, r, alpha))  # fmt: skip


def case_merged_does_the_same(exercise):
    """one ordinary matrix gives the very answers of the adapted layer"""
    layer = layer_of(exercise, trained=True)
    before = np.array(layer.forward(X))
    same("5 rows through the merged matrix, beside the layer", X @ layer.merged().T + BIAS, before)


def case_merging_leaves_the_layer_alone(exercise):
    """W is frozen: merging makes a new matrix, and the layer answers as before"""
    layer = layer_of(exercise, trained=True)
    before = np.array(layer.forward(X))
    layer.merged()
    same("5 rows through the layer after merged() was called", layer.forward(X), before)


def case_the_file_is_enough(exercise):
    """all that was trained is in the file: with it, and W, one can answer as the model does"""
    saved = exercise.adapter_file(layer_of(exercise, trained=True), HEAD)
    missing = [name for name in ("lora_A", "lora_B", *HEAD) if name not in saved]
    true("whoever loads your file would have to make these up at random: "
         f"{', '.join(missing)}", not missing)  # fmt: skip


def case_the_file_is_small(exercise):
    """what was frozen is not in the file: everybody who loads it has it already"""
    saved = exercise.adapter_file(layer_of(exercise, trained=True), HEAD)
    size = sum(np.size(array) for array in saved.values())
    same("numbers in the file: 4 × 16 and 6 × 4 of the layer, 3 × 6 and 3 of the head",
         size, 64 + 24 + 18 + 3)  # fmt: skip
