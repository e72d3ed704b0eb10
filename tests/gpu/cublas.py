"""cuBLAS for the pretended GPU: `cublas.cpp`, and a refusal for each function that it lacks."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from gpu.kernels import digest

HERE = Path(__file__).parent
NAME = "libcublas.so.13"
TYPES = {0: "float32", 1: "float64", 2: "float16"}  # cudaDataType
library: ctypes.CDLL


class Product(NamedTuple):
    """One call of cuBLAS: which, on what, and the cublasComputeType (68: float32, 77: TF32)."""

    name: str
    dtype: str
    compute: int
    flops: int


def products() -> list[Product]:
    """The products since `forget`, in order."""
    lines = library.pretended_products().decode().splitlines()
    calls = (line.split() for line in lines)
    return [Product(name, TYPES[int(dtype)], int(c), int(flops)) for name, dtype, c, flops in calls]


def forget() -> None:
    """Start the list of products anew."""
    library.pretended_forget()


def install(cache: Path) -> None:
    """Build the library, load it for all, and let CuPy look for the others only."""
    from cupy_backends.cuda import libs

    cupys = next(Path(libs.__file__).parent.glob("cublas.*.so"))
    folder = cache / f"cublas-{digest((HERE / 'cublas.cpp').read_text(), cupys.name)}"
    folder.mkdir(exist_ok=True)
    if not (folder / NAME).exists():
        build(cupys, folder)
    global library
    library = ctypes.CDLL(str(folder / NAME), mode=ctypes.RTLD_GLOBAL)
    library.pretended_products.restype = ctypes.c_char_p
    libs._pathfinder = Finder(libs._pathfinder)


class Finder:
    """CuPy's search for NVIDIA's libraries, but for the one that is there already."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.DynamicLibNotFoundError = real.DynamicLibNotFoundError

    def load_nvidia_dynamic_lib(self, name: str) -> Any:
        return None if name == "cublas" else self.real.load_nvidia_dynamic_lib(name)


def build(cupys: Path, folder: Path) -> None:
    """Compile `cublas.cpp` with a refusal for every other name that CuPy's module wants."""
    code = (HERE / "cublas.cpp").read_text()
    refused = [name for name in wanted_by(cupys) if not is_in(name, code)]
    stubs = "".join(f"Status {name}() {{ return UNSUPPORTED; }}\n" for name in refused)
    (folder / "all.cpp").write_text(f'{code}\nextern "C" {{\n{stubs}}}\n')
    # the linker looks for names under the version that NVIDIA's library has
    (folder / "versions").write_text(f"{NAME} {{ global: *; }};\n")
    command = ["g++", "-O3", "-march=native", "-fPIC", "-shared", f"-Wl,-soname,{NAME}"]
    command += ["-Wl,--version-script=versions", "all.cpp", "-o", NAME]
    subprocess.run(command, cwd=folder, check=True)


def wanted_by(library: Path) -> list[str]:
    """Names of cuBLAS functions that a compiled module refers to."""
    command = ["nm", "-D", "--undefined-only", str(library)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.findall(r"U (cublas\w+)@", listing)


def is_in(name: str, code: str) -> bool:
    """Whether the code defines the function, by itself or for each type (S and D)."""
    for_type = re.sub(r"^cublas[SD]", "cublas##S##", name)
    return any(re.search(rf"Status {re.escape(n)}\(", code) for n in (name, for_type))
