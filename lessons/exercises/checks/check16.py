"""Checks of exercise 16: names, layouts, and a small network that must say the same as before."""

import numpy as np

from minift.learn import refuses, same, true

RNG = np.random.default_rng(16)
QUERY = "encoder/layer_0/attention/self/query"
NORM = "encoder/layer_11/output/LayerNorm"


def name_is(exercise, theirs, expected):
    found = exercise.our_name(theirs)
    true(f"our_name({theirs!r}): yours {found!r}, expected {expected!r}", found == expected)


def case_matrices_and_biases(exercise):
    """slashes become dots, layers get their number, kernels become weights"""
    name_is(exercise, f"bert/{QUERY}/kernel", "encoder.layer.0.attention.self.query.weight")
    name_is(exercise, f"bert/{QUERY}/bias", "encoder.layer.0.attention.self.query.bias")


def case_norms(exercise):
    """a norm's scale is a weight, its shift a bias"""
    name_is(exercise, f"bert/{NORM}/gamma", "encoder.layer.11.output.LayerNorm.weight")
    name_is(exercise, f"bert/{NORM}/beta", "encoder.layer.11.output.LayerNorm.bias")


def case_the_prefix_goes_as_a_whole(exercise):
    """what goes is the word before the first slash, not single letters"""
    name_is(exercise, "bert/embeddings/LayerNorm/gamma", "embeddings.LayerNorm.weight")
    name_is(exercise, "bert/encoder/layer_3/output/dense/bias", "encoder.layer.3.output.dense.bias")


def case_with_or_without_prefix(exercise):
    """a bare encoder is saved without the prefix, and its names mean the same"""
    name_is(exercise, f"{QUERY}/kernel", "encoder.layer.0.attention.self.query.weight")


def case_tables(exercise):
    """a table of vectors has no word for its kind, and is a weight"""
    for table in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        name_is(exercise, f"bert/embeddings/{table}", f"embeddings.{table}.weight")


def case_what_is_no_weight(exercise):
    """what an optimizer knew has no place in a model"""
    for theirs in (f"bert/{QUERY}/kernel/adam_m", f"bert/{NORM}/gamma/adam_v", "global_step"):
        name_is(exercise, theirs, None)
    found = exercise.translate({"global_step": np.array(7), f"bert/{QUERY}/bias": np.ones(2)})
    true(f"translate should keep one of two arrays; yours keeps {sorted(found or {})}",
         list(found or {}) == ["encoder.layer.0.attention.self.query.bias"])  # fmt: skip


def case_the_layout_of_a_wide_layer(exercise):
    """a layer says the same of an input, before and after"""
    x, kernel = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 5))
    name = "bert/encoder/layer_0/intermediate/dense/kernel"
    weight = exercise.translate({name: kernel})["encoder.layer.0.intermediate.dense.weight"]
    same("the shape of a layer from 3 inputs to 5 outputs", weight.shape, (5, 3))
    same("two inputs through it", x @ weight.T, x @ kernel)


def case_the_layout_of_a_square_layer(exercise):
    """a layer says the same of an input, also where no shape could tell"""
    x, kernel = RNG.normal(size=(2, 4)), RNG.normal(size=(4, 4))
    found = exercise.translate({f"bert/{QUERY}/kernel": kernel})
    weight = found["encoder.layer.0.attention.self.query.weight"]
    same("two inputs through a layer from 4 inputs to 4 outputs", x @ weight.T, x @ kernel)


def case_the_layout_of_a_table(exercise):
    """a table has one row a word, there as here"""
    table = RNG.normal(size=(7, 4))
    found = exercise.translate({"bert/embeddings/word_embeddings": table})
    same("a table of 7 words", found["embeddings.word_embeddings.weight"], table)


def case_nothing_is_lost(exercise):
    """two arrays for one name: one of them would vanish without a word"""
    twice = {
        "bert/embeddings/LayerNorm/gamma": np.ones(3),
        "embeddings/LayerNorm/gamma": np.zeros(3),
    }
    refuses("the same weight with and without the prefix in one file",
            lambda: exercise.translate(twice), ValueError)  # fmt: skip
