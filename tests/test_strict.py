"""The strict double judges as CuPy does, counts what CuPy would move, and has only CuPy's names.

What runs on the double runs everywhere; marked "cuda", the same is asked of the real CuPy.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import strict
from gpu import pretend
from strict import api
from strict.checks import TooStrict
from strict.counts import Counts
from strict.functions import AT, REDUCE
from strict.misuses import LAWFUL, REFUSED, STRICTER, ingredients

import minift as mf
from minift import kernels, nn, optim
from minift.backend import cuda, xp
from minift.models import BertConfig, BertForMaskedLM
from minift.objectives import MaskedLM

CUDA = pytest.param("cuda", marks=pytest.mark.cuda)
ON_BOTH = pytest.mark.parametrize("device", ["strict", CUDA], indirect=True)
STRICT = pytest.mark.parametrize("device", ["strict"], indirect=True)
REAL = pytest.mark.parametrize("device", [CUDA], indirect=True)
BINARY = sorted(op.__name__ for op in vars(np).values() if isinstance(op, np.ufunc) and op.nin == 2)
UFUNCS = [name for name in dict.fromkeys(BINARY) if name in api.read_file()["ufuncs"]]
REFUSALS = (TypeError, ValueError, AttributeError, IndexError, NotImplementedError)


@pytest.fixture
def cp(device: str) -> ModuleType:
    """The double or the real CuPy."""
    return sys.modules["cupy"]


# ---- the same verdicts as CuPy's ----------------------------------------------------------------


@ON_BOTH
@pytest.mark.parametrize("name", REFUSED)
def test_misuse_is_refused(cp: ModuleType, name: str) -> None:
    o = ingredients(cp)
    with pytest.raises(REFUSALS):
        REFUSED[name](o)


@STRICT
@pytest.mark.parametrize("name", STRICTER)
def test_what_cupy_does_in_silence_is_refused(cp: ModuleType, name: str) -> None:
    o = ingredients(cp)
    with pytest.raises((TooStrict, *REFUSALS)):
        STRICTER[name](o)


@REAL
@pytest.mark.parametrize("name", STRICTER)
def test_cupy_does_it_in_silence(cp: ModuleType, name: str) -> None:
    STRICTER[name](ingredients(cp))


@STRICT
@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_use_is_accepted(cp: ModuleType, name: str) -> None:
    LAWFUL[name](ingredients(cp))


@REAL
@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_use_gives_what_cupy_gives_and_moves_what_cupy_moves(
    cp: ModuleType, name: str
) -> None:
    real, moved = use_on_cupy(LAWFUL[name], ingredients(cp))
    o = ingredients(strict.cupy)
    with strict.counting() as counts:
        double = LAWFUL[name](o)
    assert type(double).__name__ == type(real).__name__
    assert is_on_device(double) == is_on_device(real)
    np.testing.assert_allclose(on_host(double), on_host(real), rtol=1e-6, strict=True)
    assert moved is None or (counts.h2d, counts.d2h) == moved


def use_on_cupy(use: Any, o: SimpleNamespace) -> tuple[Any, tuple[int, int] | None]:
    """The result and the copies to the device and back; None on a GPU that does not count."""
    if "gpu.memory" not in sys.modules:
        return use(o), None
    from gpu.memory import copies

    before = Counter(copies)
    result = use(o)
    moved = copies - before
    return result, (moved[1], moved[2])


def is_on_device(x: Any) -> bool:
    return type(x).__module__ == "cupy"


def on_host(x: Any) -> np.ndarray:
    return x.get() if is_on_device(x) else np.asarray(x if not isinstance(x, str) else float(x))


@ON_BOTH
def test_few_ufuncs_have_at_and_for_few_dtypes(cp: ModuleType) -> None:
    x = cp.ones(2, dtype=np.complex64)
    found = {}
    for name in UFUNCS:
        with pytest.raises((NotImplementedError, TypeError)) as refusal:
            getattr(cp, name).at(x, cp.arange(2), x)
        if refusal.type is TypeError:
            found[name] = set(re.findall(r"[a-z]+\d+", str(refusal.value)))
    assert found == {name: set(dtypes) for name, dtypes in AT.items()}


@ON_BOTH
@pytest.mark.parametrize("method", ["reduce", "accumulate"])
def test_few_ufuncs_have_reduce(cp: ModuleType, method: str) -> None:
    for name in UFUNCS:
        fold = getattr(getattr(cp, name), method)
        if name in REDUCE:
            assert fold(cp.ones(2)).sum() > 0
        else:
            with pytest.raises(NotImplementedError, match=method):
                fold(cp.ones(2))


# ---- the same names as CuPy's -------------------------------------------------------------------


@REAL
def test_the_names_and_keywords_are_those_of_the_installed_wheel(device: str) -> None:
    if cuda.module().__version__ != pretend.CUPY:
        pytest.skip(f"api.json is of CuPy {pretend.CUPY}, here is {cuda.module().__version__}")
    assert api.read_file() == api.read_wheel()


def test_names_are_of_the_version_that_the_pretended_gpu_is_made_for() -> None:
    assert api.read_file()["cupy"] == pretend.CUPY == strict.cupy.__version__


@STRICT
def test_the_double_is_found_by_import_and_gone_afterwards(device: str) -> None:
    import cupy
    import cupyx.scipy.special

    assert cupy is strict.cupy
    assert cuda.why_not() is None
    assert cupyx.scipy.special.erf(cupy.ones(1)).get() == pytest.approx(0.8427007929)
    with pytest.raises(AttributeError, match="'RawKernel', or its double has none"):
        cupy.RawKernel("", "")


def test_what_was_there_before_is_there_again() -> None:
    def cupys() -> dict[str, Any]:
        return {n: m for n, m in sys.modules.items() if n.split(".")[0] in ("cupy", "cupyx")}

    reason, before = cuda.why_not(), cupys()
    with strict.installed():
        assert cupys().keys() == {"cupy", "cupyx", "cupyx.scipy", "cupyx.scipy.special"}
        assert cuda.why_not() is None
    with pytest.raises(ZeroDivisionError), strict.installed():
        raise ZeroDivisionError
    assert cupys() == before
    assert cuda.why_not() == reason


# ---- counting -----------------------------------------------------------------------------------

FETCHES = {
    "get": lambda g: g.get(),
    "item": lambda g: g[0].item(),
    "float": lambda g: float(g[0]),
    "int": lambda g: int(g[0]),
    "bool": lambda g: bool(g[0]),
    "if": lambda g: 1 if g[0] > 0 else 2,
    "tolist": lambda g: g.tolist(),
    "print": lambda g: str(g),
    "format": lambda g: f"{g[0]:.2f}",
    "mask": lambda g: g[g > 0],
    "numpy": lambda g: mf.Tensor(g).numpy(),
}


@STRICT
@pytest.mark.parametrize("name", FETCHES)
def test_each_wait_for_the_device_is_counted(cp: ModuleType, name: str) -> None:
    g = cp.arange(3.0) + 1
    with strict.counting() as counts:
        FETCHES[name](g)
    assert (counts.h2d, counts.d2h) == (0, 1)


@STRICT
def test_views_cost_nothing_and_results_a_launch(cp: ModuleType) -> None:
    with strict.counting() as outer:
        g = cp.asarray(np.ones((2, 3)))
        with strict.counting() as views:
            g[0], g.T, g.reshape(6), g[None], cp.broadcast_to(g, (2, 2, 3)), cp.empty(2)
        with strict.counting() as launches:
            g + 1, g.sum(), g @ g.T, g.T.reshape(6), cp.exp(g, out=g)
            g += 1
            g[0] = 2
    assert views == Counts()
    assert launches == Counts(launches=7)
    assert outer == Counts(h2d=1, launches=7)


@STRICT
def test_a_view_knows_whose_memory_it_shows(cp: ModuleType) -> None:
    g = cp.arange(6.0).reshape(2, 3).copy()
    views = [g[0], g[0][1:], g.T, g.reshape(6), cp.broadcast_to(g, (2, 2, 3)), g.T.reshape(3, 2)]
    assert all(v.base is g for v in views)
    assert (g + 1).base is g.T.reshape(6).base is g.copy().base is None
    assert cp.asarray(g) is g


def test_a_budget_says_by_how_much_it_is_overrun() -> None:
    g = strict.cupy.arange(3.0)
    with strict.budget(d2h=1, h2d=0):
        g.get()
    with pytest.raises(AssertionError, match="2 d2h where 1 are allowed"), strict.budget(d2h=1):
        g.get(), g.get()


# ---- a training step, and mistakes planted in it ------------------------------------------------

IDS = np.arange(12).reshape(2, 6)
BATCH = {
    "input_ids": IDS,
    "attention_mask": np.array([[1] * 6, [1] * 4 + [0] * 2]),
    "token_type_ids": IDS % 2,
    "labels": np.where(IDS % 3 == 0, IDS, -100),
}
MOVED = 5  # ids, mask, segments, positions of hidden words, those words


def bert(layers: int, **changes: Any) -> BertForMaskedLM:
    sizes = {"vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16}
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = BertConfig(**{**sizes, **no_dropout, "num_hidden_layers": layers, **changes})
    return BertForMaskedLM(config).to("cuda")


def step(model: BertForMaskedLM, optimizer: optim.Optimizer, objective: Any) -> None:
    optimizer.zero_grad()
    loss, _ = objective(model, BATCH)
    loss.backward()
    optim.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def step_budget(model: BertForMaskedLM) -> dict[str, int]:
    """The batch goes to the device and nothing else. Back come what plain formulas ask: a check per
    layer of attention, those of ids and targets, and the length of the gradient."""
    return {"h2d": MOVED, "d2h": model.config.num_hidden_layers + 11}


def check_step(layers: int, objective: Any = None, **changes: Any) -> Counts:
    """The second step within its budget: the first also makes the optimizer's state."""
    model = bert(layers, **changes)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    step(model, optimizer, objective or MaskedLM())
    with strict.budget(**step_budget(model)) as counts:
        step(model, optimizer, objective or MaskedLM())
    return counts


@STRICT
@pytest.mark.parametrize("layers", [1, 3])
def test_a_training_step_moves_the_batch_and_nothing_else(device: str, layers: int) -> None:
    assert check_step(layers).h2d == MOVED


@STRICT
def test_dropout_by_its_plain_formula_moves_its_masks(device: str) -> None:
    with pytest.raises(AssertionError, match=f"{MOVED + 1 + 3 * 2} h2d where {MOVED} are allowed"):
        check_step(2, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)


@REAL
@pytest.mark.usefixtures("pretended_gpu")
def test_a_training_step_moves_on_cupy_what_it_moves_on_the_double(device: str) -> None:
    from gpu.memory import copies

    moved = []
    for place in (strict.installed(), kernels.plain_formulas()):
        with place:
            model = bert(2, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
            optimizer = optim.AdamW(model.parameters(), lr=1e-3)
            step(model, optimizer, MaskedLM())
            copies.clear()
            with strict.counting() as counts:
                step(model, optimizer, MaskedLM())
            moved.append((counts.h2d + copies[1], counts.d2h + copies[2]))
    assert moved[0] == moved[1]


WEIGHT = np.linspace(0.5, 1.5, 20, dtype=np.float32)


@STRICT
def test_a_hidden_copy_in_a_loop_overruns_the_budget(device: str) -> None:
    def objective(model: BertForMaskedLM, batch: Any) -> Any:
        loss, log = MaskedLM()(model, batch)
        for _ in range(3):  # each time anew from the host, though it never changes
            loss = loss + mf.Tensor(WEIGHT, device="cuda").mean()
        return loss, log

    with pytest.raises(AssertionError, match=f"{MOVED + 3} h2d where {MOVED} are allowed"):
        check_step(1, objective)


@STRICT
def test_a_hidden_wait_in_a_loop_overruns_the_budget(device: str) -> None:
    def objective(model: BertForMaskedLM, batch: Any) -> Any:
        loss, log = MaskedLM()(model, batch)
        lengths = [float((p.data * p.data).sum()) for p in model.parameters()]
        return loss, {**log, "length": sum(lengths)}

    with pytest.raises(AssertionError, match=r"\d+ d2h where \d+ are allowed"):
        check_step(1, objective)


PLANTED_OPS = {
    "a host array": lambda x: x * np.ones(3, np.float32),
    "a host array on the left": lambda x: np.ones(3, np.float32) + x,
    "NumPy by name": lambda x: np.maximum(np.asarray(x), 0),
    "a host mask": lambda x: xp(x).where(np.arange(3) > 1, x, 0),
    "a host index": lambda x: x[np.array([0, 2, 1])],
    "a list of numbers": lambda x: xp(x).concatenate([x, [1.0]]),
    "a function that CuPy lacks": lambda x: xp(x).vecdot(x, x),
    "a keyword that CuPy lacks": lambda x: xp(x).sum(x, where=x > 0),
    "a method's keyword": lambda x: x.max(initial=0.0),
    "a store to one place twice": lambda x: stored_twice(x),
}


def stored_twice(x: Any) -> Any:
    y = xp(x).zeros_like(x)
    y[xp(x).ones(3, dtype=np.int64)] = x
    return y


@pytest.mark.parametrize("name", PLANTED_OPS)
def test_a_mistake_in_an_op_shows_on_the_double_though_the_cpu_forgives_it(name: str) -> None:
    op = mf.op(lambda x: (PLANTED_OPS[name](x), (lambda g: g,)))
    op(mf.Tensor([1.0, -2.0, 3.0]))
    with strict.installed(), pytest.raises((TooStrict, *REFUSALS)):
        op(mf.Tensor([1.0, -2.0, 3.0], device="cuda"))


def test_a_layer_with_an_array_of_its_own_shows_on_the_double() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(3, 3)
            self.shift = np.ones(3, np.float32)  # no buffer, so `to` leaves it behind

        def forward(self, x: Any) -> Any:
            return self.linear(x) + self.shift

    Shifted()(mf.ones(2, 3))
    with strict.installed(), pytest.raises(ValueError, match="add: the inputs lie on cpu and cuda"):
        Shifted().to("cuda")(mf.ones(2, 3, device="cuda"))
