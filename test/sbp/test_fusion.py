"""Points in small cells made one."""

import numpy as np
import pytest

from autocar_ros.sbp.fusion import CELL, mean_in_cells


def test_mean_in_cells():
    values = np.array([[0.2, 0.2, 0.2, 1.0], [0.6, 0.4, 0.2, 3.0], [5.5, -3.5, 2.5, 7.0]]) * [CELL, CELL, CELL, 1]
    points, (mean,) = mean_in_cells(values)
    order = np.argsort(points[:, 0])
    np.testing.assert_allclose(points[order], np.array([[0.4, 0.3, 0.2], [5.5, -3.5, 2.5]]) * CELL)
    assert mean[order] == pytest.approx([2.0, 7.0])
