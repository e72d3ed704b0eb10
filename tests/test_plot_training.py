"""Pictures of a fine-tuning: drawn for what comes, whole on the disk."""

import numpy as np
import pytest

from minift import plot
from minift.plot.training import shortened


def is_png(file):
    return file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("evaluations", [0, 3])
def test_learning_curves_with_and_without_validation(tmp_path, evaluations):
    records = [{"step": i, "loss": 1 / i} for i in range(1, 31)]
    records += [{"step": 10 * (i + 1), "validation_loss": 0.5 - 0.1 * i}
                for i in range(evaluations)]  # fmt: skip
    plot.learning_curves(records, tmp_path / "deep" / "curves.png")
    assert is_png(tmp_path / "deep" / "curves.png")


@pytest.mark.parametrize("classes", [2, 31, 300])
def test_a_confusion_matrix_of_any_size(tmp_path, classes):
    counts = np.eye(classes, dtype=int) * 5
    counts[0] = 0  # a class that never occurs
    names = [f"class ${i}_{{" + "x" * 30 for i in range(classes)]
    plot.confusion(counts.tolist(), names, tmp_path / "confusion.png")
    assert is_png(tmp_path / "confusion.png")


@pytest.mark.parametrize("positives", [1, 5, 40])
def test_precision_and_recall_of_few_rows_and_of_all(tmp_path, positives):
    positive = np.arange(40) < positives
    file = tmp_path / "curve.png"
    plot.precision_recall(positive, np.linspace(1, 0, 40), "rare $x$", file)
    assert is_png(file)


def test_predictions(tmp_path):
    plot.predictions(np.arange(5.0), np.arange(5.0) ** 2, tmp_path / "predictions.png")
    assert is_png(tmp_path / "predictions.png")


@pytest.mark.parametrize("confidence", [[1.0], [0.0, 0.2, 0.21, 0.9]])
def test_reliability_also_of_a_single_sure_answer(tmp_path, confidence):
    plot.reliability(np.array(confidence), np.ones(len(confidence)), tmp_path / "reliability.png")
    assert is_png(tmp_path / "reliability.png")


def test_long_names_are_cut_and_dollars_are_not_mathematics():
    assert shortened("a$b$") == r"a\$b\$"
    assert shortened("x" * 30) == "x" * 19 + "…"
