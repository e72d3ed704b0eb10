"""How fast text becomes ids, beside Hugging Face's Rust library on one core.

    python -m benchmarks.tokenizers [--rounds 7] [--data FILE]

One process: both libraries encode the same texts by the same vocabulary in turns, the order flips
each round, and ratios are taken within a round. Neither computes places. "first" begins with
empty word caches (Rust's BPE has one, too), "again" with full ones, as in a second epoch or a long
text. Without `--data` (UTF-8, a text a line) the texts are the shipped glosses.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from minift.data import BPETokenizer, WordPieceTokenizer, load_glosses

PIECES = 8000
Tokenizer = WordPieceTokenizer | BPETokenizer


def megabytes_per_second(encode: Callable[[list[str]], Any], texts: list[str]) -> float:
    size = sum(len(text.encode()) for text in texts) / 1e6
    start = time.perf_counter()
    encode(texts)
    return size / (time.perf_counter() - start)


def one_round(folder: Path, kind: type[Tokenizer], texts: list[str], flip: bool) -> dict[str, Any]:
    """MB/s of both libraries, each opened anew from the same files."""
    import tokenizers

    ours = kind.from_pretrained(folder)
    rust = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    ways = [("minift", ours.encode_all), ("Rust", rust.encode_batch_fast)]
    speeds = {}
    for when in ("first", "again"):
        for name, encode in ways[::-1] if flip else ways:
            speeds[f"{name} {when}"] = megabytes_per_second(encode, texts)
    return speeds


def compare(kind: type[Tokenizer], texts: list[str], rounds: int) -> dict[str, Any]:
    """Medians of MB/s, and of the ratio within a round with its range."""
    with tempfile.TemporaryDirectory() as folder:
        kind.train(texts[::10], PIECES).save_pretrained(folder)
        speeds = [one_round(Path(folder), kind, texts, i % 2 == 1) for i in range(rounds)]
    result: dict[str, Any] = {}
    for when in ("first", "again"):
        ratios = [s[f"minift {when}"] / s[f"Rust {when}"] for s in speeds]
        result[when] = {
            "minift": statistics.median(s[f"minift {when}"] for s in speeds),
            "Rust": statistics.median(s[f"Rust {when}"] for s in speeds),
            "ratio": [statistics.median(ratios), min(ratios), max(ratios)],
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Tokenizers' speed beside the Rust library's.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data", type=Path, help="UTF-8 text, a text a line")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    args = parser.parse_args()
    texts = load_glosses().unlabelled
    if args.data:
        texts = args.data.read_text(encoding="utf-8").splitlines()
    results = {
        kind.__name__: compare(kind, texts, args.rounds)
        for kind in (WordPieceTokenizer, BPETokenizer)
    }
    print(f"{'MB/s, one core':<28}{'minift':>8}{'Rust':>8}   ratio [min-max]")
    for name, result in results.items():
        for when, row in result.items():
            middle, low, high = row["ratio"]
            print(
                f"{name + ', ' + when:<28}{row['minift']:>8.2f}{row['Rust']:>8.2f}"
                f"   {middle:.2f} [{low:.2f}-{high:.2f}]"
            )
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
