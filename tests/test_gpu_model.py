"""The model of a GPU step counts what the pretended GPU counts, and its page is its own."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from gpu import cublas, kernels

from benchmarks import gpu_model
from benchmarks.gpu_costs import Cost
from benchmarks.gpu_model import FAMILIES, PRODUCTS, TASKS, Shape
from minift.data import ArrayDataset
from minift.models import BertConfig, BertForMaskedLM, BertForSequenceClassification
from minift.objectives import Classification, MaskedLM
from minift.train import TrainConfig, Trainer

SMALL = Shape("small", layers=1, D=64, H=2, B=8, T=16, V=200, positions=16)


def trainer(s: Shape, task: str, device: str = "cpu") -> Trainer:
    """One that trains the model of that shape."""
    config = BertConfig(
        vocab_size=s.V, hidden_size=s.D, num_hidden_layers=s.layers, num_attention_heads=s.H,
        intermediate_size=4 * s.D, max_position_embeddings=s.positions, num_labels=s.labels,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    ids = rng.integers(1, s.V, (s.B, s.T))
    if task == "masked words":
        labels = np.full(s.tokens, -100)
        labels[: s.hidden] = ids.reshape(-1)[: s.hidden]
        model, objective, labels = BertForMaskedLM(config), MaskedLM(), labels.reshape(s.B, s.T)
    else:
        labels = rng.integers(0, s.labels, s.B)
        model, objective = BertForSequenceClassification(config), Classification()
    data = ArrayDataset(input_ids=ids, attention_mask=np.ones_like(ids), labels=labels)
    settings = TrainConfig(steps=9, batch_size=s.B, device=device)
    return Trainer(model, data, objective=objective, config=settings)


def counted(s: Shape, task: str) -> tuple[Counter[str], list[cublas.Product]]:
    """Launches by family and products of a step, once everything stands."""
    run = trainer(s, task, "cuda")
    run.model.train()
    batch = next(iter(run.loader))
    run.train_step(batch)
    kernels.launches.clear()
    cublas.forget()
    run.train_step(batch)
    found: Counter[str] = Counter({PRODUCTS: len(cublas.products())})
    for name, count in kernels.launches.items():
        found[family_of(name)] += count
    return found, cublas.products()


def family_of(kernel: str) -> str:
    """The family that names the kernel; C++ mangles `step<…>` to _Z4step…, CuPy appends types.

    An addition of whole arrays counts, one of a number does not.
    """
    name = re.sub(r"__float32.*$", "", kernel)
    mangled = re.match(r"_Z(\d+)", kernel)
    if mangled:
        start = mangled.end()
        name = kernel[start : start + int(mangled[1])]
    return next((f for f, family in FAMILIES.items() if name in family.kernels), gpu_model.SMALL)


@pytest.mark.cuda
@pytest.mark.usefixtures("pretended_gpu")
@pytest.mark.parametrize("layers", [1, 6])
@pytest.mark.parametrize("task", TASKS)
def test_launches_and_products_are_those_of_the_pretended_gpu(task: str, layers: int) -> None:
    shape = replace(SMALL, layers=layers)
    rows = gpu_model.step(shape, task)
    found, products = counted(shape, task)
    assert found == {row.family: row.launches for row in rows}
    assert sum(p.flops for p in products) == gpu_model.products(shape, task).flops


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("task", TASKS)
def test_parameters_are_those_of_the_model(task: str, layers: int) -> None:
    shape = replace(SMALL, layers=layers)
    sizes = [p.size for p in trainer(shape, task).model.parameters()]
    assert gpu_model.parameters(shape, task) == sum(sizes)
    assert gpu_model.arrays(shape, task) == len(sizes)


def test_the_floor_of_the_chip_adds_the_rooflines_of_the_families() -> None:
    product = gpu_model.Row(PRODUCTS, 2, Cost(3e9, 6.7e12))  # 1 ms by bytes, 100 by flops
    other = gpu_model.Row("GELU", 3, Cost(6e9, 1e9))  # 2 ms by bytes
    chip, host = gpu_model.floors([product, other], gpu_model.PEAKS["float32"])
    assert (chip, host) == (pytest.approx(0.102), pytest.approx(5 * gpu_model.LAUNCH))
    chip, _ = gpu_model.floors([product, other], 10 * gpu_model.PEAKS["float32"])
    assert chip == pytest.approx(0.012)


def test_the_page_is_what_the_code_computes_and_says_that_it_is_a_model() -> None:
    assert gpu_model.FILE.read_text(encoding="utf-8") == gpu_model.page()
    assert "a model, not a measurement" in gpu_model.page()
