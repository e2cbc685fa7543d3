"""Gaps in a publisher's numbers."""

from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.ros.sequence import SequenceNumbers


@given(st.lists(st.booleans(), min_size=1))
def test_gaps_add_up_to_what_is_missing_in_between(arrived):
    numbers = SequenceNumbers()
    gaps = sum(numbers.gap_before(k) for k, there in enumerate(arrived) if there)
    inside = [k for k, there in enumerate(arrived) if there]
    assert gaps == (inside[-1] - inside[0] + 1 - len(inside) if inside else 0)


def test_a_new_publisher_begins_anew():
    numbers = SequenceNumbers()
    assert [numbers.gap_before(k) for k in (7, 8, 1, 1, 2, 4)] == [0, 0, 0, 0, 0, 1]


def test_without_numbers_nothing_is_missing():
    numbers = SequenceNumbers()
    assert [numbers.gap_before(k) for k in (None, 5, None, 9)] == [0, 0, 0, 0]
