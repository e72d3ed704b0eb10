"""How many tokens of a text, or of each of a pair, may stay: transformers' three strategies.

Not here: the tokens themselves. Read next: `tokenizer.py`, which cuts.
"""

STRATEGIES = (True, False, "longest_first", "only_first", "only_second", "do_not_truncate")


def check_strategy(truncation: bool | str) -> str | None:
    """The strategy's name; None for no truncation. True is "longest_first"."""
    if truncation not in STRATEGIES:
        raise ValueError(
            f'truncation is True, False, "longest_first", "only_first" or "only_second", '
            f"got {truncation!r}"
        )
    if truncation in (False, "do_not_truncate"):
        return None
    return "longest_first" if truncation is True else str(truncation)


def kept_lengths(first: int, second: int, room: int, strategy: str) -> tuple[int, int]:
    """Tokens to keep of two texts of `first` and `second` tokens, `room` together.

    Raises ValueError if the one text that may be cut would have nothing left.
    """
    surplus = first + second - room
    if surplus <= 0:
        return first, second
    if room == 0:
        return 0, 0
    if strategy == "longest_first":
        return _longest_first(first, second, room)
    length = first if strategy == "only_first" else second
    if length <= surplus:
        raise ValueError(
            f'truncation="{strategy}" must drop {surplus} tokens of a text that has {length}; '
            f'raise max_length or use "longest_first"'
        )
    return (first - surplus, second) if strategy == "only_first" else (first, second - surplus)


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """The shorter text stays whole while it takes at most half; else both get half of the room.

    Of an odd room, the longer text gets the odd token; of two equal ones, the second.
    """
    short, long = sorted((first, second))
    if 2 * short <= room:
        long = room - short
    else:
        short, long = room // 2, room - room // 2
    return (long, short) if first > second else (short, long)
