"""Kneser-Ney beside a plain loop over dictionaries, at its limits, and as a distribution."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from minift.baselines import NGram, character_nats

V = 6
# 5 stands at the start alone, after nothing.
TEXT = np.append(5, np.random.default_rng(0).choice(5, 300, p=[0.4, 0.3, 0.15, 0.1, 0.05]))
OTHER = np.random.default_rng(1).integers(0, V, 60)


def kneser_ney(text, order, w, history, highest):
    """P_n(w | history), by the equations, from the text itself each time."""
    if order == 0:
        return 1 / V
    history = history[len(history) - (order - 1) :] if len(history) >= order - 1 else None
    lower = kneser_ney(text, order - 1, w, history[1:] if history else (), highest)
    if history is None:
        return lower
    grams = Counter(text[i : i + order] for i in range(len(text) - order + 1))
    if order < highest:
        before = defaultdict(set)
        for i in range(len(text) - order):
            before[text[i + 1 : i + 1 + order]].add(text[i])
        grams = {gram: len(before[gram]) for gram in grams}
    sizes = Counter(grams.values())
    D = sizes[1] / (sizes[1] + 2 * sizes[2]) if sizes[1] and sizes[2] else 0.5
    after = [c for gram, c in grams.items() if gram[:-1] == history and c]
    if not after:
        return lower
    count = grams.get((*history, w), 0)
    return (max(count - D, 0) + D * len(after) * lower) / sum(after)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_every_token_has_the_probability_of_the_equations(order):
    text, other = tuple(TEXT.tolist()), tuple(OTHER.tolist())
    expected = []
    for t, w in enumerate(other):
        shorter = min(order, t + 1)  # the first tokens have less before them
        history = other[t - shorter + 1 : t]
        expected.append(kneser_ney(text, shorter, w, history, order))
    found = np.exp(NGram(TEXT, V, order).log_probabilities(OTHER))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_after_any_history_sum_to_1(order):
    table = NGram(TEXT, V, order)
    for history in ([0, 1, 0], [4, 4, 4], [5, 5, 5]):
        p = [np.exp(table.log_probabilities(np.array([*history, w]))[-1]) for w in range(V)]
        assert sum(p) == pytest.approx(1, abs=1e-12)
        assert min(p) > 0


def test_what_the_text_repeats_is_nearly_sure_from_the_second_order_on():
    text = np.tile([0, 1, 2, 3], 500)
    assert NGram(text, 4, 1).nats(text) == pytest.approx(math.log(4), rel=1e-3)
    assert NGram(text, 4, 2).nats(text) < 0.01


def test_a_text_without_order_cannot_be_guessed_by_any_order():
    draws = np.random.default_rng(2).integers(0, 4, 60_000)
    for order in (1, 2, 3):
        found = NGram(draws[:50_000], 4, order).nats(draws[50_000:])
        assert found == pytest.approx(math.log(4), rel=0.01)


def test_a_token_that_follows_one_other_is_rare_elsewhere():
    """San Francisco: as often as "the", but after one token only. That is what Kneser-Ney adds."""
    san, francisco, the, a, b, c = range(6)
    text = np.array([san, francisco, a, the, b, the, san, francisco, c, the] * 20)
    p = np.exp([NGram(text, 7, 2).log_probabilities(np.array([6, w]))[1] for w in range(6)])
    assert p[the] > 2 * p[francisco]


def test_a_text_shorter_than_the_order_counts_what_there_is():
    assert NGram(np.array([1]), 3, 5).nats(np.array([1])) < math.log(3)
    assert np.isfinite(NGram(np.array([1, 2]), 3, 5).nats(np.array([0, 1, 2, 1])))


def test_characters_are_numbered_and_new_ones_share_a_place():
    text = "to be or not to be " * 30
    assert character_nats(text, text, 4) < character_nats(text, text, 2) < math.log(8)
    known, unknown = (character_nats(text, text + end, 1) for end in ("t", "ж"))
    assert known < unknown < math.inf
    assert character_nats(text, "ж", 1) == character_nats(text, "☃", 1)


@pytest.mark.parametrize(
    ("ids", "order", "message"),
    [
        (np.array([], int), 2, r"NGram: a text of integer ids \(M,\) with M > 0 is needed, got"),
        (np.array([0.5]), 2, "integer ids .* got float64 of shape"),
        (np.array([[1]]), 2, r"got int64 of shape \(1, 1\)"),
        (np.array([0, 6]), 2, r"ids must lie in 0 … 5 \(vocab_size\), got 0 … 6"),
        (np.array([-1]), 2, r"ids must lie in 0 … 5 \(vocab_size\), got -1 … -1"),
        (np.array([1]), 0, "NGram: order must be 1 or more, got 0"),
    ],
)
def test_texts_that_cannot_be_counted_are_refused(ids, order, message):
    with pytest.raises(ValueError, match=message):
        NGram(ids, V, order)
    with pytest.raises(ValueError, match="a text of integer ids"):
        character_nats("abc", "")
