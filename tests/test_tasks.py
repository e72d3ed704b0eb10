"""Tasks: what labels mean, what the loss sees of them, how outputs are judged and worded."""

import json

import numpy as np
import pytest

from minift.jobs import words
from minift.jobs.examples import Examples
from minift.jobs.tasks import (
    ClassificationTask,
    MultiLabelTask,
    RegressionTask,
    task_of,
)


def examples(*labels, texts=None):
    texts = texts or [f"text {i}" for i in range(len(labels))]
    return Examples("t.csv", "label", texts, None, list(labels), list(range(2, 2 + len(labels))))


def test_copies_of_a_text_share_a_group_whatever_capitals_and_spaces():
    rows = examples(*"abcd", texts=["A  film", "a film ", "a movie", "A\nFILM"])
    assert rows.groups.tolist() == [0, 0, 1, 0]


# -------------------------------------------------------------------------------- classification


@pytest.mark.parametrize(
    ("labels", "names", "classes"),
    [
        (["dog", "cat", "dog"], ["cat", "dog"], [1, 0, 1]),
        (["10", "9", "-1"], ["-1", "9", "10"], [2, 1, 0]),
        (["1.0", "1", "2.00"], ["1", "2"], [0, 0, 1]),
        (["0.5", "1.50", "x"], ["0.5", "1.50", "x"], [0, 1, 2]),
        ([" a", "b ", "a"], ["a", "b"], [0, 1, 0]),
    ],
)
def test_classes_are_numbers_in_their_order_or_words_in_theirs(labels, names, classes):
    task = ClassificationTask.learn(examples(*labels))
    assert task.names == names
    assert task.read(examples(*labels)).tolist() == classes


def test_balanced_weights_let_every_class_count_the_same():
    task, targets = ClassificationTask(["a", "b"]), np.array([0] * 9 + [1] * 3)
    weight = task.objective(targets, balanced=True).weight
    assert weight.tolist() == pytest.approx([12 / 18, 12 / 6])
    assert (weight[targets].sum(), task.objective(targets, balanced=False).weight) == (12, None)


def test_classification_is_judged_and_worded():
    task = ClassificationTask(["a", "b", "c"])
    outputs = np.array([[9.0, 0, 0], [0, 9, 0], [0, 1, 1.5], [0, 2, 0]], np.float32)
    targets = np.array([0, 1, 1, 1])
    scores = task.scores(targets, outputs)
    assert scores["accuracy"] == 0.75
    assert scores["confusion"] == [[1, 0, 0], [0, 2, 1], [0, 0, 0]]
    assert scores["per_class"]["b"] == {
        "precision": 1.0, "recall": pytest.approx(2 / 3), "f1": pytest.approx(0.8), "support": 3,
    }  # fmt: skip
    assert task.is_wrong(targets, outputs).tolist() == [False, False, True, False]
    assert task.losses(targets, outputs).argmax() == 2
    answer = task.answer(outputs[2])
    assert answer["label"] == "c"
    assert list(answer["probabilities"]) == ["c", "b", "a"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_one_answer_to_everything_is_called_a_collapse():
    task = ClassificationTask(["a", "b"])
    same = np.tile([0.0, 1.0], (12, 1))
    assert "were called 'b': the model has collapsed" in task.warning(same)
    assert task.warning(same[:5]) is None
    assert task.warning(np.vstack([same, [[1.0, 0.0]]])) is None


def test_baselines_are_fitted_on_training_and_judged_on_the_test():
    train = examples("b", "b", "a", texts=["bad", "bad", "good"])
    test = examples("a", "b", texts=["good", "bad"])
    task = ClassificationTask(["a", "b"])
    scores = task.baselines(train, task.read(train), test, task.read(test))
    assert scores["majority"]["accuracy"] == 0.5
    assert scores["naive_bayes"]["accuracy"] == 1.0


# ----------------------------------------------------------------------------------- multi-label


def test_labels_are_separated_by_semicolon_or_bar():
    rows = examples("a;b", "b | c", "", "a;;")
    task = MultiLabelTask.learn(rows)
    assert task.names == ["a", "b", "c"]
    assert task.read(rows).tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 0]]


def test_the_rarest_label_decides_where_a_text_is_divided():
    targets = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 0], [1, 1, 0]])
    assert MultiLabelTask(["a", "b", "c"]).strata(targets).tolist() == [0, 2, 3, 0, 0]


def test_several_labels_are_judged_and_worded():
    task = MultiLabelTask(["a", "b"])
    targets = np.array([[1, 0], [1, 1], [0, 0]], np.float32)
    outputs = np.array([[2.0, -1], [3, -2], [-1, -5]], np.float32)
    scores = task.scores(targets, outputs)
    assert scores["exact_match"] == pytest.approx(2 / 3)
    assert scores["micro_f1"] == pytest.approx(2 * 2 / (2 + 3))
    assert scores["per_class"]["b"]["f1"] == 0
    assert task.losses(targets, outputs).argmax() == 1
    assert task.answer(outputs[2])["label"] == []
    assert task.answer(np.array([500.0, -500.0]))["probabilities"] == {"a": 1.0, "b": 0.0}
    weight = task.objective(targets, balanced=True).pos_weight
    assert weight.tolist() == [0.5, 2.0]


# ------------------------------------------------------------------------------------ regression


def test_the_loss_of_numbers_sees_them_standardised():
    task = RegressionTask(["stars"])
    targets = np.array([1000.0, 3000.0, 5000.0])
    task.objective(targets, balanced=False)
    scaled = task.scaled(targets)
    assert scaled.dtype == np.float32
    assert (scaled.mean(), scaled.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))


def test_numbers_are_judged_and_worded():
    task = RegressionTask(["stars"])
    outputs = np.array([[1.0], [2.5], [2.0]], np.float32)
    scores = task.scores(np.array([1.0, 2.0, 3.0]), outputs)
    assert scores["mean_absolute_error"] == pytest.approx(0.5)
    assert scores["r2"] == pytest.approx(1 - 1.25 / 2)
    assert scores["spearman"] == pytest.approx(0.5)
    assert task.scores(np.array([2.0, 2.0, 2.0]), outputs)["r2"] is None
    assert task.answer(np.array([2.3456789], np.float32)) == {"label": 2.34568}


def test_numbers_are_divided_from_small_to_large():
    strata = RegressionTask(["stars"]).strata(np.arange(100.0))
    assert np.bincount(strata).tolist() == [10] * 10


# --------------------------------------------------------------------- what a folder was made for


@pytest.mark.parametrize(
    ("problem_type", "names", "kind"),
    [
        (None, ["a", "b"], ClassificationTask),
        (None, ["stars"], RegressionTask),
        ("regression", ["stars"], RegressionTask),
        ("multi_label_classification", ["a", "b"], MultiLabelTask),
        ("single_label_classification", ["a", "b"], ClassificationTask),
    ],
)
def test_config_json_tells_the_task(problem_type, names, kind):
    assert type(task_of(problem_type, names)) is kind


# ------------------------------------------------------------------------- chances and their order


def test_scores_of_classes_hold_auc_calibration_and_their_intervals():
    rng = np.random.default_rng(0)
    targets = np.r_[0, 1, 2, rng.integers(0, 3, 57)]
    outputs = rng.normal(size=(60, 3)) + 2 * np.eye(3)[targets]
    scores = ClassificationTask(["a", "b", "c"]).scores(targets, outputs)
    names = ("accuracy", "macro_f1", "auc", "average_precision", "calibration_error")
    for name in names:
        low, high = scores[f"{name}_interval"]
        assert 0 <= low <= high <= 1
        assert low <= scores[name] <= high or name == "calibration_error"
    assert sum(row["rows"] for row in scores["reliability"]) == 60
    shares = sum(row["rows"] * row["right"] for row in scores["reliability"]) / 60
    assert shares == pytest.approx(scores["accuracy"])
    recalls = [row["recall"] for row in scores["per_class"].values()]
    assert scores["macro_recall"] == pytest.approx(np.mean(recalls))
    json.dumps(scores, allow_nan=False)


def test_two_classes_are_ranked_by_the_second_ones_chance():
    outputs = np.array([[0.0, 3.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.5]])
    scores = ClassificationTask(["no", "yes"]).scores(np.array([1, 0, 1, 0]), outputs)
    assert scores["auc"] == scores["average_precision"] == 1


def test_a_test_part_of_one_class_has_no_auc_and_still_makes_json():
    scores = ClassificationTask(["no", "yes"]).scores(np.array([1, 1]), np.zeros((2, 2)))
    assert scores["auc"] is scores["auc_interval"] is scores["average_precision"] is None
    json.dumps(scores, allow_nan=False)
    assert "AUC" not in words.intervals(scores)


def test_several_labels_have_them_too():
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 2, (50, 3)).astype(np.float32)
    scores = MultiLabelTask(["a", "b", "c"]).scores(targets, rng.normal(size=(50, 3)) + targets)
    assert 0.5 < scores["auc"] < 1
    assert sum(row["rows"] for row in scores["reliability"]) == 150
    json.dumps(scores, allow_nan=False)
