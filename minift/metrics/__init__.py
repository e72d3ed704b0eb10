"""Numbers that judge a model, and how sure they are.

In reading order: `classes` (answers that are right or wrong), `numbers`, `ranking` (scores,
whatever the threshold), `calibration` (what probabilities are worth), `intervals` (all of them, and
what chance does to them). `y_true` comes first, as in scikit-learn, with whose results these agree.

Not here: losses (`minift.objectives`).
"""

from minift.metrics.calibration import (
    calibration_error_interval,
    expected_calibration_error,
    reliability,
)
from minift.metrics.classes import (
    accuracy,
    confusion_matrix,
    exact_match,
    label_precision_recall_f1,
    macro_f1,
    macro_f1_interval,
    micro_f1,
    precision_recall_f1,
)
from minift.metrics.intervals import (
    bootstrap_interval,
    bootstrap_interval_of,
    paired_interval,
    student_quantile,
)
from minift.metrics.numbers import (
    mean_absolute_error,
    mean_squared_error,
    pearson,
    perplexity,
    r2_score,
    spearman,
)
from minift.metrics.ranking import (
    average_precision,
    average_precision_interval,
    roc_auc,
    roc_auc_interval,
)

__all__ = [
    "accuracy",
    "average_precision",
    "average_precision_interval",
    "bootstrap_interval",
    "bootstrap_interval_of",
    "calibration_error_interval",
    "confusion_matrix",
    "exact_match",
    "expected_calibration_error",
    "label_precision_recall_f1",
    "macro_f1",
    "macro_f1_interval",
    "mean_absolute_error",
    "mean_squared_error",
    "micro_f1",
    "paired_interval",
    "pearson",
    "perplexity",
    "precision_recall_f1",
    "r2_score",
    "reliability",
    "roc_auc",
    "roc_auc_interval",
    "spearman",
    "student_quantile",
]
