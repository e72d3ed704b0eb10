"""The main job, end to end: pre-train on text without labels, fine-tune on few, compare honestly.

`minift quickstart` runs `job.py`. Read `recipe.py` (every number that was chosen), then
`pretraining.py` and `finetuning.py` (the two halves, callable alone), then `job.py` and
`report.py` (the table, the closing sentence, results.json).
"""

from minift.quickstart.finetuning import Outcome, baseline, finetune_once
from minift.quickstart.job import Options, prepare, run
from minift.quickstart.pretraining import Pretrained, pretrain
from minift.quickstart.recipe import DEFAULT, QUICK, FineTuning, Recipe

__all__ = [
    "DEFAULT",
    "QUICK",
    "FineTuning",
    "Options",
    "Outcome",
    "Pretrained",
    "Recipe",
    "baseline",
    "finetune_once",
    "prepare",
    "pretrain",
    "run",
]
