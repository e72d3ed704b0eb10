"""Fine-tune a pre-trained encoder on labelled images: what `minift finetune` does with images.

As on texts (`minift/jobs/finetuning.py`), with the same strategies, numbers and files; read that
first. `plan` checks all that can be checked, `running` trains, `judging` judges and says it. The
labels are always classes.
"""

from minift.jobs.image_finetuning.plan import Options, Plan, is_of_images, prepare, prepare_again
from minift.jobs.image_finetuning.running import find_rate, record_of, run, train

__all__ = [
    "Options", "Plan", "find_rate", "is_of_images", "prepare", "prepare_again", "record_of", "run",
    "train",
]  # fmt: skip
