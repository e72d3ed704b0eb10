"""What CuPy has: its names and keywords, read from the wheel and kept in `api.json`.

Where CuPy is installed, in `tests/`:

    python -m strict.api     writes the file anew

`tests/test_strict.py` compares the file with the installed wheel (no GPU is needed to read it).
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("api.json")
SUBMODULES = ("linalg", "lib.stride_tricks")  # their names stand behind a dot: "linalg.norm"

Keywords = list[str] | None  # parameter names in order; None where CuPy does not say


def read_file() -> dict[str, Any]:
    """The table as it is kept."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def read_wheel() -> dict[str, Any]:
    """The table of the installed CuPy."""
    import cupy
    import cupyx.scipy.special

    functions = _functions(cupy)
    for path in SUBMODULES:
        module = cupy
        for name in path.split("."):
            module = getattr(module, name)
        functions |= {f"{path}.{name}": keywords for name, keywords in _functions(module).items()}
    public = [name for name in dir(cupy.ndarray) if not name.startswith("_")]
    return {
        "cupy": cupy.__version__,
        "functions": functions,
        "ufuncs": [n for n in functions if isinstance(getattr(cupy, n, None), cupy.ufunc)],
        "methods": {name: _documented(getattr(cupy.ndarray, name)) for name in public},
        "special": sorted(_functions(cupyx.scipy.special)),
    }


def write(table: dict[str, Any]) -> None:
    """Into `api.json`, one name a line."""
    FILE.write_text(_json(table) + "\n", encoding="utf-8")


def _json(table: dict[str, Any]) -> str:
    text = json.dumps(table, indent=1)
    return re.sub(r"\[\s+([^\]]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)


def _functions(module: Any) -> dict[str, Keywords]:
    public = {n: getattr(module, n) for n in sorted(dir(module)) if not n.startswith("_")}
    return {n: _signature(f) for n, f in public.items() if callable(f) and not _is_exception(f)}


def _is_exception(x: Any) -> bool:
    return isinstance(x, type) and issubclass(x, BaseException)


def _signature(function: Any) -> Keywords:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # compiled functions
        return None
    any_number = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [f"*{p.name}" if p.kind in any_number else p.name for p in parameters]


def _documented(method: Any) -> Keywords:
    """Keywords from the first line of a compiled method's docstring: `x.sum(self, axis=None)`."""
    head = re.match(r"[\w.]+\((.*)\)", (method.__doc__ or "").partition("\n")[0])
    if head is None:
        return None
    names = [re.split(r"[:=]", part)[0].split()[-1] for part in _parts(head[1])]
    return [name for name in names if name not in ("self", "*", "/")]


def _parts(arguments: str) -> list[str]:
    """Split at commas that stand in no brackets."""
    return [part.strip() for part in re.split(r",(?![^\[(]*[\])])", arguments) if part.strip()]


if __name__ == "__main__":
    write(read_wheel())
