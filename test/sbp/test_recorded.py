"""Recorded runs: frames of both whose views agree, frames that are segmented once."""

import numpy as np
import pytest
from sbp.tubes import c_arm, fork, render

from autocar_ros.imaging.segmentation import Segmentation
from autocar_ros.sbp import recorded
from autocar_ros.sbp.recorded import SegmentedRun, most_agreeing

POSES = c_arm(-30.0, 20.0), c_arm(40.0, -10.0)
BEND = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.25], [0.0, 0.0, 1.0]])  # another breath, another beat


class Dark:
    """Everything darker than the background is vessel."""

    def __init__(self):
        self.calls = 0

    def segment(self, image):
        self.calls += 1
        vessel = np.where(image < 150, np.uint8(255), np.uint8(0))
        return Segmentation(vessel, np.zeros_like(vessel))


def run(plane, trees):
    """Run of one plane with a frame for every tree; None is an empty one."""
    points, radius = fork()
    masks = [np.zeros((512, 512), np.uint8) if t is None else render(points @ t.T, radius, POSES[plane]) for t in trees]
    return SegmentedRun(np.array([np.where(m > 0, 100, 200) for m in masks], np.uint8), [POSES[plane]] * 4, Dark())


def test_frames_that_show_the_same_tree_agree_most():
    still = np.eye(3)
    a, b = run(0, [still, still]), run(1, [BEND, None, still])
    assert most_agreeing(a, b, [(0, 0), (1, 1), (1, 2)]) == 2
    assert most_agreeing(a, b, [(0, 0), (1, 1)]) == 0
    assert most_agreeing(a, b, [(1, 1)]) == 0  # nothing to choose from


def test_moments_are_frames_that_show_the_vessels_in_the_same_place():
    a = run(0, [BEND, np.eye(3), None, np.eye(3)])
    moments = a.moments(1, most=3)
    assert len(moments) == 2
    for seen, frame in zip(moments, (1, 3), strict=True):
        assert seen is a.vessels(frame)
        assert (seen.absorption[seen.mask > 0] > 0).mean() > 0.99


def test_frames_are_segmented_once_and_when_they_are_asked_for():
    a = run(0, [np.eye(3)] * 4)
    assert len(a.moments(1, most=1)) == 1
    assert a._segmenter.calls == 1
    assert len(a.moments(1, most=3)) == 3
    assert a.sighting(1).pose == POSES[0]
    assert a._segmenter.calls == 4


@pytest.mark.parametrize("frame", [0, 3])
def test_the_frame_itself_comes_first_and_the_nearest_are_looked_at(monkeypatch, frame):
    monkeypatch.setattr(recorded, "AROUND", 2)
    a = run(0, [np.eye(3)] * 4)
    moments = a.moments(frame, most=3)
    assert moments[0] is a.vessels(frame)
    assert a._segmenter.calls == len(moments) == 2
    assert a._vessels.keys() == {frame, 1 if frame == 0 else 2}
