"""Node `segmentation`: image to vessel mask. One per plane, in the plane's namespace."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image
from std_msgs.msg import UInt8

from autocar_ros.config import FrameChoiceConfig, SegmentationConfig
from autocar_ros.imaging.segmentation import segmenter_for
from autocar_ros.imaging.vessel_absorption import vessel_absorption
from autocar_ros.ros.images import image_from_msg, image_to_msg
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.stamps import to_ns
from autocar_ros.sync.shedding import SHARES, Shedding
from autocar_ros.types import NANOSECONDS

_LEVEL = "left_out_level"  # topic on which a plane tells the other how much it leaves out
_PARTNERS = {"plane_a": "plane_b", "plane_b": "plane_a"}
_PATIENCE = 3  # s
_TOO_SLOW = (
    "one frame of {} in both planes, because frames went missing: this machine is too slow for the frame rate; "
    "largest_rate sets a lower one"
)


class SegmentationNode(StageNode):
    """``image_raw`` (mono8 or mono16, vessels dark) to ``mask`` and ``catheter_mask`` (mono8, probability).

    ``absorption`` (mono8) tells what the vessels of the mask absorb; it is sent before the mask of its stamp.
    """

    configs = (SegmentationConfig, FrameChoiceConfig)
    niceness = 4  # where there is too little time, frames are lost before work was put into them, not after

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("segmentation", **kwargs)

    def prepare(self) -> None:
        """Compile what is compiled at the first call."""
        self._absorption = self.output(Image, "absorption")
        self._mask = self.output(Image, "mask")
        self._catheter = self.output(Image, "catheter_mask")
        self._level = self.output(UInt8, _LEVEL)
        ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
        self._made_for: SegmentationConfig | None = None  # what the segmenter was made for
        self.reconfigure()
        self._segmenter.segment(ramp)

    def reconfigure(self) -> None:
        """Take over parameters; weights are loaded anew only when those of the segmentation changed."""
        config = self.parameters[SegmentationConfig]
        if config != self._made_for:
            self._segmenter, self._made_for = segmenter_for(config), config

    def begin(self) -> None:
        """Subscribe to the frames."""
        self._frames = self.resolve_topic_name("image_raw")
        self.clear()
        self.input(Image, "image_raw", self._on_image, needed=True, complete=True)
        around, own = self.get_namespace().rsplit("/", 1)
        if own in _PARTNERS:
            self.input(UInt8, f"{around}/{_PARTNERS[own]}/{_LEVEL}", self._on_partner)
        self.every(1.0, self._tell_level, Clock(clock_type=ClockType.STEADY_TIME))

    def clear(self) -> None:
        """Forget which frame was chosen last, and how many were missed."""
        self._slot: int | None = None
        self._shedding = Shedding()
        self._patience = 0  # s until a silent partner is taken for gone
        self._missed = self.diagnostics.missed[self._frames]

    def _on_image(self, message: Image) -> None:
        stamp = to_ns(message.header.stamp)
        if not self._is_chosen(stamp):
            self.diagnostics.leave_out("left out: more frames than largest_rate")
            return
        missed, self._missed = self._missed, self.diagnostics.missed[self._frames]
        if not self._shedding.keeps(stamp, self._missed - missed):
            self.diagnostics.drop("left out", _TOO_SLOW.format(self._shedding.share))
            return
        image = image_from_msg(message)
        found = self._segmenter.segment(image)
        if self._absorption.get_subscription_count():
            absorption = vessel_absorption(image, *found)
            self._absorption.publish(image_to_msg(absorption, stamp, message.header.frame_id))
        self.publish(self._mask, image_to_msg(found.vessel, stamp, message.header.frame_id), stamp)
        if self._catheter.get_subscription_count():
            self._catheter.publish(image_to_msg(found.catheter, stamp, message.header.frame_id))

    def _tell_level(self) -> None:
        self.publish(self._level, UInt8(data=self._shedding.level))
        self._patience -= 1
        if self._patience <= 0:
            self._shedding.partner = 0

    def _on_partner(self, message: UInt8) -> None:
        self._shedding.partner, self._patience = min(message.data, len(SHARES) - 1), _PATIENCE

    def _is_chosen(self, stamp_ns: int) -> bool:
        """Whether a frame is the first of its slot of 1 / `largest_rate` s."""
        rate = self.parameters[FrameChoiceConfig].largest_rate
        last, self._slot = self._slot, int(stamp_ns * rate / NANOSECONDS)
        return rate == 0 or self._slot != last


if __name__ == "__main__":
    raise SystemExit(main(SegmentationNode))
