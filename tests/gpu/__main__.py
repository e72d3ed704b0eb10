"""Any command of minift on the pretended GPU: `PYTHONPATH=tests python -m gpu quickstart ...`."""

import sys

from gpu import pretend
from minift.cli import main

reason = pretend.missing()
if reason is not None:
    sys.exit(reason)
pretend.install(pretend.cache())
code = main()
pretend.check()
pretend.leave(code)
