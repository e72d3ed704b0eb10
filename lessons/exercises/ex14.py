"""Exercise 14: hide tokens of a whole batch, so that the counts come out right.

Write the function below. Check with: minift learn check 14
"""

IGNORED = -100


def mask_tokens(ids, special, mask_id, vocab_size, rng):
    """Hide tokens of ids (B, T): returns (ids with tokens hidden, labels), both (B, T).

    Tokens whose id is in the list `special` are never chosen. Each other token is chosen with
    probability 0.15, independently; of a row in which none was chosen, one is, if there is any that
    is not special. Of the chosen tokens 80 % become `mask_id`, 10 % a random id that is not
    special, of 0 ... vocab_size - 1, and 10 % stay. Labels hold the original id at chosen places
    and IGNORED elsewhere. `ids` stays as it is. All chance comes from `rng`: rng.random(shape),
    rng.choice(array, shape).
    """
    raise NotImplementedError("exercise 14: write mask_tokens")
