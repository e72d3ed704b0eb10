"""What crosses to the device in a training step: the batch, and nothing that nobody asked for.

CuPy moves a NumPy index at every use without a word, so a value alone would not show the mistake.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import minift as mf
from gpu.kernels import launches
from gpu.memory import TO_DEVICE, TO_HOST, copies
from minift import functional as F
from minift import optim
from minift.models import BertConfig, BertForMaskedLM
from minift.objectives import MaskedLM

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("pretended_gpu")]


def test_a_copy_is_seen() -> None:
    x = mf.zeros(3, device="cuda")
    copies.clear()
    x[[0, 2]]  # a list is moved once, by getitem
    assert copies[TO_DEVICE] == 1


def copies_of_a_step() -> dict[str, tuple[int, int]]:
    """(to the device, to the host) in each part of a training step of a small BERT."""
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16,
    )  # fmt: skip
    model = BertForMaskedLM(config).to("cuda")
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    ids = np.arange(12).reshape(2, 6)
    real = np.array([[1] * 6, [1] * 4 + [0] * 2])
    labels = np.where(ids % 3 == 0, ids, -100)
    batch = {"input_ids": ids, "attention_mask": real, "token_type_ids": ids % 2, "labels": labels}
    found = {}

    def note(part: str) -> None:
        found[part] = copies[TO_DEVICE], copies[TO_HOST]
        copies.clear()

    note("before")
    loss, _ = MaskedLM()(model, batch)
    note("forward")
    loss.backward()
    note("backward")
    optim.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    note("step")
    del found["before"]
    return found


def test_a_training_step_moves_the_batch_and_nothing_else_to_the_device() -> None:
    moved = copies_of_a_step()
    assert moved["forward"][0] == 5  # ids, mask, segments, places of hidden words, those words
    assert moved["backward"] == (0, 0)
    assert moved["step"][0] == 0


def test_losses_of_targets_on_the_device_move_nothing() -> None:
    logits = mf.Tensor(np.eye(4, 3), requires_grad=True, device="cuda")
    target = mf.Tensor([0, 2, -100, 1], device="cuda")
    weight = mf.Tensor([1.0, 2.0, 0.5], device="cuda")
    F.cross_entropy(logits, target)  # the trouble word is there now
    copies.clear()
    for f in (F.cross_entropy, F.nll_loss, F.focal_loss):
        for reduction in ("mean", "none"):
            f(logits, target, weight=weight, reduction=reduction).sum().backward()
    assert copies[TO_DEVICE] == copies[TO_HOST] == 0


COPY_PARTS = "_Z10copy_partsIfEv5BatchI4PartIT_EEi"  # copy_parts<float>, as the compiler names it


def launches_of_a_step(layers: int) -> tuple[Counter[str], Counter[str]]:
    """The kernels of a forward and of a backward pass; products are cuBLAS's and not counted."""
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=16,
    )  # fmt: skip
    model, ids = BertForMaskedLM(config).to("cuda"), np.arange(12).reshape(2, 6)
    batch = {"input_ids": ids, "attention_mask": np.ones_like(ids), "labels": ids}
    launches.clear()
    loss, _ = MaskedLM()(model, batch)
    forward = launches.copy()
    loss.backward()
    return forward, launches - forward


def test_a_layer_of_bert_launches_what_its_formulas_need() -> None:
    (forward, backward), (forward2, backward2) = map(launches_of_a_step, (1, 2))
    assert forward2 - forward == {
        "attention_weights": 1,
        "dropout": 2,
        "gelu": 1,  # with the bias before it
        "layer_norm": 2,
        "cupy_add__float32_float32_float32": 5,  # 3 biases, 2 residuals
        COPY_PARTS: 2,  # weights and biases of query, key and value side by side
        "cupy_copy__float32_float32": 2,  # heads apart and together
    }
    assert backward2 - backward == {
        "attention_backward": 1,
        "dropout": 2,
        "gelu_backward": 1,
        "layer_norm_to_x": 2,
        "slab_sums": 2,
        "sum_of_slabs": 2,
        "cupy_add__float32_float32_float32": 2,  # gradients that meet at a residual
        COPY_PARTS: 2,
        "cupy_copy__float32_float32": 2,
        "cupy_sum": 4,  # to the biases
    }
