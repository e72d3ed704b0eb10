"""Cut from the right: other pieces come out."""


def cut(word, vocabulary, longest=100):
    if len(word) > longest:
        return ["[UNK]"]
    pieces, end = [], len(word)
    while end:
        signed = [("##" if s else "") + word[s:end] for s in range(end)]
        found = next((s for s in range(end) if signed[s] in vocabulary), None)
        if found is None:
            return ["[UNK]"]
        pieces.insert(0, signed[found])
        end = found
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
