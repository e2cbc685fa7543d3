"""Segmentation by the network and by the filter."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from imaging.tubes import line, tube_frame

from autocar_ros.config import SegmentationConfig
from autocar_ros.errors import InvalidInputError, WeightsError
from autocar_ros.imaging.segmentation import NetworkSegmenter, load_network, segmenter_for
from autocar_ros.imaging.vessel_network import CLIP, Architecture, VesselNetwork, fast, footing
from autocar_ros.weights import number_type, save_weights


@pytest.fixture(scope="module")
def segmenter():
    return segmenter_for(SegmentationConfig(method="network"))


@pytest.fixture(scope="module")
def frame():
    return tube_frame([(line(0.6), 6.0)], size=256)


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / max(np.count_nonzero(a) + np.count_nonzero(b), 1)


def small_network():
    torch.manual_seed(0)
    network = VesselNetwork(Architecture((8, 12, 16), stem=4))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@given(gain=st.floats(0.2, 200), power=st.sampled_from([1, 4, 16]))
@settings(max_examples=20, deadline=None)
def test_the_footing_does_not_depend_on_gain(gain, power):
    image = np.random.default_rng(0).integers(20, 250, (64, 96)).astype(np.uint16) * power
    bright = np.clip(image * gain, 0, 65535)
    if bright.max() < 65535 and bright.max() > 1000:  # else it is cut, or quantised
        np.testing.assert_allclose(footing(bright.astype(np.uint16)), footing(image), atol=0.35)


def test_footing_shows_vessels_dark_and_has_bounds(frame):
    picture = footing(frame.image)
    assert picture.shape == frame.image.shape
    assert np.abs(picture).max() <= CLIP
    middle = cv2.erode(frame.lumen.astype(np.uint8), np.ones((3, 3))) > 0
    assert picture[middle].mean() < -1


@pytest.mark.parametrize("value", [0, 3, 255])
def test_nothing_is_seen_in_an_even_frame(segmenter, value):
    for kind in (np.uint8, np.uint16):
        found = segmenter.segment(np.full((128, 160), value, kind))
        assert not (found.vessel >= 128).any()
        assert not (found.catheter >= 128).any()


@pytest.mark.parametrize(("stem", "separable"), [(2, False), (4, False), (4, True)])
def test_folding_changes_nothing(stem, separable):
    torch.manual_seed(1)
    network = VesselNetwork(Architecture((8, 12, 16), stem=stem, separable=separable)).train()
    x = torch.randn(2, 1, 64, 96)
    network(x)  # running means
    network.eval()
    with torch.no_grad():
        plain = network(x)
        assert plain.shape == (2, 2, 32, 48)
        torch.testing.assert_close(fast(network)(x), plain, atol=1e-4, rtol=1e-4)


def test_an_architecture_survives_its_json():
    import json
    from dataclasses import asdict

    made = Architecture((8, 16), stem=2, blocks=2, separable=True)
    assert Architecture.from_json(json.dumps(asdict(made))) == made


@pytest.mark.parametrize("shape", [(512, 512), (100, 131), (16, 900), (1024, 1000)])
def test_masks_have_the_size_of_any_frame(segmenter, shape):
    image = np.random.default_rng(2).integers(0, 255, shape).astype(np.uint8)
    found = segmenter.segment(image)
    for mask in found:
        assert mask.shape == shape
        assert mask.dtype == np.uint8


def test_a_tube_is_found_whatever_gain_and_depth(segmenter, frame):
    mask = segmenter.segment(frame.image).vessel >= 128
    assert dice(mask, frame.lumen) > 0.75
    deep = segmenter.segment(frame.image.astype(np.uint16) * 16).vessel >= 128
    assert dice(deep, mask) > 0.99


def test_bfloat16_says_almost_the_same(frame):
    exact, short = (
        segmenter_for(SegmentationConfig(precision=p)).segment(frame.image).vessel for p in ("float32", "bfloat16")
    )
    assert not np.array_equal(exact, short)
    assert dice(exact >= 128, short >= 128) > 0.98
    assert np.abs(exact.astype(int) - short).mean() < 2


@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16", None])
def test_bfloat16_is_taken_where_the_processor_multiplies_it(monkeypatch, instruction):
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx2": True} | ({instruction: True} if instruction else {})
    )
    assert number_type("fastest", "cpu") == (torch.bfloat16 if instruction else torch.float32)
    assert number_type("float32", "cpu") == torch.float32
    assert number_type("bfloat16", "cpu") == torch.bfloat16


def test_short_islands_are_left_out(frame):
    network = load_network()
    image = frame.image
    whole = NetworkSegmenter(load_network(), SegmentationConfig(min_length=0.0)).segment(image).vessel >= 128
    none = NetworkSegmenter(network, SegmentationConfig(min_length=1000.0)).segment(image).vessel >= 128
    assert whole.any()
    assert not none.any()


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.zeros((64, 64, 3), np.uint8), np.zeros(64, np.uint8)])
@pytest.mark.parametrize("method", ["network", "vesselness"])
def test_what_is_no_frame_is_refused(image, method):
    with pytest.raises(InvalidInputError):
        segmenter_for(SegmentationConfig(method=method)).segment(image)


def test_weights_of_another_network_are_refused(tmp_path):
    network = small_network()
    save_weights(tmp_path / "x.safetensors", network.state_dict(), {"kind": "sbp"})
    with pytest.raises(WeightsError, match="kind"):
        load_network(str(tmp_path / "x.safetensors"))
    save_weights(tmp_path / "y.safetensors", network.state_dict(), {"kind": "segmentation"})
    with pytest.raises(WeightsError, match="how its network is made"):
        load_network(str(tmp_path / "y.safetensors"))
    with pytest.raises(WeightsError, match="no weights"):
        load_network(str(tmp_path / "z.safetensors"))


def test_the_filter_tells_no_catheter(frame):
    found = segmenter_for(SegmentationConfig(method="vesselness")).segment(frame.image)
    assert dice(found.vessel >= 128, frame.lumen) > 0.75
    assert not found.catheter.any()
