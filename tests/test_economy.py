"""What a training step costs on a GPU: launches, products, and copies to and from the host.

Counted on the pretended GPU (`tests/gpu/pretend.py`), under the real CuPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gpu import cublas, kernels, memory

import minift as mf
from minift import functional as F
from minift import nn, optim
from minift.backend import to_device
from minift.data import ArrayDataset
from minift.models import BertConfig, BertForMaskedLM, BertForSequenceClassification
from minift.objectives import Classification, MaskedLM
from minift.objectives.numbers import number
from minift.tensor import Tensor
from minift.train import Callback, TrainConfig, Trainer

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("pretended_gpu")]


class Cost:
    """Counts from `with Cost() as cost:` to its end."""

    def __enter__(self) -> Cost:
        memory.copies.clear()
        kernels.launches.clear()
        cublas.forget()
        return self

    def __exit__(self, *error: object) -> None:
        self.to_device, self.to_host = memory.copies[1], memory.copies[2]
        self.launches, self.products = kernels.launches.copy(), cublas.products()
        self.launched = sum(self.launches.values())


def parameters(count: int, dtype: str = "float32") -> list[nn.Parameter]:
    params = [nn.Parameter(np.ones((3, 5), dtype)) for _ in range(count)]
    for p in params:
        p.data = to_device(p.data, "cuda")
        p.grad = Tensor(np.ones((3, 5), dtype), device="cuda")
    return params


RULES: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1},
    "RMSprop": {"momentum": 0.5, "lr": 0.1},
    "Adam": {},
    "AdamW": {},
}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("rule", RULES)
def test_a_step_is_one_launch_for_forty_tensors_whatever_their_rates(rule: str, dtype: str) -> None:
    groups = [{"params": [p], "lr": 0.1 * i} for i, p in enumerate(parameters(40, dtype))]
    optimizer = getattr(optim, rule)(groups, **RULES[rule])
    for _ in range(2):  # the first makes the state
        with Cost() as cost:
            optimizer.step()
    assert (cost.launched, cost.to_device, cost.to_host) == (1, 0, 0)


def test_the_length_of_a_gradient_is_two_launches_and_clipping_a_third() -> None:
    params = parameters(100)
    with Cost() as cost:
        optim.clip_grad_norm_(params, 1.0)
    assert cost.launches.pop("cupy_copy__float64_float64") == 1  # into the Tensor
    assert (sum(cost.launches.values()), cost.to_device, cost.to_host) == (3, 0, 0)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_joining_is_one_launch_and_parting_one_more(axis: int, dtype: str) -> None:
    lengths, draw = [3, 0, 1, 70], np.random.default_rng(0).standard_normal
    shapes = [[2, 5, 4] for _ in lengths]
    for shape, n in zip(shapes, lengths):
        shape[axis] = n
    arrays = [draw(shape).astype(dtype) for shape in shapes]
    xs = [Tensor(a, requires_grad=True, device="cuda") for a in arrays]
    whole = np.concatenate(arrays, axis)
    g = Tensor(draw(whole.shape).astype(dtype), device="cuda")
    with Cost() as cost:
        y = F.concatenate(xs, axis)
        (grads,) = [mf.grad(y, xs, g)]
    assert {name: n for name, n in cost.launches.items() if "copy_parts" in name}.popitem()[1] == 2
    assert (cost.to_device, cost.to_host) == (0, 0)
    np.testing.assert_array_equal(y.numpy(), whole)
    expected = np.split(g.numpy(), np.cumsum(lengths)[:-1], axis)
    for ours, theirs in zip(grads, expected):
        np.testing.assert_array_equal(ours.numpy(), theirs)


# ---- float16 and TF32 ---------------------------------------------------------------------------


def test_products_take_tf32_only_when_it_is_allowed() -> None:
    a, b = (Tensor(np.ones(s, np.float32), device="cuda") for s in ((8, 16), (16, 4)))
    found = []
    for on in (False, True, False):
        mf.cuda.allow_tf32(on)
        with Cost() as cost:
            a @ b
        found += cost.products
    assert [(p.dtype, p.compute) for p in found] == [("float32", c) for c in (68, 77, 68)]


def test_products_of_float16_are_summed_in_float32() -> None:
    ones = Tensor(np.ones((2, 4096), np.float16), device="cuda")
    with Cost() as cost:
        total = F.linear(ones, ones).numpy()  # in float16 sums of ones end at 2048
    assert (total == 4096).all()
    assert [(p.dtype, p.compute) for p in cost.products] == [("float16", 68)]


# ---- a training step of BERT --------------------------------------------------------------------


def step_of_bert(task: str, precision: str) -> Cost:
    """The third training step of a BERT with 6 layers, masks and dropout."""
    rng = np.random.default_rng(3)
    ids = rng.integers(1, 40, (8, 6))
    real = (np.arange(6) < rng.integers(3, 6, (8, 1))).astype(np.int64)
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=6, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=8, num_labels=3,
    )  # fmt: skip
    if task == "classify":
        model, objective = BertForSequenceClassification(config), Classification([1.0, 2.0, 0.5])
        labels = ids[:, 0] % 3
    else:
        model, objective = BertForMaskedLM(config), MaskedLM()
        labels = np.where((ids % 3 == 0) & (real == 1), ids, -100)
        labels[:, 0] = ids[:, 0]
    data = ArrayDataset(input_ids=ids * real, attention_mask=real, labels=labels)
    settings = TrainConfig(steps=3, batch_size=4, device="cuda", precision=precision)
    trainer = Trainer(model, data, objective=objective, config=settings)
    costs = []

    class Count(Callback):
        def on_fit_start(self, trainer: Trainer) -> None:
            self._cost = Cost().__enter__()

        def on_step_end(self, trainer: Trainer) -> None:
            self._cost.__exit__()
            costs.append(self._cost)
            self.on_fit_start(trainer)

    trainer.callbacks.append(Count())
    trainer.fit()
    return costs[-1]


@pytest.mark.parametrize(("precision", "launches"), [("float32", 265), ("float16", 269)])
def test_a_step_of_a_classifier_is_at_its_floor(precision: str, launches: int) -> None:
    """Launches that the formulas need, one kernel each:

    | where                                                         | forward | backward | in all |
    | ------------------------------------------------------------- | ------- | -------- | ------ |
    | a layer: join q, k, v weights and biases; part their gradient |       2 |        2 |        |
    | biases of 4 products (forward, one is added with GELU)        |       3 |        4 |        |
    | attention: split heads, weights, merge heads                  |       3 |        3 |        |
    | 2 dropouts, 2 residual sums                                   |       4 |        4 |        |
    | 2 layer norms (back: by x, by slabs of rows, slabs added)     |       2 |        6 |        |
    | GELU                                                          |       1 |        1 |        |
    | 6 layers                                                      |      90 |      120 |    210 |
    | embeddings: rows, 2 sums, norm, dropout                       |       5 |        7 |     12 |
    | first token, pooler, dropout, scores                          |       5 |        8 |     13 |
    | weighted loss over rows that count; the gradient 1            |      13 |        7 |     20 |
    | update of 105 parameters, 46 a launch                         |         |          |      3 |
    | accuracy 4, length of the gradient 2, all numbers as one 1    |         |          |      7 |
    | in all                                                        |         |          |    265 |

    float16: the logits become float32, and the loss is scaled; and the ways back. Products: qkv,
    out, up, down and 2 of attention in each layer, pooler and scores, 3 each: 6·(12 + 6) + 6 = 114.
    """
    cost = step_of_bert("classify", precision)
    assert cost.to_device == 3  # ids, mask, labels
    assert cost.to_host == 1
    assert cost.launched == launches
    assert [p.dtype for p in cost.products] == [precision] * 114
    assert "cupy_mat_ptrs" not in cost.launches


@pytest.mark.parametrize(("precision", "launches"), [("float32", 261), ("float16", 265)])
def test_a_step_on_masked_words_is_at_its_floor(precision: str, launches: int) -> None:
    """As above, with the head's transform, norm and the words' bias in place of the pooler."""
    cost = step_of_bert("mask", precision)
    assert cost.to_device == 4  # ids, mask, positions of hidden words, those words
    assert cost.to_host == 1
    assert cost.launched == launches
    assert [p.dtype for p in cost.products] == [precision] * 114
    assert "cupy_mat_ptrs" not in cost.launches


def test_evaluation_reads_each_batch_once() -> None:
    model = nn.Linear(3, 2).to("cuda")

    def objective(model: nn.Module, batch: Any) -> Any:
        loss = F.cross_entropy(model(Tensor(batch["x"], device="cuda")), batch["labels"].tolist())
        return loss, {"loss": number(loss), "squared": number(loss * loss)}

    data = ArrayDataset(x=np.ones((8, 3), np.float32), labels=np.zeros(8, int))
    config = TrainConfig(steps=1, batch_size=4, device="cuda")
    trainer = Trainer(model, data, objective=objective, config=config)
    with Cost() as cost:
        log = trainer.evaluate(data)
    assert cost.to_host == 2
    assert log["squared"] == pytest.approx(log["loss"] ** 2, rel=1e-6)


def test_an_id_out_of_range_is_raised_by_the_step_that_met_it_and_nothing_is_written() -> None:
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    model = BertForSequenceClassification(config)
    data = ArrayDataset(input_ids=np.full((2, 3), 20), labels=np.array([0, 1]))
    settings = TrainConfig(steps=1, device="cuda")
    trainer = Trainer(model, data, objective=Classification(), config=settings)
    before = model.state_dict()
    with pytest.raises(IndexError, match="embedding: ids on the GPU do not fit the rows"):
        trainer.fit()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
