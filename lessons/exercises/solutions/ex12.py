"""The longest piece first; one unknown part makes the whole word unknown."""


def cut(word, vocabulary, longest=100):
    if len(word) > longest:
        return ["[UNK]"]
    pieces, start = [], 0
    while start < len(word):
        sign = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((e for e in ends if sign + word[start:e] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        pieces.append(sign + word[start:end])
        start = end
    return pieces


def text_of(pieces):
    words = []
    for piece in pieces:
        if piece in ("[CLS]", "[SEP]", "[PAD]"):
            continue
        if piece.startswith("##") and words:
            words[-1] += piece.removeprefix("##")
        else:
            words.append(piece)
    return " ".join(words)
