"""What every test shares: a quiet ROS domain of its own, fixed seeds, a fixed number of threads, the data folder."""

import os
import random
import sys
import tempfile
from pathlib import Path

# Read by libraries when they load and inherited by child processes: set before anything is imported.
# Domains 1..100: their ports stay below the ephemeral range.
ROOT = Path(__file__).resolve().parents[1]
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(ROOT / "config" / "fastdds.xml"))
os.environ.setdefault("ROS_LOG_DIR", tempfile.mkdtemp(prefix="autocar_ros_log_"))
for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # more of them wait for each other where a core is busy
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# The same examples on every run, and no failures because the machine was busy
hypothesis.settings.register_profile("autocar", deadline=None, derandomize=True)
hypothesis.settings.load_profile("autocar")


@pytest.fixture(autouse=True)
def _fixed_seeds():
    """Start every test from the same state of all global generators."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (for libraries that use it)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def rng():
    """Random generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real recordings: AUTOCAR_DATA, or shared/data beside the repository."""
    folder = Path(os.environ.get("AUTOCAR_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}: set AUTOCAR_DATA to their folder")
    return folder
