"""Two honest baselines for text: what a few labels give without any neural network.

`NaiveBayes` counts words; `TfidfLogistic` weighs them by rarity and fits a linear model. Both see
a text as the multiset of its words, know no order, and take a second. A pre-trained model that
does not beat them has bought nothing.

Rows of word weights are nearly all zeros, so that only the rest is stored (`SparseRows`).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

_WORD = re.compile(r"[^\W\d_]+")  # runs of letters, of any script


def words_of(text: str) -> list[str]:
    """The words of a text: its runs of letters, in lower case."""
    return _WORD.findall(text.lower())


class SparseRows:
    """A matrix (n, V) as its non-zero entries, row by row.

    `starts` (n + 1,): row i is entries `starts[i]:starts[i + 1]` of `columns` and `values`.
    """

    def __init__(
        self, starts: np.ndarray, columns: np.ndarray, values: np.ndarray, width: int
    ) -> None:
        self.starts, self.columns, self.values, self.width = starts, columns, values, width

    @classmethod
    def count_words(cls, texts: Iterable[str], column_of: dict[str, int]) -> "SparseRows":
        """How often each known word occurs in each text; columns ascend within a row."""
        starts, columns, values = [0], [], []
        for text in texts:
            found = (column_of[word] for word in words_of(text) if word in column_of)
            for column, count in sorted(Counter(found).items()):
                columns.append(column)
                values.append(count)
            starts.append(len(columns))
        arrays = np.array(starts), np.array(columns, int), np.array(values, float)
        return cls(*arrays, len(column_of))

    @property
    def rows(self) -> np.ndarray:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def T(self) -> "SparseRows":  # noqa: N802 - NumPy's name
        """The transpose, (V, n)."""
        order = np.argsort(self.columns, kind="stable")
        counts = np.bincount(self.columns, minlength=self.width)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return SparseRows(starts, self.rows[order], self.values[order], len(self.starts) - 1)

    def __matmul__(self, dense: np.ndarray) -> np.ndarray:
        """The product with (V, C), (n, C): weighted rows of `dense`, summed row by row."""
        product = np.zeros((len(self.starts) - 1, dense.shape[1]))
        full = np.flatnonzero(np.diff(self.starts))  # reduceat knows no empty sum
        if len(full):
            terms = dense[self.columns] * self.values[:, None]  # (entries, C)
            product[full] = np.add.reduceat(terms, self.starts[full], axis=0)
        return product

    def unit_rows(self) -> "SparseRows":
        """The same with every row scaled to length 1 (rows of zeros stay)."""
        lengths = np.sqrt(np.bincount(self.rows, self.values**2, len(self.starts) - 1))
        values = self.values / lengths[self.rows]
        return SparseRows(self.starts, self.columns, values, self.width)


class NaiveBayes:
    """Multinomial naive Bayes over words (McCallum & Nigam 1998), smoothed by `alpha`.

    log P(c | text) = log P(c) + sum over words of log P(word | c) + constant, with
    P(word | c) = (count of the word in c + alpha) / (words in c + alpha V). The vocabulary is
    that of the texts it is fitted on; other words are ignored.
    """

    def __init__(self, alpha: float = 0.1) -> None:
        if alpha <= 0:
            raise ValueError(f"NaiveBayes: alpha must be positive, got {alpha}")
        self.alpha = alpha

    def fit(self, texts: Sequence[str], labels: ArrayLike) -> "NaiveBayes":
        """Count. `labels` (n,) are classes 0 to C - 1. Returns itself."""
        one_hot = _one_hot(texts, labels)  # (n, C)
        self.column_of = _columns(texts)
        counts = SparseRows.count_words(texts, self.column_of).T @ one_hot + self.alpha  # (V, C)
        self.log_likelihood = np.log(counts / counts.sum(0))
        with np.errstate(divide="ignore"):  # a class without texts has log P = -inf
            self.log_prior = np.log(one_hot.mean(0))
        return self

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Probabilities (n, C)."""
        rows = SparseRows.count_words(texts, self.column_of)
        return _softmax(rows @ self.log_likelihood + self.log_prior)

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """The most probable class of each text, (n,)."""
        return self.predict_proba(texts).argmax(1)


class TfidfLogistic:
    """Multinomial logistic regression on TF-IDF rows, as scikit-learn's two classes make it.

    Word weights are tf * idf with idf = 1 + log((1 + N) / (1 + texts with the word)), from
    `idf_texts`, which need no labels and also set the vocabulary; rows have length 1. The
    regression minimises mean cross-entropy + |W|² / (2 C n) over n texts, the intercepts free. The
    default C was best on the glosses' development split at 8, 32 and 128 labels a class together.
    """

    def __init__(self, idf_texts: Sequence[str], C: float = 10.0) -> None:
        if C <= 0:
            raise ValueError(f"TfidfLogistic: C must be positive, got {C}")
        self.C = C
        self.column_of = _columns(idf_texts)
        if not self.column_of:
            raise ValueError("TfidfLogistic: idf_texts hold no word")
        counts = SparseRows.count_words(idf_texts, self.column_of)
        frequency = np.bincount(counts.columns, minlength=counts.width)
        self.idf = 1 + np.log((1 + len(idf_texts)) / (1 + frequency))  # (V,)

    def fit(self, texts: Sequence[str], labels: ArrayLike) -> "TfidfLogistic":
        """Fit weights (V, classes) and intercepts. `labels` (n,) are 0, 1, ... Returns itself."""
        one_hot = _one_hot(texts, labels)  # (n, classes)
        x = self.rows(texts)
        used = np.unique(x.columns)  # a word without a labelled text keeps weight 0
        x = SparseRows(x.starts, np.searchsorted(used, x.columns), x.values, len(used))
        solution = minimize(regression_loss(x, one_hot, self.C), (len(used) + 1) * one_hot.shape[1])
        table = solution.reshape(-1, one_hot.shape[1])
        self.weight = np.zeros((len(self.idf), one_hot.shape[1]))
        self.weight[used], self.intercept = table[:-1], table[-1]
        return self

    def rows(self, texts: Sequence[str]) -> SparseRows:
        """TF-IDF rows of length 1, (n, V)."""
        counts = SparseRows.count_words(texts, self.column_of)
        counts.values *= self.idf[counts.columns]
        return counts.unit_rows()

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Probabilities (n, classes)."""
        return _softmax(self.rows(texts) @ self.weight + self.intercept)

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """The most probable class of each text, (n,)."""
        return self.predict_proba(texts).argmax(1)


def minimize(
    loss: Callable[[np.ndarray], tuple[float, np.ndarray]],
    size: int,
    tolerance: float = 1e-7,
    history: int = 10,
    max_steps: int = 2000,
) -> np.ndarray:
    """The minimum of a smooth convex function of `size` numbers, from 0, by L-BFGS.

    `loss(x)` gives value and gradient. Stops when no part of the gradient exceeds `tolerance`, or
    rounding hides all further descent. Nocedal & Wright, Numerical Optimization, 2nd ed.,
    algorithms 7.4 and 7.5; steps are halved until the value falls enough (Armijo, equation 3.4).
    Raises RuntimeError if `max_steps` do not suffice.
    """
    x = np.zeros(size)
    value, gradient = loss(x)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []  # (change of x, change of the gradient)
    for _ in range(max_steps):
        if np.abs(gradient).max() <= tolerance:
            return x
        direction = -_approximate_newton(gradient, pairs)
        step, slope = 1.0, dot(gradient, direction)
        while (new := loss(x + step * direction))[0] > value + 1e-4 * step * slope:
            step /= 2
            if step < 1e-12:
                return x
        change = step * direction, new[1] - gradient
        if dot(*change) > 0:  # else the curvature would not be positive
            pairs = [*pairs, change][-history:]
        x, (value, gradient) = x + change[0], new
    raise RuntimeError(f"minimize: not converged after {max_steps} steps")


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """The inner product of two vectors, in one thread.

    The BLAS behind `a @ b` would wake its threads for microseconds of work; on a busy machine that
    made a fit ten times slower.
    """
    return float(np.einsum("i,i->", a, b))


def _approximate_newton(
    gradient: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The inverse Hessian, as far as `pairs` reveal it, times the gradient (the two loops)."""
    q = gradient.copy()
    alphas = []
    for s, y in reversed(pairs):
        alphas.append(dot(s, q) / dot(s, y))
        q -= alphas[-1] * y
    if pairs:
        s, y = pairs[-1]
        q *= dot(s, y) / dot(y, y)
    for (s, y), alpha in zip(pairs, reversed(alphas)):
        q += (alpha - dot(y, q) / dot(s, y)) * s
    return q


def regression_loss(
    x: SparseRows | np.ndarray, one_hot: np.ndarray, C: float
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Value and gradient of mean cross-entropy + |W|² / (2 C n) at (weights, intercepts), flat.

    Rows `x` (n, F), targets `one_hot` (n, classes); the intercepts come last and are free.
    """
    transposed, n = x.T, len(one_hot)
    decay = 1 / (C * n)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = flat.reshape(-1, one_hot.shape[1])
        weight = table[:-1]
        logits = x @ weight + table[-1]  # (n, classes)
        logits -= logits.max(1, keepdims=True)
        log_total = np.log(np.exp(logits).sum(1, keepdims=True))
        error = (np.exp(logits - log_total) - one_hot) / n
        cross_entropy = (log_total.sum() - (logits * one_hot).sum()) / n
        value = cross_entropy + decay / 2 * (weight**2).sum()
        gradient = np.vstack([transposed @ error + decay * weight, error.sum(0)])
        return float(value), gradient.ravel()

    return loss


def _columns(texts: Iterable[str]) -> dict[str, int]:
    """Each word's column, in sorted order."""
    words = sorted({word for text in texts for word in words_of(text)})
    return {word: i for i, word in enumerate(words)}


def _one_hot(texts: Sequence[str], labels: ArrayLike) -> np.ndarray:
    """Labels (n,) as rows with a single 1, (n, C). Raises ValueError if they do not fit."""
    classes = np.asarray(labels)
    if len(texts) == 0 or classes.shape != (len(texts),) or classes.dtype.kind not in "iu":
        raise ValueError(
            f"fit: need one integer label a text, got {len(texts)} texts and labels of "
            f"{classes.dtype} with shape {classes.shape}"
        )
    if classes.min() < 0:
        raise ValueError(f"fit: labels must be 0 or more, got {classes.min()}")
    return np.eye(classes.max() + 1)[classes]


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
