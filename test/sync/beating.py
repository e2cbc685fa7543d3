"""Pictures of vessels in a beating, breathing chest, with known R waves."""

import cv2
import numpy as np

SECOND = 1_000_000_000
_PHASES = (0.0, 0.05, 0.30, 0.42, 0.66, 0.85, 0.93, 1.0)
_WAYS = (0.0, 0.05, 1.0, 1.0, 0.2, 0.15, 0.0, 0.0)
_TREE = np.array([[20, 10], [34, 22], [30, 40], [44, 60], [40, 80]])
_SIDE = np.array([[34, 22], [56, 30], [70, 46], [74, 66]])


def pictures(times, beat=0.8, start=0.3, way=7.0, breathing=4.0, down=1.0):
    """(F, 96, 96) vessels at times in s; R waves at `start` + k `beat`; `way` px down and in in systole."""
    out = []
    for t in times:
        s = np.interp((t - start) / beat % 1.0, _PHASES, _WAYS)
        slow = breathing * np.sin(2 * np.pi * 0.25 * t)
        canvas = np.zeros((96 * 4, 96 * 4), np.uint8)
        for line in (_TREE, _SIDE):
            points = line + [0, slow + down * way * s] + (48 - line) * min(way, 8) * 0.02 * s
            cv2.polylines(canvas, [np.round(points * 4).astype(np.int32)], False, 255, 12)
        out.append(cv2.resize(canvas, (96, 96), interpolation=cv2.INTER_AREA).astype(np.float32))
    return np.array(out)


def stamps(times):
    return np.round(np.asarray(times) * SECOND).astype(np.int64)
