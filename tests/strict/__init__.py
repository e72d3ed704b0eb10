"""A strict double of CuPy over NumPy: it runs anywhere and refuses what CuPy refuses.

`installed()` lets `import cupy` find the double. Then "cuda" is a device like any other, at
NumPy's speed, for every test with the `device` fixture (its parameter "strict").

Read `array.py` first: the array, and what it refuses (`checks.py`). Then `functions.py`, the module
around it, `counts.py`, how often data crossed, and `api.py`, where the names and keywords come
from. That the double judges as CuPy does is shown by `misuses.py`, which `tests/test_strict.py`
runs on both.
"""

from strict.counts import Counts, budget, counting
from strict.functions import cupy, installed

__all__ = ["Counts", "budget", "counting", "cupy", "installed"]
