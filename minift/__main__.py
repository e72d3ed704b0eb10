"""`python -m minift` is `minift`."""

import sys

from minift.cli import main

sys.exit(main())
