"""Frames left out under load: both planes the same ones, no more than needed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.sync.shedding import SHARES, Shedding

EPOCH = 1_700_000_000 * 10**9  # stamps of a machine's clock


def stamps(count, rate, first=EPOCH):
    return [first + round(k * 1e9 / rate) for k in range(count)]


def loaded(rate, every, seconds=6.0, first=EPOCH):
    """Shedding of a plane that lost every so manieth frame for some time, and the stamp after it."""
    shedding, times = Shedding(), stamps(round(seconds * rate), rate, first)
    for k, stamp in enumerate(times):
        if k % every:
            shedding.keeps(stamp, int(k % every == 1 and k > 1))
    return shedding, times[-1]


@given(st.sampled_from((3.75, 7.5, 15.0, 25.0, 30.0)))
def test_nothing_is_left_out_while_nothing_is_missed(rate):
    shedding = Shedding()
    assert all(shedding.keeps(stamp) for stamp in stamps(300, rate))


def test_a_frame_lost_now_and_then_costs_no_other():
    shedding, _ = loaded(15.0, every=40, seconds=30.0)
    assert shedding.share == 0


@pytest.mark.parametrize("rate", [7.5, 15.0, 14.97, 30.0])
def test_load_leaves_out_one_of_eight(rate):
    shedding, last = loaded(rate, every=6, seconds=3.5)
    assert shedding.share == 8
    kept = [shedding.keeps(stamp) for stamp in stamps(round(2.4 * rate), rate, last)[1:]]
    assert kept.count(False) == pytest.approx(len(kept) / 8, abs=1)


def test_planes_that_lost_different_frames_leave_out_the_same():
    planes = [loaded(15.0, every, 3.5) for every in (4, 6)]
    assert [p.share for p, _ in planes] == [8, 8]
    following = stamps(36, 15.0, planes[0][1])[1:]
    left_out = [{s for s in following if not plane.keeps(s)} for plane, _ in planes]
    assert left_out[0] == left_out[1] != set()


def test_what_one_level_leaves_out_the_next_does_as_well():
    sets = []
    for level in range(1, len(SHARES)):
        shedding, last = loaded(15.0, 10**6, 1.0)
        shedding.level = level
        sets.append({s for s in stamps(36, 15.0, last)[1:] if not shedding.keeps(s)})
    assert sets[0] < sets[1] < sets[2]


def test_the_higher_level_of_both_planes_holds():
    calm, busy = Shedding(), loaded(15.0, every=6, seconds=3.5)[0]
    calm.partner = busy.level
    assert calm.share == busy.share == 8
    busy.partner = calm.level
    assert busy.share == 8


def test_more_and_more_up_to_every_second_and_none_again_when_calm():
    shedding, last = loaded(15.0, every=2, seconds=30.0)
    assert shedding.share == 2
    for stamp in stamps(15 * 18, 15.0, last)[1:]:
        shedding.keeps(stamp)
    assert shedding.share == 0
