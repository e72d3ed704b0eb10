"""Exercise 12: cut a word into pieces, and turn pieces into text again.

Write the two functions below. Check with: minift learn check 12
"""


def cut(word, vocabulary, longest=100):
    """The pieces of a word, by the longest match from the left.

    `vocabulary` is a set of pieces; one that continues a word begins with "##". If some part of the
    word has no piece, or the word has more than `longest` characters, the answer is ["[UNK]"], for
    the whole word. The empty word has no pieces: [].
    """
    raise NotImplementedError("exercise 12: write cut")


def text_of(pieces):
    """The text of pieces: words with one space between them, "##" pieces joined to their word.

    The pieces [CLS], [SEP] and [PAD] are left out.
    """
    raise NotImplementedError("exercise 12: write text_of")
