"""Search over fine-tunings: what `minift search` does.

    plan = prepare(Options(base=finetuning.Options(...), space={"lr": [1e-5, 1e-4]}))
    results = run(plan)

The test part is put aside as a fine-tuning with the same seed would do it. Trials are given a table
of the other rows alone, in whatever process they run: the test rows are not there to be seen. At
the end one fine-tuning with the best settings goes to best/, from the whole table, and its numbers
on the test part are the search's.

In reading order: `jobs` (texts or images), `objective` (what a trial is: a fine-tuning that is
scored on validation rows, or on one fold after the other), `space_files` (what may be chosen),
`plan` (all that can be checked before it starts), `methods` (grid, random, halving), `outer_folds`
(the whole search inside of folds: what the choosing is worth), `running`, and `words`, which says
it. What knows nothing of fine-tuning is `minift/search/`.

A killed search goes on after `prepare_again(folder)`: with the trials and folds that are missing,
then with the last fine-tuning where it stood.
"""

from minift.jobs.searching.plan import Options, Plan, prepare, prepare_again
from minift.jobs.searching.running import run

__all__ = ["Options", "Plan", "prepare", "prepare_again", "run"]
