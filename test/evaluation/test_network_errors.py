"""Errors of networks that are made to err."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.bent_vessel import bent_vessel, masks_of
from sbp.test_network import SMALL

from autocar_ros.config import ReconstructionConfig
from autocar_ros.evaluation.network_errors import network_errors
from autocar_ros.sbp.network import SbpNetwork

CONFIG = ReconstructionConfig()


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SbpNetwork(SMALL).eval()


def true_shares(found):
    return sum(value for name, value in found.items() if name.startswith("true_"))


def test_a_network_that_says_yes_finds_all_and_more(network):
    network.architecture = replace(SMALL, keep=(1e-9, 1e-9), most=(10**6, 10**6))
    network.threshold = 1e-6
    vessel = bent_vessel()
    found = network_errors(network, masks_of(vessel), vessel, CONFIG)
    assert found["true_found"] > 0.99
    assert found["predicted_right"] < 0.6
    assert found["predicted_beside"] > 0.1
    assert true_shares(found) == pytest.approx(1)


def test_pruning_everything_is_told(network):
    network.architecture = replace(SMALL, keep=(0.9999999, 0.07))
    vessel = bent_vessel()
    found = network_errors(network, masks_of(vessel), vessel, CONFIG)
    assert found["true_pruned_2mm"] > 0.9
    assert found["true_outside_hull"] < 0.01


def test_truth_that_the_masks_do_not_show_is_outside_the_hull(network):
    vessel = bent_vessel()
    away = vessel.with_(position=vessel.position + np.array([30.0, 0, 0]))
    assert network_errors(network, masks_of(vessel), away, CONFIG)["true_outside_hull"] > 0.9


def test_a_pair_without_vessels_has_no_errors(network):
    pair = masks_of(bent_vessel())
    assert network_errors(network, replace(pair, mask_b=np.zeros_like(pair.mask_b)), bent_vessel(), CONFIG) == {}
