"""`autocar prepare`: trees to train with from CT vessel masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autocar_ros.cli.console import progress, terminal
from autocar_ros.errors import AutocarError, InvalidInputError
from autocar_ros.figures.graph3d import draw_graph
from autocar_ros.imaging.ct_mask import read_mask, split_trees
from autocar_ros.vessels.ct_tree import CtTree, prepare_tree, save_tree
from autocar_ros.vessels.tree import chain_length, chains

SMALLEST_TREE = 100.0  # mm^3; a coronary tree has a thousand and more, loose pieces of a segmentation far less
SHOWN = 8  # one of so many voxels of the lumen is drawn


def prepare(
    masks: Annotated[list[Path], typer.Argument(help="NIfTI files (.nii, .nii.gz): 0 where there is no vessel.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    label: Annotated[int | None, typer.Option(help="Number that means vessel, where a mask holds several.")] = None,
) -> None:
    """Make trees to train with of CT vessel masks.

    Every connected tree of a mask gives NAME_1.json (vessel graph; left and right are two trees), NAME_1.npz (mesh of
    the wall, and occupancy and centreness in voxels of 0.5 mm) and NAME_1.png to look at, in the patient's
    coordinates (LPS). A mask that cannot be used is told and passed over; the exit code is 1 then.
    """
    stems = [_stem(path) for path in masks]
    twice = {stem for stem in stems if stems.count(stem) > 1}
    if twice:
        raise InvalidInputError(f"two masks have the name {min(twice)}: rename one, results are named after them")
    out.mkdir(parents=True, exist_ok=True)
    failed, count = 0, 0
    with progress() as bar:
        task = bar.add_task("Preparing", total=len(masks))
        for path, stem in zip(masks, stems, strict=True):
            bar.update(task, description=f"Preparing {stem}")
            try:
                count += _prepare(path, stem, label, out)
            except AutocarError as error:
                failed += 1
                bar.console.print(f"passed over: {error}", markup=False, highlight=False, soft_wrap=True)
            bar.advance(task)
    terminal().print(f"{count} trees of {len(masks) - failed} masks in {out}", markup=False, highlight=False)
    raise typer.Exit(1 if failed else 0)


def _prepare(path: Path, stem: str, label: int | None, out: Path) -> int:
    """Prepare all trees of one mask and return how many there are."""
    parts = split_trees(read_mask(path, label), SMALLEST_TREE)
    if not parts:
        raise InvalidInputError(f"{path}: no connected vessels of {SMALLEST_TREE:g} mm^3 or more")
    for k, part in enumerate(parts, 1):
        try:
            tree = prepare_tree(part)
        except AutocarError as error:
            raise InvalidInputError(f"{path}, tree {k}: {error}") from error
        name = out / f"{stem}_{k}"
        save_tree(tree, name)
        draw_graph(tree.graph, tree.labels.points[::SHOWN], name.with_name(f"{name.name}.png"))
        terminal().print(f"{name.name}: {_summary(tree)}", markup=False, highlight=False, soft_wrap=True)
    return len(parts)


def _summary(tree: CtTree) -> str:
    graph = tree.graph
    paths = chains(len(graph), graph.edges)
    length = sum(chain_length(graph.position, path) for path in paths)
    low, high = graph.radius.min(), graph.radius.max()
    return (
        f"{length:.0f} mm in {len(graph.branch_label)} branches, radius {low:.2f} to {high:.2f} mm, "
        f"{len(tree.labels.voxels)} voxels"
    )


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")
