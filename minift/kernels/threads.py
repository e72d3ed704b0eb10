"""Work on several cores: a loop over rows is cut into one part for each thread.

NumPy lets go of Python's lock while it computes, so that threads truly run side by side. The parts
are cut by their number alone: the same number of threads gives the same bits. OpenBLAS's own
threads would get in the way of ours (its idle ones spin), so it works on one thread inside a part;
a BLAS that cannot be told so keeps matrix products to itself.

Not here: what is computed. Read any kernel beside this file, `gelu.py` first.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

R = TypeVar("R")

WORTH_A_THREAD = 150_000  # elementary steps (about 0.1 ms): below, the hand-over costs more

_threads: int | None = None  # None: as many as BLAS was given
_blas_alone = False  # see `set_num_threads`
_tasks: queue.SimpleQueue[Any] | None = None
_inside = threading.local()


def set_num_threads(n: int, blas_alone: bool = False) -> None:
    """Use `n` threads for large kernels and matrix products. Raises ValueError below 1.

    With `blas_alone` BLAS cuts the products and all else has one thread: for models whose step
    takes a millisecond or two. Its threads wait awake, where ours must be woken, which takes as
    long as a small product.
    """
    global _threads, _blas_alone
    if n < 1:
        raise ValueError(f"set_num_threads: the number must be 1 or more, got {n}")
    _stop()
    _threads, _blas_alone = n, blas_alone
    for blas in _blas():
        blas.set_num_threads(n)


def get_num_threads() -> int:
    """How many threads large kernels use; at first as many as NumPy's BLAS was given."""
    global _threads
    if _threads is None:
        _threads = max((blas.get_num_threads() for blas in _blas()), default=_cores())
    return _threads


def in_parts(work: Callable[[slice], R], rows: int, steps_per_row: float) -> list[R]:
    """`work(part)` for the parts of range(rows), on as many threads as pay; results in order.

    The calling thread takes the first part. An error in a part is raised here.
    """
    if get_num_threads() == 1 or _blas_alone or hasattr(_inside, "part"):
        return [work(slice(0, rows))]
    worth = int(rows * steps_per_row / WORTH_A_THREAD)  # threads
    n = max(1, min(get_num_threads(), worth, rows))
    if worth > n == 1:  # much to do, and one row: BLAS may know how to cut it
        return [work(slice(0, rows))]
    with single_blas():
        return [work(slice(0, rows))] if n == 1 else _on_threads(work, rows, n)


def _on_threads(work: Callable[[slice], R], rows: int, n: int) -> list[R]:
    """`work(part)` for n parts, each on a thread of its own."""
    bounds = [rows * i // n for i in range(n + 1)]
    tasks, done = _workers(), queue.SimpleQueue[Any]()
    for i in range(1, n):
        tasks.put((work, slice(bounds[i], bounds[i + 1]), i, done))
    results = [_attempt(work, slice(0, bounds[1]), 0), *(done.get() for _ in range(1, n))]
    for _, _, error in results:
        if error is not None:
            raise error
    return [result for _, result, _ in sorted(results, key=lambda r: r[0])]


def _attempt(work: Callable[[slice], R], part: slice, i: int) -> tuple[int, Any, Any]:
    """(number, result, error); a kernel called by a part does not cut its own loop again."""
    _inside.part = i
    try:
        return i, work(part), None
    except BaseException as error:
        return i, None, error
    finally:
        del _inside.part


# ---- the threads --------------------------------------------------------------------------------


def _workers() -> queue.SimpleQueue[Any]:
    """The queue that the worker threads wait at; they are started when first needed."""
    global _tasks
    if _tasks is None:
        _tasks = queue.SimpleQueue()
        for _ in range(get_num_threads() - 1):
            threading.Thread(target=_work, args=(_tasks,), daemon=True, name="minift").start()
    return _tasks


def _work(tasks: queue.SimpleQueue[Any]) -> None:
    while (task := tasks.get()) is not None:
        work, part, i, done = task
        done.put(_attempt(work, part, i))
        del task, work, done  # a waiting thread keeps no array alive


def _stop() -> None:
    """Let the workers end; others start when needed."""
    global _tasks
    if _tasks is not None:
        for _ in range(get_num_threads() - 1):
            _tasks.put(None)
    _tasks = None


def _forget() -> None:
    """In a forked child the parent's threads do not exist."""
    global _tasks
    _tasks = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# ---- BLAS ---------------------------------------------------------------------------------------


def blas_obeys() -> bool:
    """Whether NumPy's BLAS can be put on one thread, so that we may cut its products."""
    return bool(_blas())


@cache
def _blas() -> list[Any]:
    """Handles of the BLAS libraries in this process (not those loaded later by others)."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers


def _cores() -> int:
    return os.cpu_count() or 1


class single_blas:  # noqa: N801 - used like no_grad
    """Inside `with single_blas():` BLAS works on one thread; then on as many as before.

    Its second thread would spin for some 25 ms after a product, beside ours: one such product in
    the middle of a step of a small BERT made the step 1.7 times as long.
    """

    def __enter__(self) -> None:
        self.before = [blas.get_num_threads() for blas in _blas()]
        for blas in _blas():
            blas.set_num_threads(1)

    def __exit__(self, *_: Any) -> None:
        for blas, n in zip(_blas(), self.before):
            blas.set_num_threads(n)
