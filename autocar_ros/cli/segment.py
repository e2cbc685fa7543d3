"""`autocar segment`: angiograms to mask pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from autocar_ros.cli.console import progress, terminal
from autocar_ros.config import SegmentationConfig
from autocar_ros.errors import AutocarError, InvalidInputError
from autocar_ros.figures.segmentation import contact_sheet
from autocar_ros.imaging.dicom import read_run
from autocar_ros.imaging.pictures import read_image, write_mask
from autocar_ros.imaging.segmentation import Segmentation, segmenter_for
from autocar_ros.types import Image

CATHETER = "catheter"  # folder beside the vessel masks


class Method(StrEnum):
    """How frames are segmented (`SegmentationConfig.method`)."""

    NETWORK = "network"
    VESSELNESS = "vesselness"


MethodOption = Annotated[
    Method, typer.Option(help="Masks by network: trained; vesselness: ridge filter, also for phantoms of plain tubes.")
]


def segment(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or TIFF pictures, or DICOM runs; vessels dark.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks.")],
    frame: Annotated[int | None, typer.Option(min=0, help="Only this frame of a DICOM run, from 0.")] = None,
    method: MethodOption = Method.NETWORK,
    weights: Annotated[Path | None, typer.Option(help="Weights of the network, if not those of the package.")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Picture of all frames with the outlines of their vessels and catheters.")
    ] = None,
) -> None:
    """Write a vessel mask (PNG, 0 or 255, same size) per picture, and per frame of a DICOM run.

    A picture STEM.xyz becomes OUT/STEM.png, frame 7 of a DICOM run OUT/STEM_frame007.png; catheters and guidewires go
    to OUT/catheter under the same names. A file that cannot be used is reported and left out, and the command ends
    with code 1.
    """
    segmenter = segmenter_for(SegmentationConfig(method=str(method), weights=str(weights or "")))
    (out / CATHETER).mkdir(parents=True, exist_ok=True)
    shown: list[tuple[Image, Segmentation, str]] = []
    written: set[Path] = set()
    problems: list[str] = []
    with progress() as bar:
        task = bar.add_task("Segmenting", total=len(images))
        for path in images:
            try:
                for name, image in _frames(path, frame):
                    target = out / f"{name}.png"
                    _check_free(path, target, written)
                    found = segmenter.segment(image)
                    write_mask(target, found.vessel)
                    write_mask(out / CATHETER / target.name, found.catheter)
                    written.add(target)
                    shown += [(image, found, name)] if sheet else []
            except (AutocarError, OSError) as error:
                problems.append(str(error))
            bar.advance(task)
    if sheet and shown:
        pictures, masks, names = zip(*shown, strict=True)
        columns = math.ceil(math.sqrt(len(shown)))
        contact_sheet(pictures, [m.vessel for m in masks], [m.catheter for m in masks], columns, sheet, names)
    console = terminal()
    for problem in problems:
        console.print(f"[bold red]error:[/] {escape(problem)}", highlight=False, soft_wrap=True)
    console.print(
        f"{len(written)} masks written to {escape(str(out))}, {len(problems)} files left out", highlight=False
    )
    if problems:
        raise typer.Exit(1)


def _frames(path: Path, frame: int | None) -> Iterator[tuple[str, Image]]:
    """Yield (name of the mask, image) of a picture or of the frames of a DICOM run."""
    if not _is_dicom(path):
        yield path.stem, read_image(path)
        return
    run = read_run(path)
    if frame is not None and frame >= len(run):
        raise InvalidInputError(f"{path}: has no frame {frame}, its frames are 0 to {len(run) - 1}")
    for k in range(len(run)) if frame is None else [frame]:
        yield f"{path.stem}_frame{k:03d}", run.images[k]


def _is_dicom(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return path.suffix.lower() == ".dcm" or file.read(132)[128:] == b"DICM"


def _check_free(path: Path, target: Path, written: set[Path]) -> None:
    if target in written:
        raise InvalidInputError(f"{path}: left out, another picture named {target.stem} was given before it")
    if target.exists() and target.samefile(path):
        raise InvalidInputError(f"{path}: its mask would overwrite it, choose another --out")
