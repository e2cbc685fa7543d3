"""`autocar convert`: two DICOM runs to a bag."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autocar_ros.cli.console import terminal


def convert(
    run_a: Annotated[Path, typer.Argument(help="DICOM run of plane A.")],
    run_b: Annotated[Path, typer.Argument(help="DICOM run of plane B.")],
    out: Annotated[Path, typer.Option(help="Bag folder to write; must not exist.")],
    pixel_spacing: Annotated[
        float | None, typer.Option(min=0.001, help="Pixel spacing at the detector [mm], where the files name none.")
    ] = None,
    frame_rate: Annotated[
        float | None, typer.Option(min=0.01, help="Frame rate [Hz], where the files name none.")
    ] = None,
) -> None:
    """Convert two DICOM runs into an MCAP bag with the topics of the nodes.

    The runs begin together. Nothing that identifies the patient, nor the date, is taken over.
    """
    from autocar_ros.imaging.dicom import read_run
    from autocar_ros.ros.dicom_bag import write_dicom_bag

    runs = {
        plane: read_run(path, pixel_spacing=pixel_spacing, frame_rate=frame_rate)
        for plane, path in (("a", run_a), ("b", run_b))
    }
    counts = write_dicom_bag(runs, out)
    for topic, count in sorted(counts.items()):
        terminal().print(f"{count:6d}  {topic}", highlight=False)
    terminal().print(f"Wrote {out}. Play it: autocar replay {out} --with-nodes", highlight=False, soft_wrap=True)
