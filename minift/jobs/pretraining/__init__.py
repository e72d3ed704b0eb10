"""Pre-train on unlabelled text or images: what `minift pretrain` does.

In reading order: `recipes` (the table of objectives and every chosen number), `texts` and
`text_files` (data; those of images are `minift/jobs/images.py`), `work` (what a run asks of an
objective), `image_work`, `text_work`, `masked_words`, `sentence_order`, `sentence_twins` and
`next_words` (the answers), `probing` (what features are worth), `plan` (all that can be checked),
`running`; `timing`, `pictures` and `report` stand beside it.
"""

from minift.jobs.pretraining.plan import Options, Plan, prepare, prepare_again
from minift.jobs.pretraining.recipes import RECIPES, SIZES
from minift.jobs.pretraining.running import run

__all__ = ["RECIPES", "SIZES", "Options", "Plan", "prepare", "prepare_again", "run"]
