"""Messages that never arrived, by the numbers that a publisher gives its messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.subscription import Subscription


class SequenceNumbers:
    """Numbers of one publisher's messages, in the order of their arrival.

    Stamps cannot tell a lost frame from one that was never exposed; these numbers can, whatever the frame rate.
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def gap_before(self, number: int | None) -> int:
        """How many messages are missing between the last one and the one with this number.

        None is a middleware that does not number: nothing is known to be missing. A number that is not larger than the
        last one is a new publisher's: it counts from there.
        """
        last, self._last = self._last, number
        return max(number - last - 1, 0) if number is not None and last is not None else 0

    def missed_before(self, info: Mapping[str, Any], subscription: Subscription) -> int:
        """The same for a message as rclpy tells of it; 0 with several publishers, as each numbers for itself."""
        gap = self.gap_before(info["publication_sequence_number"])
        return gap if gap and subscription.get_publisher_count() == 1 else 0
