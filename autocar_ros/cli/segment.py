"""`autocar segment`: angiograms to mask pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from autocar_ros.cli.console import progress, terminal
from autocar_ros.errors import AutocarError, InvalidInputError
from autocar_ros.imaging.dicom import read_run
from autocar_ros.imaging.pictures import read_image, write_mask
from autocar_ros.imaging.segmentation import segment_vessels
from autocar_ros.types import Image


def segment(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or TIFF pictures, or DICOM runs; vessels dark.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks.")],
    frame: Annotated[int | None, typer.Option(min=0, help="Only this frame of a DICOM run, from 0.")] = None,
) -> None:
    """Write a vessel mask (PNG, 0 or 255, same size) per picture, and per frame of a DICOM run.

    A picture STEM.xyz becomes OUT/STEM.png, frame 7 of a DICOM run OUT/STEM_frame007.png. A file that cannot be used
    is reported and left out, and the command ends with code 1.
    """
    out.mkdir(parents=True, exist_ok=True)
    written: set[Path] = set()
    problems: list[str] = []
    with progress() as bar:
        task = bar.add_task("Segmenting", total=len(images))
        for path in images:
            try:
                for name, image in _frames(path, frame):
                    target = out / f"{name}.png"
                    _check_free(path, target, written)
                    write_mask(target, segment_vessels(image))
                    written.add(target)
            except (AutocarError, OSError) as error:
                problems.append(str(error))
            bar.advance(task)
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
