"""Linear probe, nearest neighbours and principal components beside what they are defined as."""

import numpy as np
import pytest

from minift.data import load_digits
from minift.probes import (
    LinearProbe,
    NearestNeighbours,
    PrincipalComponents,
    Prototypes,
    draw_per_class,
)

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((60, 5)) + np.arange(60)[:, None] % 3
LABELS = np.arange(60) % 3


def test_nearest_neighbours_count_votes_as_a_loop_does():
    queries = RNG.standard_normal((300, 5)) + 1
    expected = []
    for query in queries:
        order = np.argsort(((ROWS - query) ** 2).sum(1))[:4]
        votes = np.bincount(LABELS[order], minlength=3)
        best = np.flatnonzero(votes == votes.max())
        expected.append(next(c for c in LABELS[order] if c in best) if len(best) > 1 else best[0])
    found = NearestNeighbours(4).fit(ROWS, LABELS).predict(queries)
    assert found.tolist() == expected
    one = NearestNeighbours(1).fit(ROWS, LABELS)
    assert (one.predict(ROWS) == LABELS).all()


def test_more_neighbours_than_rows_is_the_majority():
    probe = NearestNeighbours(100).fit(ROWS[:5], [0, 1, 1, 1, 0])
    assert probe.predict(ROWS[:2]).tolist() == [1, 1]


def test_a_prototype_is_the_mean_of_its_class_and_the_nearest_one_wins():
    queries = RNG.standard_normal((50, 5)) + 1
    means = np.stack([ROWS[c == LABELS].mean(0) for c in range(3)])
    expected = ((queries[:, None] - means) ** 2).sum(-1).argmin(1)
    assert Prototypes().fit(ROWS, LABELS).predict(queries).tolist() == expected.tolist()
    gap = Prototypes().fit(ROWS[:20], 2 * (LABELS[:20] > 0))  # class 1 does not occur
    assert set(gap.predict(queries)) <= {0, 2}
    with pytest.raises(ValueError, match="Prototypes: 4 features, fitted on 5"):
        gap.predict(queries[:, :4])


def test_the_digits_have_their_known_numbers():
    digits = load_digits()
    neighbours = NearestNeighbours(5).fit(*digits.train).predict(digits.test[0])
    assert (neighbours == digits.test[1]).mean() == pytest.approx(0.984)
    for k, error in ((0, 0.0737), (2, 0.0531), (8, 0.0242), (16, 0.0114)):
        pca = PrincipalComponents(k).fit(digits.train[0])
        drawn = pca.reconstruct(digits.test[0])
        assert drawn.shape == digits.test[0].shape
        assert ((drawn - digits.test[0]) ** 2).mean() == pytest.approx(error, abs=6e-5)


def test_all_components_keep_everything():
    pca = PrincipalComponents(5).fit(ROWS)
    np.testing.assert_allclose(pca.reconstruct(ROWS), ROWS, atol=1e-12)
    assert pca.encode(ROWS).shape == (60, 5)


def test_a_probe_reaches_the_optimum_of_its_loss():
    """At the minimum the gradient is 0: Σ (p − y) xᵀ / n + W / (C n) = 0."""
    probe = LinearProbe(C=2.0).fit(ROWS, LABELS)
    x = (ROWS - ROWS.mean(0)) / ROWS.std(0)
    scores = x @ probe.weight + probe.intercept
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    gradient = x.T @ (p - np.eye(3)[LABELS]) / 60 + probe.weight / (2.0 * 60)
    assert np.abs(gradient).max() < 1e-5
    assert (probe.predict(ROWS) == scores.argmax(1)).all()


def test_a_probe_sees_neither_scale_nor_a_feature_that_never_varies():
    """E35: (x − ½) / ½ moves the range, no more; standardised, a scale is gone."""
    stretched = np.column_stack([ROWS * [1, 10, 100, 1e-3, 1], np.full(60, 7.0)])
    plain = LinearProbe().fit(ROWS, LABELS).predict(ROWS)
    assert (LinearProbe().fit(stretched, LABELS).predict(stretched) == plain).all()


def test_draws_hold_as_many_of_each_class():
    rows = draw_per_class(LABELS, 4, seed=3)
    assert np.bincount(LABELS[rows]).tolist() == [4, 4, 4]
    assert len(set(rows.tolist())) == 12
    assert not np.array_equal(rows, draw_per_class(LABELS, 4, seed=4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LinearProbe(0), "LinearProbe: C must be above 0, got 0"),
        (lambda: NearestNeighbours(0), "k must be 1 or more, got 0"),
        (lambda: PrincipalComponents(-1), "k must be 0 or more, got -1"),
        (lambda: PrincipalComponents(9).fit(ROWS), "9 components of 60 rows with 5 features"),
        (lambda: LinearProbe().fit(ROWS, LABELS[:3]), "need one label from 0 a row, got 60 rows"),
        (lambda: LinearProbe().fit(ROWS[:0], []), r"must be rows \(n, ...\), got shape \(0, 5\)"),
        (lambda: LinearProbe().fit(ROWS * np.nan, LABELS), "features hold NaN"),
        (lambda: LinearProbe().fit(ROWS, LABELS).predict(ROWS[:, :2]), "2 features, fitted on 5"),
        (lambda: NearestNeighbours().fit(ROWS, LABELS).predict(ROWS[:, :2]), "2 features, fitted"),
        (lambda: draw_per_class(LABELS, 21, 0), "21 of the 20 examples of class 0"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
