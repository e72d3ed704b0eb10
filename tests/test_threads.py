"""Kernels on several threads: the same values, the same bits for the same number, no loose ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minift as mf
from minift import functional as F
from minift.kernels import gradients, threads, updates
from minift.models import BertConfig, BertForSequenceClassification

rng = np.random.default_rng(4)
IDS = rng.integers(0, 300, (16, 48))


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = mf.get_num_threads()
    yield
    mf.set_num_threads(before)


def of_text(n: int) -> list[np.ndarray]:
    """Logits and all gradients of a BERT with dropout, on `n` threads."""
    mf.set_num_threads(n)
    mf.manual_seed(1)
    sizes = {"hidden_size": 128, "num_attention_heads": 4, "intermediate_size": 512}
    model = BertForSequenceClassification(
        BertConfig(vocab_size=300, num_hidden_layers=2, max_position_embeddings=48, **sizes)
    )
    logits = model(IDS)
    (logits * logits).sum().backward()
    return [logits.numpy(), *(p.grad.numpy() for p in model.parameters())]


def of_images(n: int) -> list[np.ndarray]:
    """What pooling, convolution and batch normalisation give, and all gradients."""
    mf.set_num_threads(n)
    draw = np.random.default_rng(5).standard_normal
    shapes = [(48, 8, 36, 32), (24, 8, 3, 3), (24,), (24,), (24, 8, 4, 4), (8,)]
    leaves = [mf.Tensor(draw(shape, np.float32), requires_grad=True) for shape in shapes]
    x, weight, scale, shift, back, bias = leaves
    y = F.conv2d(F.max_pool2d(x, 2), weight, shift, padding=1)
    y = F.batch_norm(y, mf.zeros(24), mf.ones(24), scale, shift, training=True)
    y = F.avg_pool2d(F.conv_transpose2d(y, back, bias, 2, 1), 3)
    (y * y).sum().backward()
    return [y.numpy(), *(leaf.grad.numpy() for leaf in leaves)]


Gradients = Callable[[int], list[np.ndarray]]


@pytest.mark.parametrize("gradients", [of_text, of_images])
def test_the_number_of_threads_changes_roundings_only(gradients: Gradients) -> None:
    one = gradients(1)
    for n in (2, 3):
        for a, b in zip(gradients(n), one, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6 * max(1, np.abs(b).max()))


@pytest.mark.parametrize("gradients", [of_text, of_images])
def test_the_same_number_of_threads_gives_the_same_bits(gradients: Gradients) -> None:
    for a, b in zip(gradients(2), gradients(2), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rule", [mf.optim.AdamW, mf.optim.RMSprop])
def test_a_step_of_an_optimizer_has_the_same_bits_on_any_number_of_threads(
    rule: Callable[..., mf.optim.Optimizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "STEPS", threads.WORTH_A_THREAD)
    draw = np.random.default_rng(6).standard_normal

    def after(n: int) -> list[np.ndarray]:
        mf.set_num_threads(n)
        params = [mf.nn.Parameter(np.ones(shape)) for shape in [(3,), (50, 7), (), (0, 2), (40, 5)]]
        params[4]._data = np.ones((5, 40)).T  # not contiguous: it stays in one piece
        for p, g in zip(params, starts):
            p.grad = mf.Tensor(g)
        rule(params, lr=0.1).step()
        return [p.numpy() for p in params]

    starts = [draw(shape) for shape in [(3,), (50, 7), (), (0, 2), (40, 5)]]
    one = after(1)
    assert all((weight != 1).all() for weight in one)
    for n in (2, 3, 5):
        for a, b in zip(after(n), one, strict=True):
            np.testing.assert_array_equal(a, b)


def test_parts_cover_every_row_once_on_threads_of_their_own() -> None:
    mf.set_num_threads(3)
    work = lambda part: (part.start, part.stop, threading.get_ident())
    parts = threads.in_parts(work, 10, threads.WORTH_A_THREAD)
    assert [p[:2] for p in parts] == [(0, 3), (3, 6), (6, 10)]
    assert len({p[2] for p in parts}) > 1
    assert parts[0][2] == threading.get_ident()


def test_small_work_stays_on_the_calling_thread() -> None:
    mf.set_num_threads(2)
    assert threads.in_parts(lambda part: part, 100, 10) == [slice(0, 100)]


def test_a_part_does_not_cut_its_own_loops_again() -> None:
    mf.set_num_threads(2)
    inner = lambda part: threads.in_parts(lambda p: p, 8, threads.WORTH_A_THREAD)
    assert threads.in_parts(inner, 8, threads.WORTH_A_THREAD) == [[slice(0, 8)]] * 2


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_in_any_part_is_raised_and_the_threads_go_on(bad: int) -> None:
    mf.set_num_threads(2)

    def work(part: slice) -> int:
        if part.start == 4 * bad:
            raise ValueError("a row is wrong")
        return part.start

    with pytest.raises(ValueError, match="a row is wrong"):
        threads.in_parts(work, 8, threads.WORTH_A_THREAD)
    assert threads.in_parts(lambda part: part.start, 8, threads.WORTH_A_THREAD) == [0, 4]


def test_blas_is_on_one_thread_inside_a_part_and_then_as_before() -> None:
    mf.set_num_threads(2)
    count = lambda part=None: [blas.get_num_threads() for blas in threads._blas()]
    before = count()
    assert before
    inside = threads.in_parts(count, 8, threads.WORTH_A_THREAD)
    assert inside == [[1] * len(before)] * 2
    assert count() == before


def test_blas_alone_cuts_products_and_nothing_else_is_cut() -> None:
    mf.set_num_threads(2, blas_alone=True)
    count = lambda part: (part, [blas.get_num_threads() for blas in threads._blas()])
    ((part, inside),) = threads.in_parts(count, 8, threads.WORTH_A_THREAD)
    assert part == slice(0, 8)
    assert inside == [2] * len(inside)
    mf.set_num_threads(2)
    assert len(threads.in_parts(count, 8, threads.WORTH_A_THREAD)) == 2


def test_blas_is_on_one_thread_where_the_length_of_the_gradient_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mf.set_num_threads(2)
    count = lambda _=None: [blas.get_num_threads() for blas in threads._blas()]
    counts = []
    monkeypatch.setattr(gradients, "squared_length", lambda g: counts.append(count()) or 1.0)
    before = count()
    assert gradients.joint_length([np.ones(3), np.ones(2)]) == pytest.approx(2**0.5)
    assert counts == [[1] * len(before)] * 2
    assert count() == before


def _child(results: Any) -> None:
    results.put(threads.in_parts(lambda part: part.start, 8, threads.WORTH_A_THREAD))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own() -> None:
    mf.set_num_threads(2)
    assert threads.in_parts(lambda part: part.start, 8, threads.WORTH_A_THREAD) == [0, 4]
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_child, args=(results,))
    child.start()
    child.join(timeout=30)
    assert child.exitcode == 0
    assert results.get() == [0, 4]


def test_blas_is_given_the_same_number() -> None:
    mf.set_num_threads(1)
    assert {blas.get_num_threads() for blas in threads._blas()} == {1}


def test_fewer_than_one_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="set_num_threads: the number must be 1 or more, got 0"):
        mf.set_num_threads(0)
