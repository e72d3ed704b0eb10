"""What each way of pre-training reaches, beside what one has without it.

    python -m benchmarks.pretraining_quality [NAME ...] [--seeds 3] [--pictures DIR] [--again]

Digits, glosses and Moby-Dick ship; Fashion-MNIST is fetched (`minift fetch fashion-mnist`). Every
row names its baselines, also where a baseline wins; each file says how its settings were chosen.
Means over seeds, with Student's interval of 95 % over them. Results are kept in
`benchmarks/results/pretraining_quality.json`, seed by seed; what is there is only printed, unless
`--again` is given. Seconds are those of the machine as it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.pretraining_quality.digits import DIGITS
from benchmarks.pretraining_quality.fashion import FASHION
from benchmarks.pretraining_quality.rows import Measurement, Results
from benchmarks.pretraining_quality.text import TEXT

FILE = Path(__file__).parents[1] / "results" / "pretraining_quality.json"
ALL: dict[str, Measurement] = {**DIGITS, **FASHION, **TEXT}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", default=list(ALL), choices=list(ALL), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--again", action="store_true", help="measure anew what is there")
    options = parser.parse_args()
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    results = Results(FILE)
    for name in options.names:
        if options.again:
            results.forget(name)
        results.measure(name, ALL[name], range(options.seeds), options.pictures)
        print(results.table(name), flush=True)


if __name__ == "__main__":
    main()
