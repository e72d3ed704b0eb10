"""Checks of exercise 12: words that can be cut in several ways, and back again."""

from minift.learn import true

VOCABULARY = {"un", "able", "##able", "##aff", "##affable", "u", "##n", "##a", "##f", "##b", "##l",
              "##e", "a", "ab", "##ab", "dog", "##s"}  # fmt: skip


def pieces_are(exercise, word, expected, **more):
    found = exercise.cut(word, VOCABULARY, **more)
    true(f"cut({word[:20]!r}): yours {found}, expected {expected}", found == expected)


def case_a_known_word_stays_whole(exercise):
    """a word that is a piece is one piece"""
    pieces_are(exercise, "dog", ["dog"])


def case_the_longest_first(exercise):
    """of all pieces that fit, the longest is taken"""
    found = exercise.cut("unaffable", VOCABULARY)
    true(f"'unaffable' has a cut into two pieces; yours has {len(found or [])}: {found}",
         found is not None and len(found) == 2 and "".join(found) == "un##affable")  # fmt: skip


def case_inside_a_word(exercise):
    """inside a word only pieces with ## fit, at its beginning only those without"""
    found = exercise.cut("dogs", VOCABULARY - {"dogs"})
    true(f"'dogs' is 'dog' and a piece that continues it; yours: {found}", found == ["dog", "##s"])
    found = exercise.cut("ablex", VOCABULARY | {"x"})
    true(f"'ablex', where 'x' may only begin a word, cannot be cut; yours: {found}",
         found == ["[UNK]"])  # fmt: skip


def case_one_unknown_part(exercise):
    """a word with a part that has no piece is unknown as a whole"""
    found = exercise.cut("unxable", VOCABULARY)
    true(f"nothing in the vocabulary has an 'x': 'unxable' should be one unknown piece; yours: "
         f"{found}", found == ["[UNK]"])  # fmt: skip


def case_left_to_right(exercise):
    """the longest piece from the left wins, even if another cut of the word has fewer pieces"""
    vocabulary = {"abc", "a", "##bcd", "##d"}
    found = exercise.cut("abcd", vocabulary)
    true("pieces abc, a, ##bcd, ##d; 'abcd' from the left begins with the longest that fits; "
         f"yours: {found}", found == ["abc", "##d"])  # fmt: skip


def case_very_long_words(exercise):
    """a word of more characters than `longest` is unknown: it is hardly ever a word"""
    found = exercise.cut("a" * 101, VOCABULARY)
    true(f"a word of 101 letters should be one unknown piece; yours has {len(found or [])} pieces",
         found == ["[UNK]"])  # fmt: skip
    pieces_are(exercise, "aaa", ["a", "##a", "##a"], longest=3)


def case_nothing(exercise):
    """the empty word has no pieces"""
    pieces_are(exercise, "", [])


def case_back_to_text(exercise):
    """pieces with ## join their word, a space stands before all others, special pieces vanish"""
    pieces = ["[CLS]", "dog", "##s", "un", "##able", "[SEP]", "[PAD]", "[PAD]"]
    found = exercise.text_of(pieces)
    true(f"text_of({pieces}): yours {found!r}, expected 'dogs unable'", found == "dogs unable")
