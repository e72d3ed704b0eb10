"""The pretended device itself: its properties, its memory (the host's), streams and events.

Everything happens at once and in order, so streams and events are numbers and waiting is nothing.
"""

from __future__ import annotations

import ctypes
import itertools
from collections import Counter
from typing import Any

from gpu import pretend
from gpu.capsules import exchange
from gpu.pretend import CHIP

# What fresh memory holds, 8 bytes again and again: NaN in float32 and float64, so that reading it
# shows; of the kind that arithmetic changes, and other for each block, so that writing it shows.
GARBAGE = 0x7FF4A5A57FA50000
ALIGNMENT = 512  # bytes, as on a GPU
BEFORE, AFTER = ALIGNMENT, 32 << 10  # bytes of garbage around each block, to notice writes there
GIB = 1 << 30

libc = ctypes.CDLL(None)
libc.aligned_alloc.restype = ctypes.c_void_p
libc.aligned_alloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
blocks: dict[int, tuple[int, bytes]] = {}  # address -> bytes asked for, the garbage
numbers = itertools.count()  # of blocks

copies: Counter[int] = Counter()  # cudaMemcpyKind -> how many there were
TO_DEVICE, TO_HOST = 1, 2

handles = itertools.count(1)  # of streams, events, modules and functions

# cudaDeviceAttr -> value, after an A100; what is not listed is 1
ATTRIBUTES = {
    1: 1024,  # threads a block
    8: 48 << 10,  # bytes of shared memory a block
    10: 32,  # threads a warp
    16: 108,  # multiprocessors
    39: 2048,  # threads a multiprocessor
    75: int(CHIP[:-1]),  # compute capability, major
    76: int(CHIP[-1]),  # and minor
    97: 163 << 10,  # bytes of shared memory a block may ask for
    115: 0,  # no memory pools of the driver's own
}


def properties(device: int) -> dict[str, Any]:
    return {
        "name": b"pretended GPU",
        "major": ATTRIBUTES[75],
        "minor": ATTRIBUTES[76],
        "warpSize": 32,
        "multiProcessorCount": 108,
        "maxThreadsPerBlock": 1024,
        "maxThreadsPerMultiProcessor": 2048,
        "sharedMemPerBlock": 48 << 10,
        "totalGlobalMem": 80 * GIB,
    }


def malloc(size: int, *_: int) -> int:
    total = -(-(BEFORE + size + AFTER) // ALIGNMENT) * ALIGNMENT
    start = libc.aligned_alloc(ALIGNMENT, total)
    garbage = (GARBAGE + next(numbers) % (1 << 16)).to_bytes(8, "little")
    spoil(start, total, garbage)
    blocks[start + BEFORE] = size, garbage
    return start + BEFORE


def spoil(start: int, length: int, garbage: bytes) -> None:
    """Fill with garbage."""
    ctypes.memmove(start, garbage, min(8, length))
    done = 8
    while done < length:  # twice as much each time
        ctypes.memmove(start + done, start, min(done, length - done))
        done *= 2


def free(address: int, *_: int) -> None:
    if address:
        check_around(address)
        del blocks[address]
        libc.free(address - BEFORE)


def check_around(address: int) -> None:
    """Note a write before or after a block, and mend it."""
    size, garbage = blocks[address]
    turned = garbage[size % 8 :] + garbage[: size % 8]
    sides = ("before", address - BEFORE, BEFORE, garbage), ("after", address + size, AFTER, turned)
    for side, start, length, garbage in sides:
        if ctypes.string_at(start, 8) != garbage or libc.memcmp(start, start + 8, length - 8):
            pretend.failures.append(RuntimeError(f"a kernel wrote {side} a block of {size} bytes"))
            spoil(start, length, garbage)


def check_blocks() -> None:
    for address in blocks:
        check_around(address)


def copy(target: int, source: int, size: int, kind: int, *_: int) -> None:
    copies[kind] += 1
    ctypes.memmove(target, source, size)


def fill(target: int, value: int, size: int, *_: int) -> None:
    ctypes.memset(target, value, size)


def nothing(*_: Any) -> None:
    return None


def new_handle(*_: int) -> int:
    return next(handles)


def zero(*_: int) -> int:
    return 0


RUNTIME = {
    "_ensure_context": nothing,
    "getDeviceCount": lambda: 1,
    "getDevice": zero,
    "setDevice": nothing,
    "getDeviceProperties": properties,
    "deviceGetAttribute": lambda attribute, device=0: ATTRIBUTES.get(attribute, 1),
    "deviceCanAccessPeer": zero,
    "deviceGetLimit": lambda limit: 1 << 20,
    "driverGetVersion": lambda: 13000,
    "runtimeGetVersion": lambda: 13000,
    "deviceSynchronize": nothing,
    # memory
    "malloc": malloc,
    "mallocAsync": malloc,
    "mallocFromPoolAsync": malloc,
    "hostAlloc": malloc,
    "free": free,
    "freeAsync": free,
    "freeHost": free,
    "memcpy": copy,
    "memcpyAsync": copy,
    "memset": fill,
    "memsetAsync": fill,
    "memGetInfo": lambda: (70 * GIB, 80 * GIB),
    "pointerGetMemoryType": zero,
    # streams and events
    "streamCreate": new_handle,
    "streamCreateWithFlags": new_handle,
    "streamCreateWithPriority": new_handle,
    "streamDestroy": nothing,
    "streamSynchronize": nothing,
    "streamQuery": nothing,
    "streamWaitEvent": nothing,
    "streamIsCapturing": zero,
    "streamGetFlags": zero,
    "streamGetPriority": zero,
    "eventCreate": new_handle,
    "eventCreateWithFlags": new_handle,
    "eventDestroy": nothing,
    "eventRecord": nothing,
    "eventQuery": nothing,
    "eventSynchronize": nothing,
    "eventElapsedTime": lambda start, end: 0.0,
}

DRIVER = {
    "ctxGetCurrent": lambda: 1,
    "ctxSetCurrent": nothing,
    "ctxGetDevice": zero,
    "streamGetCtx": lambda stream: 1,
}


def install() -> None:
    """Replace CuPy's calls of the CUDA runtime and driver."""
    from cupy_backends.cuda.api import driver, runtime

    for module, functions in ((runtime, RUNTIME), (driver, DRIVER)):
        for name, function in functions.items():
            exchange(module, name, function)
