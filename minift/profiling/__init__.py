"""Where the time and the memory of a run go: per op and layer, forward and backward.

    with mf.profile() as report:
        trainer.fit()
    print(report)

`recorder.py` looks on, `report.py` adds up and tells, `minift/plot/flame.py` draws. On the command
line: `minift profile COMMAND ...`.
"""

from minift.profiling.recorder import profile
from minift.profiling.report import Report

__all__ = ["Report", "profile"]
