"""Looking on while a program runs: which op of which layer takes how long, and how much memory.

Every op, layer, derivative and optimizer step becomes a *frame* while it runs; frames stack, and
the time of a frame is what its inner frames do not take. Memory is Python's own account
(tracemalloc, which NumPy reports to). It slows small ops several times, so it is kept for the first
calls of each model alone, and time is taken from the others.

Nothing is left in anybody's way when no one looks on (`nn/calls.py`). Not here: sums and tables
(`report.py`).
"""

from __future__ import annotations

import contextlib
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from minift import backend
from minift.autograd import Op
from minift.nn import Module
from minift.nn.calls import intercepted
from minift.nn.module import walk
from minift.optim import Optimizer
from minift.profiling.report import Cost, Path, Report
from minift.tape import Tape
from minift.tensor import Tensor

TRACED_CALLS = 3  # of each model, in training and in inference
FORWARD, INFERENCE, BACKWARD, OPTIMIZER = "forward", "inference", "backward", "optimizer"


@contextlib.contextmanager
def profile() -> Iterator[Report]:
    """Inside `with mf.profile() as report:` all that runs is accounted for in the report.

    Raises RuntimeError if a profile is being taken already.
    """
    if Recorder.running:
        raise RuntimeError("profile: a profile is being taken already; end that one first")
    recorder = Recorder()
    Recorder.running = True
    try:
        with (
            intercepted(Op, "__call__", recorder.on_own_thread(recorder.call_op)),
            intercepted(Module, "__call__", recorder.on_own_thread(recorder.call_module)),
            intercepted(Tensor, "backward", recorder.on_own_thread(recorder.call_backward)),
            intercepted(Optimizer, "step", recorder.on_own_thread(recorder.call_optimizer)),
        ):
            yield recorder.report
    finally:
        Recorder.running = False
        recorder.finish()


class Frame:
    """Something that is running: its place, when it began, and what ran inside it."""

    __slots__ = ("before", "inner", "module", "path", "peak", "started")

    def __init__(self, path: Path, module: Module | None):
        self.path, self.module = path, module
        self.inner = 0.0  # seconds
        self.before = self.peak = 0  # bytes, while memory is traced
        self.started = time.perf_counter()


class Recorder:
    """The frames that are running, and the costs of those that ran."""

    running = False

    def __init__(self) -> None:
        self.report = Report()
        self.thread = threading.get_ident()
        self.costs = self.report.costs
        self.stack = [Frame((), None)]
        self.below: weakref.WeakKeyDictionary[Module, dict[int, Path]]
        self.below = weakref.WeakKeyDictionary()  # module -> paths of what lies below it
        self.calls: dict[tuple[str, str], int] = {}  # (phase, model) -> how often it was called
        self.tracing = False
        self.foreign_tracing = tracemalloc.is_tracing()  # is not ours to stop

    def finish(self) -> None:
        """What no frame took is the rest."""
        self.trace(False)
        whole = self.stack[0]
        self.report.seconds = time.perf_counter() - whole.started
        self.report.rest = self.report.seconds - whole.inner

    # ---- frames -----------------------------------------------------------------------------

    def run(
        self, path: Path, module: Module | None, work: Callable[..., Any], *args: Any, **more: Any
    ) -> Any:
        """Carry out `work` as a frame."""
        frame = Frame(path, module)
        self.stack.append(frame)
        if self.tracing:
            self.note_memory(frame)
        try:
            result = work(*args, **more)
            wait_for(result)
            return result
        finally:
            self.stack.pop()
            self.close(frame)

    def close(self, frame: Frame) -> None:
        """Add a frame that ended to its cost, and to the time inside the frame around it."""
        seconds = time.perf_counter() - frame.started
        around = self.stack[-1]
        around.inner += seconds
        cost = self.costs.get(frame.path)
        if cost is None:
            cost = self.costs[frame.path] = Cost()
        cost.add(seconds - frame.inner, self.tracing)
        if self.tracing:
            now, peak = tracemalloc.get_traced_memory()
            frame.peak = max(frame.peak, peak)
            around.peak = max(around.peak, frame.peak)
            cost.add_memory(now - frame.before, frame.peak - frame.before)
            tracemalloc.reset_peak()

    def note_memory(self, frame: Frame) -> None:
        """Where memory stands as the frame begins; the peak so far is that of the frame around."""
        now, peak = tracemalloc.get_traced_memory()
        around = self.stack[-2]
        around.peak = max(around.peak, peak)
        frame.before = frame.peak = now
        tracemalloc.reset_peak()

    def trace(self, on: bool) -> None:
        """Begin or end the account of memory."""
        if on != self.tracing:
            if not self.foreign_tracing:
                (tracemalloc.start if on else tracemalloc.stop)()
            self.tracing = on

    def phase(self) -> str:
        """What the frame that begins now belongs to: to the same as the one around it."""
        around = self.stack[-1].path
        return around[0] if around else FORWARD if Tape.recording.on else INFERENCE

    def on_own_thread(self, by: Callable[..., Any]) -> Callable[..., Any]:
        """`by`, but only for the thread that takes the profile: the frames are one stack."""

        def call(original: Callable[..., Any], *args: Any, **more: Any) -> Any:
            mine = threading.get_ident() == self.thread
            return by(original, *args, **more) if mine else original(*args, **more)

        return call

    # ---- who reports ------------------------------------------------------------------------

    def call_module(
        self, original: Callable[..., Any], module: Module, *args: Any, **more: Any
    ) -> Any:
        """A layer: its own time is Python's, between its ops."""
        phase, around = self.phase(), self.stack[-1]
        if around.module is None:
            self.count_model(phase, type(module).__name__)
        path = (around.path or (phase,)) + self.name_in(around.module, module)
        return self.run(path, module, original, module, *args, **more)

    def call_op(self, original: Callable[..., Any], op: Op, *inputs: Any, **more: Any) -> Any:
        """An op, and later its derivatives under the same names."""
        around = self.stack[-1]
        path = around.path or (self.phase(),)
        result = self.run((*path, f"{op.name}()"), around.module, original, op, *inputs, **more)
        if result._node is not None and path[0] == FORWARD:
            backward = (BACKWARD, *path[1:], f"{op.name}()")
            node = result._node
            node.derivatives = self.timed(node.derivatives, backward, around.module)
        return result

    def call_backward(self, original: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """The walk back; its own time is the tape's."""
        return self.run((BACKWARD,), None, original, *args, **more)

    def call_optimizer(
        self, original: Callable[..., Any], optimizer: Optimizer, *args: Any, **more: Any
    ) -> Any:
        """An update."""
        path = (OPTIMIZER, type(optimizer).__name__)
        return self.run(path, None, original, optimizer, *args, **more)

    def timed(self, derivatives: Any, path: Path, module: Module | None) -> Any:
        """The same derivatives, each a frame when it runs."""

        def one(derivative: Callable[..., Any]) -> Callable[..., Any]:
            return lambda g, *wanted: self.run(path, module, derivative, g, *wanted)

        if callable(derivatives):
            return one(derivatives)
        return tuple(None if each is None else one(each) for each in derivatives)

    # ---- names ------------------------------------------------------------------------------

    def count_model(self, phase: str, model: str) -> None:
        """The first calls of each model, and what follows them, are where memory is looked at."""
        key = (phase, model)
        self.calls[key] = self.calls.get(key, 0) + 1
        if phase in (FORWARD, INFERENCE):
            self.trace(self.calls[key] <= TRACED_CALLS)

    def name_in(self, around: Module | None, module: Module) -> Path:
        """The module's path below the one that called it; a model goes by its class."""
        if around is None:
            return (type(module).__name__,)
        paths = self.below.get(around)
        if paths is None or id(module) not in paths:
            found = [(path, m) for path, m in walk(around) if isinstance(m, Module)]
            paths = self.below[around] = {id(m): segments(path) for path, m in reversed(found)}
        return paths.get(id(module), (type(module).__name__,))


def segments(path: str) -> Path:
    """encoder.layer.0.attention -> encoder, layer.0, attention: a number stays with its list."""
    parts: list[str] = []
    for part in path.split("."):
        if part.isdigit() and parts:
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return tuple(parts)


def wait_for(result: Any) -> None:
    """On a GPU the host runs ahead: a number of the result is there when its kernels are done."""
    array = result.data if isinstance(result, Tensor) else result
    if backend.is_array(array) and backend.device_of(array) == "cuda" and array.size:
        backend.to_numpy(array.reshape(-1)[:1])
