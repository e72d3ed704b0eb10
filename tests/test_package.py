"""What importing minift costs, and that what the README and the layers promise is true."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "minift"


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()


def test_import_loads_numpy_alone() -> None:
    loaded = run(
        "import sys, numpy.random; before = set(sys.modules); import minift; "
        "print(*sorted({n.partition('.')[0] for n in set(sys.modules) - before} "
        "- set(sys.stdlib_module_names) - {'numpy'}))"
    )
    assert loaded.split() == ["minift"]


def test_python_in_the_readme_runs_and_prints_what_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        if "reviews.csv" not in block:  # that one runs in test_python_finetuning.py
            exec(block, {})
    derivative, difference = map(float, capsys.readouterr().out.split())
    assert derivative == pytest.approx(difference, rel=1e-6)
    assert f"{derivative:.5f}" in readme


LAYERS = [
    "backend", "kernels", "tape", "tensor", "autograd", "ops", "factories", "gradcheck", "nn",
    "fetch", "hub", "checkpoint", "data", "models", "objectives", "optim", "metrics", "imbalance",
    "baselines", "probes", "train", "finetune", "search", "plot", "profiling", "quickstart", "jobs",
    "bench",
    "learn", "cli",
]  # fmt: skip
CYCLE = {("tensor", "autograd"), ("tensor", "ops"), ("tape", "autograd"), ("tape", "tensor")}


def imports_of(path: Path) -> set[str]:
    """Names of our own layers that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minift"):
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found & set(LAYERS)


def test_nothing_imports_upward() -> None:
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if layer in LAYERS:
            upward = {n for n in imports_of(path) if LAYERS.index(n) > LAYERS.index(layer)}
            assert not {(layer, n) for n in upward} - CYCLE, path


def test_only_backend_and_kernels_know_of_cupy() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in ("backend", "kernels"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [a.name for a in getattr(node, "names", [])]
                module = getattr(node, "module", None) or ""
                imported = [module, *names] if isinstance(node, ast.Import | ast.ImportFrom) else []
                assert not any(name.startswith("cupy") for name in imported), path


def test_functions_and_lines_keep_their_size() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"
