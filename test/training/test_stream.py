"""Samples: each used as often as asked, in an order that a resumed run finds again."""

from collections import Counter
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.training.stream import Draws, stream, to_device


@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 3), st.integers(1, 3), st.integers(0, 99))
def test_each_number_is_used_as_often_as_asked(reuse, buffer, first, step, seed):
    draws = Draws(first, step, reuse, buffer, seed)
    used = Counter(draws.draw() for _ in range(150))
    done = [k for k in used if k not in draws.held]
    assert all(used[k] == reuse for k in done)
    assert all(k % step == first % step and k >= first for k in used)
    assert len(draws.held) <= buffer
    assert len(used) >= 150 // reuse - buffer


def test_without_reuse_the_order_is_plain():
    draws = Draws(1, 2, reuse=1, buffer=64, seed=0)
    assert [draws.draw() for _ in range(4)] == [1, 3, 5, 7]


def test_seeds_mix_differently():
    orders = [[draws.draw() for _ in range(30)] for draws in (Draws(0, 1, 3, 8, seed) for seed in (0, 1))]
    assert orders[0] != orders[1]


@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 6))
def test_skipping_is_having_drawn(skip, reuse, buffer):
    whole = stream(lambda k: k, Draws(0, 1, reuse, buffer, 3), 1)
    later = stream(lambda k: k, Draws(0, 1, reuse, buffer, 3), 1, skip)
    assert list(islice(whole, skip, skip + 20)) == list(islice(later, 20))


def test_workers_keep_the_order():
    here, there = (stream(torch.tensor, Draws(0, 1, 2, 4, 0), 1, 7, workers) for workers in (0, 2))
    assert list(islice(here, 30)) == list(islice(there, 30))


def test_each_use_prepares_no_more_than_once():
    prepared = []
    samples = stream(lambda k: prepared.append(k) or k, Draws(0, 1, 3, 4, 0), 1)
    used = list(islice(samples, 30))
    assert len(prepared) == len(set(prepared))
    assert set(used) <= set(prepared)


class Pair(NamedTuple):
    a: torch.Tensor
    b: dict


class Whole(NamedTuple):
    parts: tuple

    def to(self, device):
        return f"on {device}"


def test_samples_move_to_a_device_whole():
    meta = torch.device("meta")
    moved = to_device([Pair(torch.ones(2), {"x": (torch.ones(1), 3)}), Whole(()), "name"], meta)
    assert isinstance(moved[0], Pair)
    assert moved[0].a.device == meta
    assert moved[0].b["x"][0].device == meta
    assert moved[0].b["x"][1] == 3
    assert moved[1:] == ["on meta", "name"]


@pytest.mark.timeout(60)
def test_workers_use_opencv_where_the_parent_had_its_threads():
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        cv2.GaussianBlur(np.ones((2000, 2000), np.float32), (0, 0), 5)
        samples = stream(
            lambda k: float(cv2.blur(np.full((300, 300), k, np.float32), (5, 5))[9, 9]), Draws(0, 1, 1, 4, 0), 1, 0, 1
        )
        assert next(samples) >= 0
        samples.close()
    finally:
        cv2.setNumThreads(before)
