"""How a process uses its machine."""

import platform
import subprocess
import sys

import pytest

from autocar_ros.runtime import one_thread

WORK = """
import resource
import sys
import numpy as np
from autocar_ros.runtime import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
for k in range(20):
    if k == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [np.ones(size) for size in range(100_000, 400_000, 50_000)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has mallopt")
def test_freed_memory_is_used_again():
    """Arrays of 1 to 3 MB, again and again: the system clears their pages once, not every time."""
    faults = {}
    for how in ("keep", "default"):
        output = subprocess.run([sys.executable, "-c", WORK, how], capture_output=True, text=True, check=True).stdout
        faults[how] = int(output)
    assert faults["keep"] < faults["default"] / 4


def test_libraries_are_kept_to_one_thread_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    wanted = one_thread()
    assert wanted["OPENBLAS_NUM_THREADS"] == "3"
    assert wanted["OMP_NUM_THREADS"] == "1"
