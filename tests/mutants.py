"""Break each derivative on purpose and see whether the tests notice.

    python tests/mutants.py [NAME ...]

A mutant is one small change in the source of one derivative: a sign, a factor, a product for a
quotient, a forgotten transposition or un-broadcasting, another axis, a shifted constant. The
compiled mutant takes the place of the original while the checks of `test_ops.py` and
`test_kernels.py` run; it is killed if one of them fails. Prints killed/total and each survivor;
exits 1 if there is any, or if an op has fewer than three mutants.

A change that alters no result is no mutant; the few that the rules make are listed, with the
reason, in EQUIVALENT.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any

import numpy as np
import test_extremes
import test_kernels
import test_ops
import test_tensor
from op_table import Case, all_cases

from minift import set_num_threads
from minift.autograd import Op

OPS = ["elementwise", "reduce", "shape", "products", "neural", "conv", "losses"]
KERNELS = [
    "attention", "batch_norm", "conv", "dropout", "gelu", "layer_norm", "linear", "patches",
    "pooling", "rows",
]  # fmt: skip

# Functions that are derivatives, or parts of them, from their first line to their last.
WHOLE = {
    "unbroadcast", "_fit", "_share", "sign", "_spread", "_power_of_number", "_add_windows",
    "column_sums", "_to_shape", "_backward", "_masked",
    "scores", "exponentials", "dropped", "forward", "backward_of_group", "_add_product",
    "_image_of", "_kernel_of", "_correlate", "fill", "below", "inside", "_patches", "_channel_sums",
    "_along", "_summed", "_with_bias", "_of_largest",
    "var", "logsumexp", "min", "silu", "batch_norm",
    "cross_entropy", "nll_loss", "focal_loss", "_reduced_rows", "mse_loss", "l1_loss",
    "binary_cross_entropy_with_logits", "info_nce", "_unit_rows", "kl_normal",
}  # fmt: skip

# "function: before -> after" that changes no result, and why.
EQUIVALENT = {
    "power: 1 -> 2": "any positive exponent will do where it is multiplied by 0",
    "_add_windows: 2 -> 3": "a wider border of zeros, which is cut off",
    "_reduced_rows: 1.0 -> 2.0": "the sum that it divides is 0 then",
    "_reduced_rows: weight * counts -> weight / counts": "only a GPU has counts: see there",
    "_reduced_rows: loss * counts -> loss / counts": "the same",
    "_masked: 0 -> 1": "with p = 1 the mask itself is 0 everywhere",
    "exponentials: 2 -> 3": "a block that is kept has all its rows",
    "forward: 0 -> 1": "the first product may as well be added to zeros; 0 / 2 is 0",
    "forward: 1 -> 2": "0 / 2 is 0",
    "backward_of_group: 0 -> 1": "the first product may as well be added to zeros",
    "logsumexp: 0 -> 1": "an infinite row may be shifted by any finite number",
    "_unit_rows: return x / sqrt(sum(x * x, axis=-1, keepdims=True) + 1e-12) -> "
    "return x / sqrt(sum(x * x, axis=-1, keepdims=True) + 1e-12) * -1.0": "both sides turn",
}

CUTS = {"in_parts", "tiles"}  # whose later arguments say how a loop is cut, no value

# Not derivatives: the factory of binary ops (its work is done by `_fit`, which is mutated),
# comparisons, and the decorator that widens float16.
NOT_HERE = {"binary", "_comparison", "in_float32"}


# ---- one small change ---------------------------------------------------------------------------

SWAPS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult
}  # fmt: skip
FACTORS = [ast.Constant(-1.0), ast.Constant(1.01), ast.Constant(0.0)]
FORGETTABLE = {"unbroadcast", "_fit", "_spread"}  # f(g, ...) -> g
TRANSPOSITIONS = {"swapaxes", "transpose"}  # g.f(...) -> g


def changes(node: ast.AST, parent: ast.AST) -> Iterator[ast.expr]:
    """Each way to spoil this expression."""
    if _is_negative_number(node):  # an axis counted from the end, or a free length of a reshape
        yield from _other_axis(node, parent)
    elif isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        yield ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in FORGETTABLE:
        yield node.args[0]
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in TRANSPOSITIONS:
        yield node.func.value  # type: ignore[attr-defined]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        if not isinstance(parent, ast.UnaryOp):
            yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Lambda):
        for factor in FACTORS:
            yield ast.Lambda(node.args, ast.BinOp(node.body, ast.Mult(), factor))


def _is_negative_number(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)


def _other_axis(node: Any, parent: ast.AST) -> Iterator[ast.expr]:
    is_length = isinstance(parent, ast.Tuple) or "reshape" in getattr(
        getattr(parent, "func", None), "attr", ""
    )
    value = node.operand.value
    yield ast.Constant(value) if is_length else ast.Constant(-value - 1)


def augmented(node: ast.AST) -> Iterator[ast.stmt]:
    """Each way to spoil this statement."""
    if isinstance(node, ast.AugAssign) and type(node.op) in SWAPS:
        yield ast.AugAssign(node.target, SWAPS[type(node.op)](), node.value)
    if isinstance(node, ast.Return) and not isinstance(node.value, ast.Tuple):
        for factor in FACTORS:
            yield ast.Return(ast.BinOp(node.value, ast.Mult(), factor))  # type: ignore[arg-type]


def mutants_of(function: ast.FunctionDef, whole: bool) -> Iterator[tuple[str, ast.FunctionDef]]:
    """(description, changed function) for each place inside a derivative."""
    for path in _places(function, whole):
        node = _at(function, path)
        for changed in (*changes(node, _at(function, path[:-1])), *augmented(node)):
            mutant = copy.deepcopy(function)
            _put(mutant, path, copy.deepcopy(changed))
            mutant.decorator_list = []
            name = f"{function.name}: {ast.unparse(node)} -> {ast.unparse(changed)}"
            yield name, ast.fix_missing_locations(mutant)


Path = tuple[tuple[str, int | None], ...]


def _places(function: ast.FunctionDef, whole: bool) -> Iterator[Path]:
    """Paths to all nodes inside lambdas and nested functions (or anywhere, if `whole`)."""
    stack: list[tuple[ast.AST, Path, bool]] = [(function, (), whole)]
    while stack:
        node, path, inside = stack.pop()
        if isinstance(node, (ast.Raise, ast.JoinedStr)) or path[-1:] == (("test", None),):
            continue
        inside = inside or (isinstance(node, (ast.Lambda, ast.FunctionDef)) and node != function)
        if inside and path:
            yield path
        for field, value in ast.iter_fields(node):
            if field in ("decorator_list", "annotation", "returns", "args") and not isinstance(
                node, ast.Call
            ):
                continue
            if getattr(getattr(node, "func", None), "id", "") in CUTS and field == "args":
                value = value[:1]
            children = enumerate(value) if isinstance(value, list) else [(None, value)]
            for i, child in children:
                if isinstance(child, ast.AST):
                    stack.append((child, (*path, (field, i)), inside))


def _at(node: Any, path: Path) -> Any:
    for field, i in path:
        node = getattr(node, field) if i is None else getattr(node, field)[i]
    return node


def _put(node: Any, path: Path, new: ast.AST) -> None:
    parent = _at(node, path[:-1])
    field, i = path[-1]
    if i is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[i] = new


# ---- which functions, and what must notice ------------------------------------------------------


def targets() -> Iterator[tuple[ModuleType, ast.FunctionDef, Any]]:
    """(module, source, function) of each derivative."""
    names = [f"minift.ops.{name}" for name in OPS] + [f"minift.kernels.{name}" for name in KERNELS]
    for module in [sys.modules[name] for name in names]:
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.FunctionDef) and node.name not in NOT_HERE:
                yield module, node, inspect.unwrap(vars(module)[node.name])
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef):
                    yield module, method, vars(vars(module)[node.name])[method.name]


def code_of(mutant: ast.FunctionDef, module: ModuleType) -> CodeType:
    namespace: dict[str, Any] = {}
    source = ast.Module([mutant], type_ignores=[])
    future = "annotations"  # as in the modules themselves
    flags = getattr(__import__("__future__"), future).compiler_flag
    exec(compile(source, module.__file__ or "", "exec", flags=flags), namespace)
    return namespace[mutant.name].__code__


Check = Callable[[], None]


def checks_of(case: Case) -> list[Check]:
    return [
        lambda: test_ops.test_value_and_gradient_equal_pytorch(case, "cpu"),
        lambda: test_ops.test_gradients_equal_finite_differences_to_second_order(case, "cpu"),
    ]


def kernel_checks() -> list[Check]:
    return [
        lambda c=c, d=d: test_kernels.test_kernel_equals_plain_formula(*c, d)
        for c in test_kernels.CASES
        for d in (np.float32, np.float64)
    ]


def extra_checks() -> list[Check]:
    tests = (
        test_ops.test_ties_and_kinks_follow_pytorch,
        test_ops.test_batch_norm_moves_running_statistics_as_pytorch_does,
        test_extremes.test_extreme_logits_are_finite,
        test_extremes.test_if_all_targets_are_ignored_loss_and_gradient_are_zero,
        test_tensor.test_dropout_scales_what_it_keeps_and_repeats_with_the_seed,
    )
    masks = test_kernels.test_keep_mask_is_philox_from_its_first_counter_on
    return [masks, *(lambda test=test: test("cpu") for test in tests)]


def who_runs_what(checks: list[Check]) -> dict[CodeType, list[Check]]:
    """For each function's code, the checks during which it is called."""
    used: dict[CodeType, list[Check]] = defaultdict(list)
    for check in checks:
        seen: set[CodeType] = set()

        def note(frame: Any, event: str, argument: Any, seen: set[CodeType] = seen) -> None:
            if event == "call":
                seen.add(frame.f_code)

        sys.setprofile(note)
        try:
            check()
        finally:
            sys.setprofile(None)
        for code in seen:
            used[code].append(check)
    return used


def is_killed(function: Any, code: CodeType, checks: list[Check]) -> bool:
    original = function.__code__
    function.__code__ = code
    try:
        for check in checks:
            check()
    except Exception:
        return True
    finally:
        function.__code__ = original
    return False


def main(names: list[str]) -> int:
    warnings.simplefilter("error")
    set_num_threads(2)  # so that large cases run in parts
    start = time.perf_counter()
    checks = [check for _, case in all_cases() for check in checks_of(case)]
    used = who_runs_what([*checks, *kernel_checks(), *extra_checks()])
    killed, survivors = 0, []
    too_few = []
    for module, source, function in targets():
        whole = source.name in WHOLE
        if names and source.name not in names:
            continue
        mutants = [m for m in mutants_of(source, whole) if m[0] not in EQUIVALENT]
        is_op = isinstance(vars(module).get(source.name), Op)
        if is_op and len(mutants) < 3:
            too_few.append(source.name)
        for name, mutant in mutants:
            if is_killed(function, code_of(mutant, module), used[function.__code__]):
                killed += 1
            else:
                survivors.append(name)
    for name in survivors:
        print("survived:", name)
    for name in too_few:
        print("fewer than three mutants:", name)
    total = killed + len(survivors)
    print(f"{killed}/{total} mutants killed in {time.perf_counter() - start:.0f} s")
    return 1 if survivors or too_few else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
