"""Checks of exercise 14: what was hidden, and whether the counts can be chance.

The chi-square of counts is Σ (counted − expected)² / expected. For right shares it is small; from
its size follows how probable counts at least so far off would be (p). Below one in a million we no
longer believe in chance. The seeds are fixed: a right solution always passes.
"""

import math

import numpy as np

from minift.learn import same, true

SPECIAL, MASK, V = [0, 1, 2, 3, 4], 4, 500
IDS = np.random.default_rng(14).integers(5, V, (1000, 100))  # nothing special in it
FEW = IDS[:4, :20]
SHORT = np.array([[2, 7 + i % 400, 3] for i in range(4000)])  # one ordinary token each
FRAMED = np.array([[2, 17, 29, 31, 3, 0], [2, 40, 3, 0, 0, 0], [2, 50, 60, 70, 80, 3]])


def hide(exercise, ids, seed=0, special=SPECIAL, mask=MASK):
    found = exercise.mask_tokens(ids.copy(), special, mask, V, np.random.default_rng(seed))
    true("the function should return two arrays: ids with tokens hidden, and labels",
         isinstance(found, tuple) and len(found) == 2)  # fmt: skip
    for name, array in zip(("the ids", "the labels"), found):
        true(f"{name} should have the shape {ids.shape}, yours: {np.shape(array)}",
             np.shape(array) == ids.shape)  # fmt: skip
    return found


def case_labels_tell_what_was_there(exercise):
    """a label is the id that stood there before, or −100 where nothing is asked"""
    seen, labels = hide(exercise, IDS[:20])
    asked = labels != -100
    true(
        "some tokens should be chosen (those whose label is not -100), most not; yours chose "
        f"{asked.sum()} of {asked.size}",
        0 < asked.sum() < asked.size / 2,
    )
    same("labels at the chosen places, beside the original ids", labels[asked], IDS[:20][asked])
    same("ids at the places that were not chosen, beside the original ones",
         seen[~asked], IDS[:20][~asked])  # fmt: skip


def case_special_tokens_are_left_alone(exercise):
    """[CLS], [SEP] and padding stand where everybody knows: there is nothing to guess"""
    for seed in range(50):
        _, labels = hide(exercise, FRAMED, seed)
        asked = FRAMED[(labels != -100) & np.isin(FRAMED, SPECIAL)]
        true(f"in\n{FRAMED}\nids 0 to 4 are special; of these yours chose {np.unique(asked)}",
             not len(asked))  # fmt: skip


def case_at_least_one(exercise):
    """a text of which nothing is asked teaches nothing, and a batch of them has a loss of 0/0"""
    for seed in range(50):
        _, labels = hide(exercise, FRAMED, seed)
        asked = (labels != -100).sum(axis=1)
        true(f"of each of these rows at least one token should be asked:\n{FRAMED}\n"
             f"yours asks {asked.tolist()} of them", asked.min() >= 1)  # fmt: skip


def case_nothing_but_padding(exercise):
    """a row without any ordinary token gives none"""
    ids = np.array([[2, 3, 0, 0], [2, 30, 3, 0]])
    _, labels = hide(exercise, ids)
    asked = (labels != -100).sum(axis=1).tolist()
    true(f"[CLS] [SEP] and padding: none is asked; of\n{ids}\nyours asks {asked}", asked == [0, 1])


def case_fifteen_percent(exercise):
    """15 % of the ordinary tokens are chosen: counted over 100,000 of them"""
    asked = int((hide(exercise, IDS)[1] != -100).sum())
    plausible("chosen, not chosen", [asked, IDS.size - asked], [0.15, 0.85])


def case_each_on_its_own(exercise):
    """each token is chosen or not by a throw of its own: no fixed number in each text"""
    counts = np.unique((hide(exercise, IDS)[1] != -100).sum(axis=1))
    true("1,000 rows of 100 ordinary tokens: the number of chosen ones should differ from row to "
         f"row, as the number of sixes in 100 throws does; yours chose {counts.tolist()} in a row",
         len(counts) > 5)  # fmt: skip


def case_eighty_ten_ten(exercise):
    """of the chosen ones 80 % are hidden, 10 % replaced, 10 % left: counted over about 15,000"""
    seen, labels = hide(exercise, IDS)
    asked = labels != -100
    masked, left = (seen[asked] == MASK).sum(), (seen[asked] == IDS[asked]).sum()
    again = 0.1 / (V - 5)  # a random id may be the one that was there
    plausible("hidden, replaced, left", [masked, asked.sum() - masked - left, left],
              [0.8, 0.1 - again, 0.1 + again])  # fmt: skip


def case_the_forced_one_too(exercise):
    """what is chosen so that a row has one at all has the same three fates as the others"""
    seen = hide(exercise, SHORT)[0][:, 1]
    masked, left = (seen == MASK).sum(), (seen == SHORT[:, 1]).sum()
    again = 0.1 / (V - 5)
    plausible("4,000 rows [CLS] x [SEP], whose x is always chosen: hidden, replaced, left",
              [masked, len(seen) - masked - left, left],
              [0.8, 0.1 - again, 0.1 + again])  # fmt: skip


def case_random_tokens_are_any(exercise):
    """a random token is any ordinary one, each as often as the others, and never a special one"""
    seen, labels = hide(exercise, IDS)
    changed = seen[(labels != -100) & (seen != MASK) & (seen != IDS)]
    true(f"special ids were put in as random tokens: {np.unique(changed[changed < 5])}",
         not (changed < 5).any())  # fmt: skip
    counts = np.histogram(changed, bins=[5, 170, 335, 500])[0]
    plausible("random ids in 5-169, 170-334, 335-499", counts, [1 / 3, 1 / 3, 1 / 3])


def case_special_tokens_may_stand_anywhere(exercise):
    """special ids need not come first: BERT's are 0, 100, 101, 102 and 103"""
    special = [0, 100, 101, 102, 103]
    ordinary = np.setdiff1d(np.arange(V), special)
    ids = np.random.default_rng(15).choice(ordinary, (1000, 100))
    seen, labels = hide(exercise, ids, special=special, mask=103)
    changed = seen[(labels != -100) & (seen != 103) & (seen != ids)]
    wrong = np.intersect1d(changed, special)
    true(f"special ids {special}: these were put in as random tokens: {wrong}", not wrong.size)
    low, high = int((changed < 100).sum()), int((changed > 103).sum())
    plausible(f"special ids {special}: random ids in 1-99, 104-{V - 1}", [low, high],
              [99 / (V - 5), (V - 104) / (V - 5)])  # fmt: skip


def case_chance_comes_from_rng(exercise):
    """the same generator hides the same tokens, another one others"""
    first, again, other = (hide(exercise, FEW, seed)[0] for seed in (5, 5, 6))
    same("two calls with equal generators; expected is the first", again, first)
    true("generators of different seeds hide the same tokens", (first != other).any())


def case_your_input_stays(exercise):
    """the batch of the caller is not changed: it is masked anew in the next epoch"""
    ids = FEW.copy()
    exercise.mask_tokens(ids, SPECIAL, MASK, V, np.random.default_rng(0))
    same("the caller's ids after the call, beside those before it", ids, FEW)


def plausible(names, counted, shares):
    """Raise if counts like these are less probable than one in a million."""
    expected = np.array(shares) * sum(counted)
    chi_square = float(((np.array(counted) - expected) ** 2 / expected).sum())
    p = math.erfc(math.sqrt(chi_square / 2)) if len(counted) == 2 else math.exp(-chi_square / 2)
    true(f"{names}:\n  yours:    {[int(n) for n in counted]}\n  expected: about "
         f"{[round(float(n)) for n in expected]}\n  chi-square {chi_square:.1f}: if the "
         "shares were right, such counts would come up less than once in a million times",
         p > 1e-6)  # fmt: skip
