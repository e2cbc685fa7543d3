"""Frames that show the vessels in the same place are told from those in which they moved."""

import numpy as np
from sbp.tubes import c_arm, fork, render

from autocar_ros.vessels.alike import SAME_PLACE, alike_frames

MM = 0.2  # per pixel at the isocentre of `c_arm`


def frame(shift=(0.0, 0.0, 0.0), without=slice(0, 0)):
    points, radius = fork()
    keep = np.ones(len(points), bool)
    keep[without] = False
    return render(points[keep] + shift, radius[keep], c_arm(-30, 20))


def test_the_frame_comes_first_then_the_most_alike():
    masks = {0: frame((6, 0, 0)), 1: frame((0.4, 0, 0)), 2: frame(), 3: frame((0.1, 0, 0)), 4: frame((0, 0, 5))}
    assert alike_frames(masks, 2, MM, 10) == [2, 3, 1]
    assert alike_frames(masks, 2, MM, 2) == [2, 3]
    assert alike_frames(masks, 4, MM, 10) == [4]


def test_a_missing_branch_is_no_motion():
    masks = {0: frame(), 1: frame(without=slice(-60, None))}
    assert alike_frames(masks, 0, MM, 10) == [0, 1]


def test_alike_is_mutual_and_grows_with_the_size_of_a_pixel():
    masks = {0: frame(), 1: frame((SAME_PLACE, SAME_PLACE, 0))}
    assert alike_frames(masks, 0, MM / 4, 10) == [0, 1]
    assert alike_frames(masks, 1, MM / 4, 10) == [1, 0]
    assert alike_frames(masks, 0, 4 * MM, 10) == [0]


def test_empty_masks_are_alike_to_none():
    nothing = np.zeros((512, 512), np.uint8)
    assert alike_frames({0: nothing, 1: frame(), 2: nothing}, 0, MM, 10) == [0]
    assert alike_frames({0: nothing, 1: frame(), 2: nothing}, 1, MM, 10) == [1]
