"""Exchange C functions that CuPy's compiled modules offer one another for Python functions.

A Cython module lists its C functions in `__pyx_capi__`: name -> capsule, a pointer whose label is
the function's C signature. Modules that are imported later fetch their pointers from there, so an
exchange must come first. We put in a pointer that calls a Python function through ctypes.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

api = ctypes.pythonapi
api.PyCapsule_New.restype = ctypes.py_object
api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
api.PyCapsule_GetName.restype = ctypes.c_char_p
api.PyCapsule_GetName.argtypes = [ctypes.py_object]
api.Py_IncRef.argtypes = [ctypes.py_object]

C_TYPES: dict[str, Any] = {
    "PyObject *": ctypes.py_object,
    "int": ctypes.c_int,
    "int __pyx_skip_dispatch": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "intptr_t": ctypes.c_ssize_t,
    "size_t": ctypes.c_size_t,
    "float": ctypes.c_float,
}


def exchange(module: ModuleType, name: str, function: Callable[..., Any]) -> None:
    """Let C code and Python code that call `module.name` call `function` instead."""
    label = api.PyCapsule_GetName(module.__pyx_capi__[name])
    result, arguments = signature(label.decode())
    count = len([a for a in arguments if "__pyx" not in a])  # Cython's own come last
    types = [C_TYPES.get(a, ctypes.c_void_p) for a in arguments]
    pointer = ctypes.PYFUNCTYPE(C_TYPES[result], *types)(lambda *a: function(*a[:count]))
    text = ctypes.create_string_buffer(label)
    for needed in (pointer, text):  # CuPy calls us until the very end of the process
        api.Py_IncRef(needed)
    address = ctypes.cast(pointer, ctypes.c_void_p)
    module.__pyx_capi__[name] = api.PyCapsule_New(address, ctypes.addressof(text), None)
    setattr(module, name, function)


def signature(label: str) -> tuple[str, list[str]]:
    """ "int (int, size_t)" -> "int", ["int", "size_t"]."""
    match = re.fullmatch(r"(.*?)\s?\((.*)\)", label)
    assert match is not None, label
    result, arguments = match.groups()
    return result, [] if arguments == "void" else [a.strip() for a in arguments.split(",")]
