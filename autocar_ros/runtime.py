"""How a process uses its machine: threads of the numerical libraries, and memory."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# parameters of glibc's mallopt(3), and how far they are raised
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 1 << 29  # bytes that are free at the end of the heap and stay with the process
_LARGE = 1 << 25  # bytes from which an array gets a mapping of its own: the most that a glibc of 64 bits accepts


def keep_memory() -> None:
    """Keep freed memory for the next arrays; call it before the first large one. Without glibc nothing happens.

    By default glibc soon returns what is free to the system, which clears its pages again one by one at the next frame:
    a sixth of the time of a reconstruction.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_MMAP_THRESHOLD, _LARGE)


def one_thread() -> dict[str, str]:
    """Variables that keep the numerical libraries to one thread, read when they are loaded; what is set stays."""
    return {name: os.environ.get(name, "1") for name in _THREADS}


def pin_threads() -> None:
    """One thread each for OpenCV, numba and torch, where they are loaded."""
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(1)
    if numba := sys.modules.get("numba"):
        numba.set_num_threads(1)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
