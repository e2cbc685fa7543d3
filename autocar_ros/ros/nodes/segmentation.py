"""Node `segmentation`: image to vessel mask. One per plane, in the plane's namespace."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from autocar_ros.config import FrameChoiceConfig, SegmentationConfig
from autocar_ros.imaging.segmentation import segmenter_for
from autocar_ros.ros.images import image_from_msg, image_to_msg
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.stamps import to_ns
from autocar_ros.types import NANOSECONDS


class SegmentationNode(StageNode):
    """``image_raw`` (mono8 or mono16, vessels dark) to ``mask`` and ``catheter_mask`` (mono8, probability)."""

    configs = (SegmentationConfig, FrameChoiceConfig)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("segmentation", **kwargs)

    def prepare(self) -> None:
        """Compile what is compiled at the first call."""
        self._mask = self.output(Image, "mask")
        self._catheter = self.output(Image, "catheter_mask")
        ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
        self.reconfigure()
        self._segmenter.segment(ramp)

    def reconfigure(self) -> None:
        """Take over parameters."""
        self._segmenter = segmenter_for(self.parameters[SegmentationConfig])

    def begin(self) -> None:
        """Subscribe to the frames."""
        self.clear()
        self.input(Image, "image_raw", self._on_image, needed=True)

    def clear(self) -> None:
        """Forget which frame was chosen last."""
        self._slot: int | None = None

    def _on_image(self, message: Image) -> None:
        stamp = to_ns(message.header.stamp)
        if not self._is_chosen(stamp):
            return
        found = self._segmenter.segment(image_from_msg(message))
        self.publish(self._mask, image_to_msg(found.vessel, stamp, message.header.frame_id), stamp)
        if self._catheter.get_subscription_count():
            self._catheter.publish(image_to_msg(found.catheter, stamp, message.header.frame_id))

    def _is_chosen(self, stamp_ns: int) -> bool:
        """Whether a frame is the first of its slot of 1 / `largest_rate` s."""
        rate = self.parameters[FrameChoiceConfig].largest_rate
        last, self._slot = self._slot, int(stamp_ns * rate / NANOSECONDS)
        return rate == 0 or self._slot != last


if __name__ == "__main__":
    raise SystemExit(main(SegmentationNode))
