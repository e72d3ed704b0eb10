"""A space before every piece: words do not come together again."""


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
    kept = [piece for piece in pieces if piece not in ("[CLS]", "[SEP]", "[PAD]")]
    return " ".join(piece.removeprefix("##") for piece in kept)
