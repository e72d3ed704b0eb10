"""Each fused kernel equals its plain formula, in value and gradient, float32 and float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minift import kernels
from minift.autograd import Op
from minift.kernels.tiles import TILE, tiles
from minift.ops import conv, neural, products
from minift.tensor import Tensor, no_grad

rng = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


PADDING = np.where(np.arange(5) < np.array([[5], [3], [1], [4]]), 0.0, -math.inf)[:, None, None]
BLIND = np.full((4, 1, 5, 5), 0.0)
BLIND[1, 0, 2] = -math.inf  # one row that may look nowhere
ATTENTION = {"heads": 2, "mask": None, "causal": False, "dropout": 0.0, "key": (0, 0)}
CORE = {name: value for name, value in ATTENTION.items() if name != "heads"}
QKV = (normal(1, 2, 300, 8), normal(1, 2, 515, 8), normal(1, 2, 515, 4))  # more than one block
MASK = np.where(rng.random((300, 515)) < 0.3, -math.inf, normal(300, 515))
MASK[7] = -math.inf


def convolutions() -> Iterator[tuple[Op, tuple[np.ndarray, ...], dict[str, Any]]]:
    """All three maps, for kernels of one pixel up to larger than the image, at odd sizes."""
    for batch, size, kernel, (O, C), *settings in [
        (3, (5, 7), (3, 3), (4, 3), (1, 1), (1, 1), (1, 1), 1),
        (2, (5, 7), (3, 2), (6, 4), (2, 2), (1, 0), (1, 1), 2),
        (2, (8, 7), (2, 3), (4, 4), (3, 3), (1, 2), (2, 1), 4),  # a stride leaves pixels out
        (2, (6, 5), (1, 1), (3, 2), (1, 1), (0, 0), (1, 1), 1),
        (2, (6, 5), (1, 1), (3, 2), (2, 3), (0, 0), (1, 1), 1),
        (2, (3, 2), (5, 4), (2, 3), (1, 1), (2, 1), (1, 1), 1),  # a kernel larger than the image
        (2, (4, 4), (3, 3), (2, 2), (1, 2), (3, 4), (1, 3), 1),  # rows that see padding alone
        (2, (1, 9), (1, 3), (2, 4), (1, 2), (0, 1), (1, 2), 2),  # conv1d
        (70, (4, 5), (3, 3), (3, 2), (2, 1), (1, 1), (1, 1), 1),  # many images in a tile
        (2, (37, 120), (3, 3), (6, 32), (1, 1), (1, 1), (1, 1), 1),  # some rows in a tile
        (1, (69, 120), (3, 3), (4, 32), (2, 2), (1, 1), (1, 1), 1),
        (9, (18, 17), (4, 4), (32, 16), (2, 2), (1, 1), (1, 1), 1),
        (3, (8, 9), (1, 1), (3, 2), (1, 1), (0, 0), (1, 1), 1),  # windows side by side
        (2, (16, 27), (2, 3), (6, 4), (2, 3), (0, 0), (1, 1), 2),
        (3, (17, 27), (2, 3), (3, 2), (2, 3), (0, 0), (1, 1), 1),  # a row is left over
        (2, (8, 9), (1, 1), (3, 2), (1, 1), (1, 0), (1, 1), 1),  # windows of padding alone
        (2, (16, 24), (2, 2), (3, 2), (2, 2), (0, 0), (2, 1), 1),
        (2, (10, 11), (3, 2), (3, 2), (1, 1), (0, 0), (1, 1), 1),
    ]:
        geometry = conv.Geometry(*settings)
        x, w = normal(batch, C, *size), normal(O, C // geometry.groups, *kernel)
        g = normal(batch, O, *geometry.output_size(size, kernel))
        yield conv._convolve, (x, w), {"geometry": geometry}
        yield conv._convolve, (x, w, normal(O)), {"geometry": geometry}
        yield conv._to_image, (g, w), {"size": size, "geometry": geometry}
        yield conv._to_image, (g, w, normal(C)), {"size": size, "geometry": geometry}
        yield conv._to_kernel, (x, g), {"kernel": kernel, "geometry": geometry}


def poolings() -> Iterator[tuple[Op, tuple[np.ndarray, ...], dict[str, Any]]]:
    for shape, kernel, stride, padding in [
        ((2, 3, 6, 5), (2, 2), (2, 2), (0, 0)),
        ((2, 3, 6, 5), (3, 2), (1, 2), (1, 0)),
        ((2, 1, 7, 9), (2, 3), (3, 1), (1, 1)),
        ((1, 2, 4, 3), (4, 3), (4, 3), (0, 0)),
        ((1, 1, 1, 2), (3, 4), (1, 1), (1, 2)),  # windows larger than the image
        ((60, 8, 32, 32), (2, 2), (2, 2), (0, 0)),  # enough for two threads
    ]:
        geometry = conv.Geometry(stride, padding, (1, 1), 1)
        settings = {"kernel": kernel, "geometry": geometry}
        steps = rng.integers(0, 3, shape).astype(float)  # with ties
        yield conv._max_pool, (steps,), settings
        yield conv._window_means, (normal(*shape),), settings
        g = normal(*shape[:2], *geometry.output_size(shape[2:], kernel))
        yield conv._from_means, (g,), {**settings, "size": shape[2:]}


def batches() -> Iterator[tuple[Op, tuple[np.ndarray, ...], dict[str, Any]]]:
    for shape in [(5, 3), (4, 3, 7), (3, 2, 5, 4), (40, 16, 30, 30)]:
        C = shape[1]
        moments = np.stack([rng.standard_normal(C), rng.random(C) + 0.5])
        yield neural._channel_moments, (normal(*shape) * 3 + 5,), {}
        yield neural._standardize, (normal(*shape), moments, normal(C), normal(C)), {"eps": 0.1}


CASES: list[tuple[Op, tuple[np.ndarray, ...], dict[str, Any]]] = [
    (neural._gelu, (normal(7, 5) * 3,), {}),
    (neural._gelu, (normal(2 * TILE + 3),), {}),
    (neural._linear_gelu, (normal(2, 7, 5), normal(3, 5), normal(3)), {}),
    (products._linear, (normal(3, 4, 5), normal(6, 5), normal(6)), {}),
    (products._linear, (normal(3, 5), normal(6, 5)), {}),
    (products._linear, (normal(1200, 64), normal(256, 64), normal(256)), {}),
    (neural._softmax, (normal(3, 4, 5),), {"axis": -1}),
    (neural._softmax, (normal(3, 4, 5),), {"axis": 1}),
    (neural._softmax, (normal(700, 300),), {"axis": -1}),
    (neural.row_cross_entropy, (normal(6, 5) * 4,), {"target": rng.integers(0, 5, 6)}),
    (neural.row_cross_entropy, (normal(900, 200),), {"target": rng.integers(0, 200, 900)}),
    (neural._layer_norm, (normal(2, 3, 8), normal(8), normal(8)), {"eps": 1e-5}),
    (neural._layer_norm, (normal(1200, 128), normal(128), normal(128)), {"eps": 1e-12}),
    (neural._dropout, (normal(30, 7),), {"p": 0.3, "key": (1, 2)}),
    (neural.scatter_rows, (normal(9, 3),), {"ids": rng.integers(0, 4, 9), "n_rows": 6}),
    (neural._self_attention, (normal(4, 5, 12),), ATTENTION),
    (neural._self_attention, (normal(4, 5, 12),), {**ATTENTION, "mask": PADDING}),
    (neural._self_attention, (normal(4, 5, 12),), {**ATTENTION, "mask": BLIND}),
    (neural._self_attention, (normal(4, 5, 12),), {**ATTENTION, "dropout": 0.4, "key": (5, 6)}),
    (neural._self_attention, (normal(300, 9, 24),), ATTENTION),
    (neural._self_attention, (normal(40, 64, 24),), {**ATTENTION, "dropout": 0.4, "key": (5, 6)}),
    (neural._self_attention, (normal(2, 300, 24),), {**ATTENTION, "dropout": 0.4, "key": (5, 6)}),
    (neural._self_attention, (normal(2, 5, 12) * 8,), {**ATTENTION, "mask": PADDING[:2]}),
    (neural._self_attention, (normal(3, 5, 12),), {**ATTENTION, "causal": True}),
    (neural._self_attention, (normal(1, 600, 12),), {**ATTENTION, "causal": True}),
    (neural._attention, QKV, CORE),
    (neural._attention, QKV, {**CORE, "mask": MASK > 0, "causal": True, "dropout": 0.3}),
    (neural._attention, QKV, {**CORE, "mask": MASK}),
    (neural._attention, QKV, {**CORE, "dropout": 0.3, "key": (5, 6)}),
    (neural._attention, (QKV[0] * 40, *QKV[1:]), {**CORE, "mask": MASK}),
    *convolutions(),
    *poolings(),
    *batches(),
]


def gradients(derivatives: Any, g: np.ndarray, n: int) -> list[np.ndarray]:
    if callable(derivatives):
        return list(derivatives(g, [True] * n))
    return [derivatives[i](g) for i in range(n)]


@pytest.mark.parametrize(
    ("op", "arrays", "settings"), CASES, ids=[f"{c[0].name}-{i}" for i, c in enumerate(CASES)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernel_equals_plain_formula(
    op: Op, arrays: tuple[np.ndarray, ...], settings: dict[str, Any], dtype: Any
) -> None:
    arrays = tuple(a.astype(dtype) for a in arrays)
    if settings.get("mask") is not None and settings["mask"].dtype != bool:
        settings = {**settings, "mask": settings["mask"].astype(dtype)}
    fused, fused_derivatives = op.fused(*arrays, **settings)
    plain, plain_derivatives = op.plain(*arrays, **settings)
    g = rng.standard_normal(plain.shape).astype(dtype)
    ours = [fused, *gradients(fused_derivatives, g, len(arrays))]
    theirs = [plain, *gradients(plain_derivatives, g, len(arrays))]
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == dtype
        limit = 1e-11 if dtype == np.float64 else 2e-5
        np.testing.assert_allclose(a, b, rtol=limit, atol=limit * max(1, np.abs(b).max()))


@pytest.mark.parametrize(
    ("op", "arrays", "settings"),
    [c for c in CASES if c[0].value],
    ids=[f"{c[0].name}-{i}" for i, c in enumerate(CASES) if c[0].value],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value_without_derivatives_has_the_same_bits(
    op: Op, arrays: tuple[np.ndarray, ...], settings: dict[str, Any], dtype: Any
) -> None:
    arrays = tuple(a.astype(dtype) for a in arrays)
    before = [a.copy() for a in arrays]
    np.testing.assert_array_equal(op.value(*arrays, **settings), op.fused(*arrays, **settings)[0])
    assert all((a == b).all() for a, b in zip(arrays, before))


def test_a_gradient_that_nobody_wants_is_not_prepared() -> None:
    """Under no_grad and in a frozen body: the op takes the kernel that gives the value alone."""
    op = Op(neural._gelu.plain, fused=lambda x: (x, (None,)), value=lambda x: -x)
    frozen, trained = Tensor([1.0]), Tensor([1.0], requires_grad=True)
    with no_grad():
        assert op(trained).item() == -1
    assert (op(frozen).item(), op(trained).item()) == (-1, 1)
    with kernels.plain_formulas():
        assert op(frozen).item() == pytest.approx(0.8413447)


def test_every_kernel_is_tested_here() -> None:
    ops = [*vars(neural).values(), *vars(products).values(), *vars(conv).values()]
    fused = {op.name for op in ops if isinstance(op, Op) and op.fused}
    assert fused == {op.name for op, _, _ in CASES}


def test_erf_is_exact_to_rounding() -> None:
    x = np.linspace(-7, 7, 20001)
    exact = np.array([math.erf(v) for v in x])
    assert np.abs(kernels.erf(x) - exact).max() < 1e-15
    single = x.astype(np.float32)
    exact = np.array([math.erf(v) for v in single.astype(float)])
    assert np.abs(kernels.erf(single) - exact).max() < 6e-8


def test_gelu_in_float32_is_within_a_few_roundings() -> None:
    x = np.linspace(-9, 9, 50001).astype(np.float32)
    exact = np.array([0.5 * v * math.erfc(-v / math.sqrt(2)) for v in x.astype(float)])
    assert (np.abs(kernels.gelu(x)[0] - exact) / np.maximum(1, np.abs(x))).max() < 2e-7


def test_keep_mask_is_a_function_of_its_key_with_the_right_rate() -> None:
    mask = kernels.keep_mask((1000, 333), 0.1, (3, 4))
    np.testing.assert_array_equal(mask, kernels.keep_mask((1000, 333), 0.1, (3, 4)))
    assert (mask != kernels.keep_mask((1000, 333), 0.1, (3, 5))).any()
    n, rate = mask.size, 1 - mask.mean()
    assert abs(rate - 0.1) < 4 * math.sqrt(0.1 * 0.9 / n)
    assert not kernels.keep_mask((9,), 1.0, (0, 0)).any()


def test_keep_mask_is_philox_from_its_first_counter_on() -> None:
    for n in (1, 3, 15, 16, 17, TILE + 5, 3 * TILE):
        bits = np.random.Philox(key=np.array((3, 9), np.uint64)).random_raw(n)
        draws = bits.view(np.uint16)[:n]
        np.testing.assert_array_equal(kernels.keep_mask((n,), 0.1, (3, 9)), draws >= 6554)


def test_tiles_cover_every_row_once() -> None:
    for rows, width in [(0, 5), (1, 10**7), (1000, 300), (TILE, 1)]:
        covered = [i for s in tiles(rows, width) for i in range(rows)[s]]
        assert covered == list(range(rows))


def test_plain_formulas_leave_the_kernels_aside() -> None:
    x = np.linspace(-3, 3, 7).astype(np.float32)
    fused, plain = kernels.gelu(x)[0], neural._gelu.plain(x)[0]
    assert (fused != plain).any()  # other approximations of the same function
    with kernels.plain_formulas():
        np.testing.assert_array_equal(neural._gelu(x).numpy(), plain)
        with kernels.plain_formulas():
            pass
        np.testing.assert_array_equal(neural._gelu(x).numpy(), plain)
    np.testing.assert_array_equal(neural._gelu(x).numpy(), fused)
