"""DICOM X-ray runs made for the tests, with an invented patient in them."""

from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, Sequence
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless

XA = "1.2.840.10008.5.1.4.1.1.12.1"
ENHANCED_XA = "1.2.840.10008.5.1.4.1.1.12.1.1"
XRF = "1.2.840.10008.5.1.4.1.1.12.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"

# What must never leave the reader
IDENTITY = {
    "PatientName": "Quisling^Zebediah",
    "PatientID": "PID-778812",
    "PatientBirthDate": "19311224",
    "PatientSex": "O",
    "StudyDate": "20190317",
    "StudyTime": "173502.113",
    "AccessionNumber": "ACC4471",
    "InstitutionName": "Hospital Nowhere",
    "ReferringPhysicianName": "Gaunt^Ichabod",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.111222333",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.444555666",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.777888999",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.101010101",
    "ImageComments": "seen by nurse Ratchet",
}
GEOMETRY = {
    "PositionerPrimaryAngle": -30.0,
    "PositionerSecondaryAngle": 25.5,
    "DistanceSourceToDetector": 1000.0,
    "DistanceSourceToPatient": 720.0,
    "ImagerPixelSpacing": [0.3, 0.4],
    "FrameTime": 40.0,
}


def frames(count: int = 4, rows: int = 24, columns: int = 32, bits: int = 8) -> NDArray[np.unsignedinteger[Any]]:
    """Random frames (count, rows, columns) that use all of `bits`."""
    values = np.random.default_rng(bits).integers(0, 2**bits, (count, rows, columns))
    values.flat[:2] = 0, 2**bits - 1
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def write_run(
    path: Path,
    images: NDArray[Any],
    bits: int | None = None,
    syntax: str = ExplicitVRLittleEndian,
    sop_class: str = XA,
    **elements: Any,
) -> Path:
    """Write frames (F, rows, columns) as an X-ray run; keyword arguments set elements, or remove them when None."""
    allocated = 8 * images.dtype.itemsize
    run = FileDataset(str(path), {}, file_meta=_meta(sop_class), preamble=bytes(128))
    run.update(_dataset({**IDENTITY, **GEOMETRY}))
    run.update(
        _dataset(
            {
                "SOPClassUID": sop_class,
                "Modality": "XA",
                "SamplesPerPixel": 1,
                "PhotometricInterpretation": "MONOCHROME2",
                "NumberOfFrames": len(images),
                "Rows": images.shape[1],
                "Columns": images.shape[2],
                "BitsAllocated": allocated,
                "BitsStored": bits or allocated,
                "HighBit": (bits or allocated) - 1,
                "PixelRepresentation": 0,
            }
        )
    )
    run.PixelData = images.tobytes()
    run["PixelData"].VR = "OW" if allocated == 16 else "OB"
    for keyword, value in elements.items():
        if value is None:
            delattr(run, keyword)
        else:
            setattr(run, keyword, value)
    if syntax == RLELossless:
        run.compress(RLELossless, generate_instance_uid=False)
    run.save_as(path, enforce_file_format=True)
    if syntax not in (ExplicitVRLittleEndian, RLELossless):
        _transcode(path, syntax)
    return path


def add_curve(path: Path, samples: NDArray[np.unsignedinteger[Any]], units: str = "DPPS", step: int = 40) -> None:
    """Add an ECG curve of 16-bit samples in group 5002."""
    from pydicom import dcmread

    run = dcmread(path)
    group = 0x5002
    for element, kind, value in (
        (0x0005, "US", 2),
        (0x0010, "US", len(samples)),
        (0x0020, "CS", "ECG"),
        (0x0030, "SH", [units, "NONE"]),
        (0x0103, "US", 0),
        (0x0110, "US", [0, 1]),
        (0x0112, "US", 0),
        (0x0114, "US", step),
        (0x3000, "OW", samples.astype("<u2").tobytes()),
    ):
        run.add_new((group, element), kind, value)
    run.save_as(path)


def waveform(samples: NDArray[np.int16], sampling_rate: float, microvolt: float, offset_ms: float = 0.0) -> Sequence:
    """Make a waveform sequence of one ECG channel; one step is `microvolt`."""
    units = _dataset({"CodeValue": "uV", "CodingSchemeDesignator": "UCUM", "CodeMeaning": "microvolt"})
    channel = _dataset(
        {
            "ChannelSensitivity": microvolt,
            "ChannelSensitivityUnitsSequence": Sequence([units]),
            "ChannelSensitivityCorrectionFactor": 1.0,
            "ChannelBaseline": 0.0,
            "WaveformBitsStored": 16,
        }
    )
    group = _dataset(
        {
            "MultiplexGroupTimeOffset": offset_ms,
            "WaveformOriginality": "ORIGINAL",
            "NumberOfWaveformChannels": 1,
            "NumberOfWaveformSamples": len(samples),
            "SamplingFrequency": sampling_rate,
            "ChannelDefinitionSequence": Sequence([channel]),
            "WaveformBitsAllocated": 16,
            "WaveformSampleInterpretation": "SS",
        }
    )
    group.WaveformData = samples.astype("<i2").tobytes()
    return Sequence([group])


def functional_groups(angles: list[tuple[float, float]]) -> dict[str, Any]:
    """Make the groups of an enhanced XA run: angles per frame, distances and spacing shared."""
    per_frame = []
    for primary, secondary in angles:
        position = _dataset({"PositionerPrimaryAngle": primary, "PositionerSecondaryAngle": secondary})
        per_frame.append(_dataset({"PositionerPositionSequence": Sequence([position])}))
    geometry = _dataset({"DistanceSourceToDetector": 1100.0, "DistanceSourceToIsocenter": 750.0})
    pixels = _dataset({"ImagerPixelSpacing": [0.2, 0.2]})
    shared = _dataset(
        {"XRayGeometrySequence": Sequence([geometry]), "FramePixelDataPropertiesSequence": Sequence([pixels])}
    )
    return {
        "PerFrameFunctionalGroupsSequence": Sequence(per_frame),
        "SharedFunctionalGroupsSequence": Sequence([shared]),
    } | {k: None for k in GEOMETRY if k != "FrameTime"}


def _dataset(elements: dict[str, Any]) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _meta(sop_class: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(IDENTITY["SOPInstanceUID"])
    return meta


def _transcode(path: Path, syntax: str) -> None:
    """Re-encode the pixels with GDCM, whose encoders cover what pydicom's do not."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change(), f"GDCM cannot encode {syntax}"
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
