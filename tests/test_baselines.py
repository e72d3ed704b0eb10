"""Baselines: scikit-learn's numbers, and the accuracies that make them worth beating."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import oracle

from minift.baselines import NaiveBayes, SparseRows, TfidfLogistic, minimize, words_of
from minift.data.glosses import draw_labelled, load_glosses
from minift.metrics import accuracy

TEXTS = ["a red cat", "the cat", "a green tree, a tall tree", "trees are green"]
LABELS = [0, 0, 1, 1]
TOKEN_PATTERN = r"(?u)[^\W\d_]+"  # our words, for scikit-learn


@pytest.fixture(scope="module")
def glosses():
    return load_glosses()


@pytest.fixture(scope="module")
def tfidf(glosses):
    return TfidfLogistic(glosses.unlabelled)


@pytest.fixture
def model():
    return TfidfLogistic(TEXTS)


# --- sparse rows --------------------------------------------------------------------------------


def dense(rows):
    return rows @ np.eye(rows.width)


def test_words_are_runs_of_letters_in_lower_case():
    assert words_of("It's 3 Cafés-au-lait, x_y") == ["it", "s", "cafés", "au", "lait", "x", "y"]


def test_counts_stand_in_their_columns():
    rows = SparseRows.count_words(["b a b", "", "unknown"], {"a": 0, "b": 1})
    assert dense(rows).tolist() == [[1, 2], [0, 0], [0, 0]]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=6))
def test_sparse_products_equal_dense_ones(table):
    table = np.array(table, float)
    found = [np.flatnonzero(row) for row in table]
    rows = SparseRows(
        np.cumsum([0, *map(len, found)]), np.concatenate(found), table[table != 0], width=4
    )
    right = np.random.default_rng(0).normal(size=(4, 2))
    assert rows @ right == pytest.approx(table @ right)
    assert dense(rows.T) == pytest.approx(table.T)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    assert dense(rows.unit_rows()) == pytest.approx(table / np.where(lengths > 0, lengths, 1))


# --- naive Bayes --------------------------------------------------------------------------------


def test_naive_bayes_by_hand():
    """P(cat | 0) = (2 + 1) / (5 + 9), P(cat | 1) = (0 + 1) / (9 + 9), equal priors."""
    proba = NaiveBayes(alpha=1).fit(TEXTS, LABELS).predict_proba(["cat"])
    odds = (3 / 14) / (1 / 18)
    assert proba[0, 0] == pytest.approx(odds / (1 + odds))


def test_naive_bayes_equals_scikit_learns(glosses):
    sk, bayes = oracle("sklearn.feature_extraction.text"), oracle("sklearn.naive_bayes")
    texts, labels = draw_labelled(glosses, 8, seed=0)
    texts, labels = texts[:150], labels[:150]  # uneven priors
    vectors = sk.CountVectorizer(token_pattern=TOKEN_PATTERN).fit(texts)
    other = bayes.MultinomialNB(alpha=0.1).fit(vectors.transform(texts), labels)
    expected = other.predict_proba(vectors.transform(glosses.dev[0]))
    assert NaiveBayes().fit(texts, labels).predict_proba(glosses.dev[0]) == pytest.approx(expected)


def test_naive_bayes_gives_a_class_without_texts_probability_0():
    proba = NaiveBayes().fit(["a", "b"], [0, 2]).predict_proba(["a", "unknown"])
    assert proba[:, 1].tolist() == [0, 0]
    assert proba[1].tolist() == [0.5, 0, 0.5]


# --- TF-IDF and logistic regression -------------------------------------------------------------


def test_tfidf_rows_have_length_1_and_favour_rare_words(model):
    row = dense(model.rows(["a red thing"]))[0]
    assert np.linalg.norm(row) == pytest.approx(1)
    assert row[model.column_of["red"]] > row[model.column_of["a"]] > 0
    assert np.count_nonzero(row) == 2


def test_idf_by_hand(model):
    """Of four texts two hold "cat" and one "red"."""
    assert model.idf[model.column_of["cat"]] == pytest.approx(1 + np.log(5 / 3))
    assert model.idf[model.column_of["red"]] == pytest.approx(1 + np.log(5 / 2))


def test_tfidf_logistic_equals_scikit_learns(glosses, tfidf):
    sk, linear = oracle("sklearn.feature_extraction.text"), oracle("sklearn.linear_model")
    vectors = sk.TfidfVectorizer(token_pattern=TOKEN_PATTERN).fit(glosses.unlabelled)
    texts, labels = draw_labelled(glosses, 8, seed=0)
    other = linear.LogisticRegression(C=tfidf.C, tol=1e-6, max_iter=2000)
    other.fit(vectors.transform(texts), labels)
    expected = other.predict_proba(vectors.transform(glosses.dev[0]))
    proba = tfidf.fit(texts, labels).predict_proba(glosses.dev[0])
    assert np.abs(proba - expected).max() < 1e-3
    assert np.mean(proba.argmax(1) == expected.argmax(1)) > 0.995


def test_text_of_unknown_words_gets_the_intercepts(model):
    proba = model.fit(TEXTS, LABELS).predict_proba(["zebra", ""])
    assert proba[0] == pytest.approx(proba[1])
    assert proba.sum(1) == pytest.approx(1)


def test_fit_is_repeatable(model):
    first, second = (model.fit(TEXTS, LABELS).predict_proba(TEXTS) for _ in range(2))
    assert (first == second).all()


def test_minimize_finds_the_minimum_of_a_stretched_bowl():
    stretch = np.logspace(0, 4, 20)
    goal = np.random.default_rng(0).normal(size=20)
    bowl = lambda x: (float(stretch @ (x - goal) ** 2) / 2, stretch * (x - goal))
    assert minimize(bowl, 20) == pytest.approx(goal, abs=1e-6)


def test_minimize_ends_when_rounding_hides_descent():
    noisy = lambda x: (1e9 + float(x @ x), 2 * x + 1)  # the gradient never vanishes at the minimum
    assert np.isfinite(minimize(noisy, 3)).all()


def test_minimize_says_when_it_did_not_converge():
    bowl = lambda x: (float(x @ x), 2 * x + 1e-3)
    with pytest.raises(RuntimeError, match="not converged after 0 steps"):
        minimize(bowl, 3, max_steps=0)


# --- what they are worth ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels_per_class", "bayes", "logistic"), [(8, 0.26, 0.33), (32, 0.40, 0.455)]
)
def test_accuracy_on_the_development_split(glosses, tfidf, labels_per_class, bayes, logistic):
    """Known from a run of three draws; a change of more than a point is news."""
    found = []
    for seed in range(3):
        texts, labels = draw_labelled(glosses, labels_per_class, seed)
        models = NaiveBayes().fit(texts, labels), tfidf.fit(texts, labels)
        found.append([accuracy(glosses.dev[1], m.predict(glosses.dev[0])) for m in models])
    assert np.mean(found, axis=0) == pytest.approx([bayes, logistic], abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NaiveBayes(alpha=0), "alpha must be positive, got 0"),
        (lambda: TfidfLogistic(TEXTS, C=-1), "C must be positive, got -1"),
        (lambda: TfidfLogistic(["12 34"]), "idf_texts hold no word"),
        (lambda: NaiveBayes().fit([], []), "need one integer label a text, got 0 texts"),
        (lambda: NaiveBayes().fit(["a"], [0, 1]), r"got 1 texts and labels of int64 with shape"),
        (lambda: TfidfLogistic(TEXTS).fit(["a"], ["x"]), "got 1 texts and labels of <U1"),
        (lambda: TfidfLogistic(TEXTS).fit(["a"], [-1]), "labels must be 0 or more, got -1"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
