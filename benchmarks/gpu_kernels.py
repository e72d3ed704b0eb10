"""The hot ops on the GPU and on the CPU: same numbers, time, and share of the roofline.

Each op runs through minift's own functions, forward and backward, on the same inputs on both
devices. The GPU's time is taken by CUDA events around many calls after a warm-up; transfers are
measured apart. The peaks of the roofline are measured too, by a copy and a product.
`gpu.py` shows the results; `gpu_costs.py` counts the bytes and flops.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minift as mf
from benchmarks import gpu_costs as costs
from benchmarks.gpu_costs import Cost
from minift import functional as F
from minift.backend import cuda, random

TOLERANCE = 1e-4  # of a value, relative to the largest: the devices add up in different orders


@dataclass(frozen=True)
class Sizes:
    """What the ops are measured on: B texts of T tokens, width D, H heads, V words."""

    texts: int = 32
    tokens: int = 128
    width: int = 768
    heads: int = 12
    words: int = 30522
    copied: int = 1 << 28  # bytes of the copy that measures bandwidth
    product: int = 4096  # rows and columns of the product that measures flops
    rounds: int = 7  # of each measurement


PRETENDED_SIZES = Sizes(2, 8, 16, 2, 50, 1 << 12, 16, rounds=1)


@dataclass(frozen=True)
class Case:
    """An op, its inputs, and what it must at least move and compute forward and backward.

    `constants` are inputs without a gradient.
    """

    name: str
    f: Callable[..., mf.Tensor]
    inputs: list[np.ndarray]
    cost: Cost
    constants: tuple[np.ndarray, ...] = ()


# ---- clocks -------------------------------------------------------------------------------------


def on_gpu(f: Callable[[], Any], rounds: int, warm_up: int = 3) -> tuple[float, float]:
    """(median seconds a call on the device, seconds that the host spends on a call).

    A round is as many calls as take about 20 ms, between two events.
    """
    cp = cuda.module()
    for _ in range(warm_up):  # compiles kernels, fills the memory pool
        f()
    cp.cuda.Device().synchronize()
    start, end = cp.cuda.Event(), cp.cuda.Event()
    calls = calls_within(f, 0.02)
    device, host = [], []
    for _ in range(rounds):
        start.record()
        began = time.perf_counter()
        for _ in range(calls):
            f()
        host.append((time.perf_counter() - began) / calls)
        end.record()
        end.synchronize()
        device.append(cp.cuda.get_elapsed_time(start, end) / 1000 / calls)
    return statistics.median(device), statistics.median(host)


def calls_within(f: Callable[[], Any], seconds: float) -> int:
    """How many calls take about that long, 1 to 100."""
    cp = cuda.module()
    began = time.perf_counter()
    f()
    cp.cuda.Device().synchronize()
    return max(1, min(100, int(seconds / max(time.perf_counter() - began, 1e-6))))


def on_cpu(f: Callable[[], Any], rounds: int) -> float:
    """Median seconds of a call."""
    f()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        f()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


# ---- peaks and transfers ------------------------------------------------------------------------


def peaks(sizes: Sizes) -> dict[str, float]:
    """Bytes/s of a copy on the device, which reads and writes, and flops/s of a float32 product."""
    cp = cuda.module()
    source = cp.zeros(sizes.copied // 4, "float32")
    target = cp.empty_like(source)
    square = cp.full((sizes.product, sizes.product), 0.5, "float32")
    copy, _ = on_gpu(lambda: cp.copyto(target, source), sizes.rounds)
    product, _ = on_gpu(lambda: cp.matmul(square, square), sizes.rounds)
    products = 2 * sizes.product**3
    return {
        "bytes_per_second": rate(2 * sizes.copied, copy),
        "flops_per_second": rate(products, product),
    }


def transfers(sizes: Sizes) -> dict[str, float]:
    """Bytes/s from the host to the device and back, of ordinary (pageable) memory."""
    cp = cuda.module()
    here = np.zeros(sizes.copied // 4, np.float32)
    there = cp.asarray(here)
    to_device, _ = on_gpu(lambda: there.set(here), sizes.rounds)
    to_host, _ = on_gpu(lambda: there.get(out=here), sizes.rounds)
    size = sizes.copied
    return {
        "to_device_bytes_per_second": rate(size, to_device),
        "to_host_bytes_per_second": rate(size, to_host),
    }


def rate(amount: float, seconds: float) -> float:
    """Amount a second; 0 for a clock that stands still, the pretended one."""
    return amount / seconds if seconds else 0.0


# ---- the ops ------------------------------------------------------------------------------------


def cases(s: Sizes) -> list[Case]:
    """The ops in which a BERT spends its time; inputs are drawn once for both devices."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    N, D, V = s.texts * s.tokens, s.width, s.words
    heads = (s.texts, s.heads, s.tokens, D // s.heads)
    picked, targets = rng.integers(0, V, N), rng.integers(0, V, N // 8)
    both = lambda pair: pair[0] + pair[1]
    norm = lambda x, w, b: F.layer_norm(x, w, b)
    rows = lambda w, ids: F.embedding(ids, w)
    return [
        Case("GELU", F.gelu, [draw(N, 4 * D)], both(costs.gelu(N * 4 * D))),
        Case("softmax", lambda x: F.softmax(x, axis=-1), [draw(N, s.tokens)],
             both(costs.softmax(N * s.tokens))),
        Case("layer norm", norm, [draw(N, D), draw(D), draw(D)], both(costs.layer_norm(N * D))),
        Case("dropout", lambda x: F.dropout(x, 0.1, True), [draw(N, D)],
             both(costs.dropout(N * D))),
        Case("cross-entropy", F.cross_entropy, [draw(N // 8, V)],
             both(costs.cross_entropy(N // 8 * V)), (targets,)),
        Case("embedding", rows, [draw(V, D)], both(costs.embedding(N * D, V * D)), (picked,)),
        Case("attention", F.scaled_dot_product_attention, [draw(*heads) for _ in range(3)],
             both(costs.attention(*heads))),
        Case("linear", F.linear, [draw(N, D), draw(4 * D, D), draw(4 * D)],
             both(costs.linear(N, D, 4 * D))),
    ]  # fmt: skip


def forward_and_backward(case: Case, device: str) -> Callable[[], list[Any]]:
    """A call that computes the value and all gradients, as raw arrays on the device."""
    inputs = [mf.Tensor(x, requires_grad=True, device=device) for x in case.inputs]
    constants = [mf.Tensor(x, device=device) for x in case.constants]
    shape = case.f(*inputs, *constants).shape
    drawn = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    cotangent = mf.Tensor(drawn, device=device)

    def call() -> list[Any]:
        for x in inputs:
            x.grad = None
        y = case.f(*inputs, *constants)
        y.backward(cotangent)
        return [y.data, *(x.grad.data for x in inputs)]

    return call


def measure(case: Case, peak: dict[str, Any], rounds: int) -> dict[str, Any]:
    """One op: do the devices agree, how long does it take, what share of the roofline is that.

    Without a `peak` the share has no meaning.
    """
    here, there = forward_and_backward(case, "cpu"), forward_and_backward(case, "cuda")
    difference = largest_difference(here, there)
    gpu, host = on_gpu(there, rounds)
    tops = [peak.get(name) or 1 for name in ("bytes_per_second", "flops_per_second")]
    least = case.cost.seconds(*tops)
    return {
        "name": case.name,
        "bytes": case.cost.bytes,
        "flops": case.cost.flops,
        "largest_difference": difference,
        "passed": bool(difference <= TOLERANCE),
        "gpu_seconds": gpu,
        "host_seconds": host,
        "cpu_seconds": on_cpu(here, rounds),
        "roofline_share": rate(least, gpu),
    }


def largest_difference(here: Callable[[], list[Any]], there: Callable[[], list[Any]]) -> float:
    """Between value and gradients on the two devices, each relative to its largest number."""
    results = []
    for call in (here, there):
        random.manual_seed(0)  # the same dropout mask
        results.append(call())
    return max(relative(a, b.get()) for a, b in zip(*results, strict=True))


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference over the largest value."""
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))
