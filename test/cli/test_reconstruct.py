"""`autocar reconstruct` on the phantom, and what it says of bad input."""

import json

import pytest

from autocar_ros.vessels.export import load_graph


def test_phantom(autocar, data_dir, tmp_path):
    runs = [data_dir / "phantom" / name for name in ("IM3.dcm", "IM4.dcm")]
    result = autocar("reconstruct", *runs, "--out", tmp_path / "out", "--pixel-spacing", 0.390625)
    assert result.exit_code == 0, result.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"vessel_graph.json", "vessel_graph.vtp", "vessel_graph.csv", "vessel_graph.png", "alignment.json",
                     "mask_a.png", "mask_b.png", "overlay_a.png", "overlay_b.png"}  # fmt: skip
    data = json.loads((tmp_path / "out" / "vessel_graph.json").read_text())
    assert data["unit"] == "m"
    graph = load_graph(tmp_path / "out" / "vessel_graph.json")
    assert len(graph) > 300
    assert f"{len(graph)} nodes" in result.stdout
    assert "run B aligned" in result.stdout
    assert json.loads((tmp_path / "out" / "alignment.json").read_text())["alignment"]["confidence"] > 0.6


@pytest.mark.parametrize(
    ("options", "remedy"),
    [([], "--pixel-spacing"), (["--pixel-spacing", 0.39, "--frame-a", 999], "no frame 999, its frames are 0 to")],
)
def test_missing_spacing_and_frame_name_the_remedy(autocar, data_dir, tmp_path, options, remedy):
    runs = [data_dir / "phantom" / name for name in ("IM3.dcm", "IM4.dcm")]
    result = autocar("reconstruct", *runs, "--out", tmp_path / "out", *options)
    assert result.exit_code == 1
    assert remedy in result.stderr
    assert not (tmp_path / "out").exists()


def test_missing_file_is_named(autocar, tmp_path):
    result = autocar("reconstruct", tmp_path / "a.dcm", tmp_path / "b.dcm", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "a.dcm" in result.stderr


def test_three_runs(autocar, data_dir, tmp_path):
    runs = [data_dir / "phantom" / name for name in ("IM3.dcm", "IM7.dcm", "IM8.dcm")]
    options = ("--pixel-spacing", 0.390625, "--method", "lifting", "--segmentation", "vesselness")
    result = autocar("reconstruct", *runs, "--out", tmp_path / "out", *options)
    assert result.exit_code == 0, result.stderr
    assert "from 3 runs" in result.stdout
    told = json.loads((tmp_path / "out" / "alignment.json").read_text())["runs"]
    assert [len(run["table_shift_mm"]) for run in told] == [3, 3, 3]
    assert told[0]["table_shift_mm"] == [0.0, 0.0, 0.0]
    assert all((tmp_path / "out" / f"overlay_{name}.png").exists() for name in "abc")


def test_one_run_is_refused(autocar, data_dir, tmp_path):
    result = autocar("reconstruct", data_dir / "phantom" / "IM3.dcm", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "two runs or more" in result.stderr
