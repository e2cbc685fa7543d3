"""`autocar replay` of bags that cannot be read."""

from __future__ import annotations


def test_no_bag_and_no_such_bag(autocar, tmp_path):
    text = tmp_path / "notes.mcap"
    text.write_text("no bag")
    for path in (text, tmp_path / "nothing"):
        result = autocar("replay", path)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert path.name in result.stderr


def test_a_loop_is_not_recorded(autocar, tmp_path):
    result = autocar("replay", tmp_path / "bag", "--loop", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "--loop" in result.stderr
