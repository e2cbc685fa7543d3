"""ECG and R waves of a DICOM X-ray run: retired curve groups 5000-501E (PS3.3-2004 C.10.2), waveforms (C.10.9)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset

from autocar_ros.imaging.dicom_header import CURVE_GROUPS, number, numbers
from autocar_ros.types import FloatArray, IntArray

_CURVE_TYPES = {0: "u2", 1: "i2", 2: "f4", 3: "f8", 4: "i4"}  # Data Value Representation (50xx,0103)
_TO_MILLIVOLT = {"uV": 1e-3, "mV": 1.0, "V": 1e3}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EcgSignal:
    """ECG recorded along with a run."""

    sampling_rate: float  # Hz
    samples: FloatArray  # (N,) in `unit`
    unit: str  # "mV", or "raw" where the file gives no scale
    start_s: float = 0.0  # s, first sample against the first frame


def read_ecg(header: Dataset, duration_s: float | None) -> EcgSignal | None:
    """ECG of a run that lasts `duration_s` (None unknown); None when there is none or it cannot be understood."""
    try:
        return _from_waveform(header) or _from_curve(header, duration_s)
    except Exception as error:  # pydicom converts on access and lets many kinds through
        _log.warning("ECG of this run is left out: it does not follow the standard (%s)", type(error).__name__)
        return None


def read_r_waves(header: Dataset, frames: int) -> IntArray:
    """0-based frames of the R waves from RWavePointer (0028,6040), which counts frames from 1.

    On a real cine (`rubo_rca_ecg.dcm`) the R peaks of the recorded ECG come 1.8, 0.4 and 1.1 frames after the frames
    pointed at: good to about two frames, so prefer the ECG where there is one.
    """
    pointed = np.array(numbers(header, "RWavePointer"), np.int64) - 1
    return np.unique(pointed[(pointed >= 0) & (pointed < frames)])


def _from_waveform(header: Dataset) -> EcgSignal | None:
    """Read the first channel of the first multiplex group."""
    groups = header.get("WaveformSequence")
    if not groups:
        return None
    group = groups[0]
    units = group.ChannelDefinitionSequence[0].get("ChannelSensitivityUnitsSequence")
    scale = _TO_MILLIVOLT.get(str(units[0].CodeValue)) if units else None
    samples = np.asarray(header.waveform_array(0), float)[:, 0]
    return _signal(
        sampling_rate=float(group.SamplingFrequency),
        samples=samples * (scale or 1.0),
        unit="mV" if scale else "raw",
        start_s=(number(group, "MultiplexGroupTimeOffset") or 0.0) / 1e3,
    )


def _from_curve(header: Dataset, duration_s: float | None) -> EcgSignal | None:
    for group in CURVE_GROUPS:
        kind = header.get((group, 0x0020))
        if kind is not None and str(kind.value).strip() == "ECG":
            samples = _curve_samples(header, group)
            rate = _curve_rate(header, group, len(samples), duration_s)
            return _signal(rate, samples, "raw") if rate else None
    return None


def _curve_samples(header: Dataset, group: int) -> FloatArray:
    """Ordinates of a curve; the descriptor tells which coordinates stand in the data (1) and which are spaced (0)."""
    order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
    dtype = np.dtype(order + _CURVE_TYPES[int(_curve(header, group, 0x0103, 0))])
    data: bytes = header[group, 0x3000].value
    values = np.frombuffer(data, dtype, count=len(data) // dtype.itemsize).astype(float)
    dimensions = int(_curve(header, group, 0x0005, 1))
    stored = np.atleast_1d(_curve(header, group, 0x0110, [1] * dimensions)).astype(int).sum()
    return values[stored - 1 :: stored][: int(_curve(header, group, 0x0010, len(values)))]


def _curve_rate(header: Dataset, group: int, points: int, duration_s: float | None) -> float | None:
    """Sampling rate in Hz: the declared one if it fits the run, else the curve is spread over the run.

    Axis units (50xx,0030) and the step (50xx,0114) are written in many ways; the real cine says 40 'DPPS' and means
    40 points per frame. So a declared rate counts only when the curve then lasts half to twice as long as the run.
    """
    step = float(np.atleast_1d(_curve(header, group, 0x0114, 0.0))[0])
    units = str(np.atleast_1d(_curve(header, group, 0x0030, ""))[0]).strip()
    rate = step if units == "DPPS" else 1.0 / step if units == "SEC" and step > 0 else 0.0
    if duration_s is None or duration_s <= 0:
        return None
    return rate if rate > 0 and 0.5 < points / rate / duration_s < 2.0 else points / duration_s


def _curve(header: Dataset, group: int, element: int, default: Any) -> Any:
    found = header.get((group, element))
    return default if found is None or found.value is None else found.value


def _signal(sampling_rate: float, samples: FloatArray, unit: str, start_s: float = 0.0) -> EcgSignal | None:
    usable = len(samples) > 1 and np.isfinite(sampling_rate) and sampling_rate > 0 and np.isfinite(samples).all()
    return EcgSignal(sampling_rate, samples, unit, start_s) if usable else None
