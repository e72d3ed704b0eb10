"""What a label can mean: one class of several, any number of them, or a number.

A task reads the labels of a table, names the loss, judges the model's scores and puts them into
words. Read `task.py` (what they share), then `classification.py`.
"""

from minift.jobs.tasks.classification import ClassificationTask
from minift.jobs.tasks.multilabel import MultiLabelTask
from minift.jobs.tasks.regression import RegressionTask
from minift.jobs.tasks.task import Scores, Task

TASKS: dict[str, type[Task]] = {
    task.kind: task for task in (ClassificationTask, MultiLabelTask, RegressionTask)
}

__all__ = [
    "TASKS",
    "ClassificationTask",
    "MultiLabelTask",
    "RegressionTask",
    "Scores",
    "Task",
    "task_of",
]


def task_of(problem_type: str | None, names: list[str]) -> Task:
    """The task that a model was made for, by what its config.json says.

    None means classification, or for one label regression, as in transformers.
    """
    if problem_type is None:
        problem_type = (ClassificationTask if len(names) > 1 else RegressionTask).problem_type
    return next(task(names) for task in TASKS.values() if task.problem_type == problem_type)
