"""The pretended GPU does what a GPU would do, and notices what a GPU would not forgive."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gpu import pretend

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("pretended_gpu")]

SUM = r"""
extern "C" __global__ void sum64(const float* x, float* y) {
  __shared__ float s[64];
  const int t = threadIdx.x;
  s[t] = x[t];
  FIRST
  for (int half = 32; half; half /= 2) {
    if (t < half) s[t] += s[t + half];
    SECOND
  }
  if (t == 0) y[0] = s[0];
}
"""
BARRIER = "__syncthreads();"


@pytest.fixture
def cp() -> ModuleType:
    return pytest.importorskip("cupy")


def sum64(cp: ModuleType, first: str, second: str) -> float:
    """0 + 1 + … + 63 by a tree in shared memory, with the barriers given."""
    kernel = cp.RawKernel(SUM.replace("FIRST", first).replace("SECOND", second), "sum64")
    x, y = cp.arange(64, dtype="f"), cp.zeros(1, "f")
    kernel((1,), (64,), (x, y))
    return float(y[0])


def test_a_reduction_in_shared_memory_needs_both_of_its_barriers(cp: ModuleType) -> None:
    right = 64 * 63 / 2
    assert sum64(cp, BARRIER, BARRIER) == right
    assert sum64(cp, "", BARRIER) != right
    assert sum64(cp, BARRIER, "") != right


def test_a_warp_shuffle_reads_the_other_threads(cp: ModuleType) -> None:
    source = r"""
    extern "C" __global__ void total(const float* x, float* y) {
      float v = x[threadIdx.x];
      for (int n = 16; n; n /= 2) v += __shfl_xor_sync(0xffffffff, v, n);
      atomicAdd(y, v / 32);
    }
    """
    x, y = cp.arange(64, dtype="f"), cp.zeros(1, "f")
    cp.RawKernel(source, "total")((1,), (64,), (x, y))
    assert float(y[0]) == 64 * 63 / 2


def test_what_the_chips_compiler_refuses_fails(cp: ModuleType) -> None:
    x = cp.zeros(4, "f")
    unknown = 'extern "C" __global__ void k(float* x) { x[0] = INFINITY_; }'
    with pytest.raises(cp.cuda.compiler.CompileException, match="INFINITY_"):
        cp.RawKernel(unknown, "k")((1,), (1,), (x,))
    # INFINITY belongs to math.h: g++ would take it, the chip's compiler does not know it
    host_only = unknown.replace("INFINITY_", "INFINITY")
    with pytest.raises(cp.cuda.compiler.CompileException, match="INFINITY"):
        cp.RawKernel(host_only, "k")((1,), (1,), (x,))


@pytest.mark.parametrize(
    ("grid", "block", "shared", "message"),
    [
        ((1,), (2048,), 0, "out of range"),
        ((1, 65536), (1,), 0, "out of range"),
        ((1,), (32,), 49153, "bytes of shared memory"),
    ],
)
def test_a_launch_beyond_the_chip_fails(
    cp: ModuleType, grid: tuple, block: tuple, shared: int, message: str
) -> None:
    kernel = cp.RawKernel('extern "C" __global__ void nop() {}', "nop")
    kernel(grid, block, (), shared_mem=shared)
    with pytest.raises(RuntimeError, match=message):
        pretend.check()


def test_fresh_memory_is_garbage(cp: ModuleType) -> None:
    assert np.isnan(cp.empty(10, "f").get()).all()
    assert np.isnan(cp.empty(10, "d").get()).all()


@pytest.mark.parametrize(("place", "message"), [(-1, "before a block of 12 bytes"), (3, "after a")])
def test_a_write_outside_of_a_block_is_found(cp: ModuleType, place: int, message: str) -> None:
    source = 'extern "C" __global__ void poke(float* x, int place) { x[place] = 1; }'
    x = cp.zeros(3, "f")
    cp.RawKernel(source, "poke")((1,), (1,), (x, np.int32(place)))
    with pytest.raises(RuntimeError, match=f"a kernel wrote {message}"):
        pretend.check()


def test_a_warp_may_be_ahead_of_the_others(cp: ModuleType) -> None:
    source = r"""
    extern "C" __global__ void ahead(int* last) {
      __shared__ int turn;
      if (threadIdx.x == 0) turn = 1;
      __syncthreads();
      atomicMax(last, turn);
      BARRIER
      if (threadIdx.x == 0) turn = 2;
    }
    """
    for barrier, right in ((BARRIER, 1), ("", 2)):
        last = cp.zeros(1, "i")
        cp.RawKernel(source.replace("BARRIER", barrier), "ahead")((2,), (64,), (last,))
        assert int(last[0]) == right


def test_products_in_every_layout_equal_numpys(cp: ModuleType) -> None:
    def both_orders(x: np.ndarray) -> list[np.ndarray]:
        return [x, x.swapaxes(-1, -2).copy().swapaxes(-1, -2)]

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        a, b, v = (rng.standard_normal(s).astype(dtype) for s in ((3, 4, 5), (3, 5, 6), 5))
        pairs = [(a, b), (a[0], b[0]), (a, b[0]), (a[0], v), (v, b[0]), (v, v)]
        for left, right in pairs:
            for x in both_orders(left) if left.ndim > 1 else [left]:
                for y in both_orders(right) if right.ndim > 1 else [right]:
                    product = (cp.asarray(x, order="A") @ cp.asarray(y, order="A")).get()
                    np.testing.assert_allclose(product, left @ right, rtol=1e-5, atol=1e-5)


def test_another_version_of_cupy_is_refused_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretend, "CUPY", "99.0")
    assert pretend.missing() == "the pretended GPU is made for CuPy 99.0, here is 14.2.0"


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pretend.missing() == "g++ is not installed: apt install g++"
