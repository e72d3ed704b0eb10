"""What the commands on a user's own data do: fine-tune on a table, judge a model, answer texts.

In reading order: `examples` (rows that can be learnt from), `tasks/` (what the labels mean),
`classifiers` (a model and its tokenizer on the way in and out), `recipe` (rates and epochs that
nobody should have to guess), `finetuning`, `evaluation`, `prediction`, `searching`; `folder` keeps
what lies in a run's folder, `resuming` goes on with one that was killed, `words` says it. The words
of the command line are `minift/cli/`.
"""
