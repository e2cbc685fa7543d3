"""The reconstruction network: shapes, invariances, pruning, back-projection."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from autocar_ros.config import CaseConfig, ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.sbp.features import JOINT_FEATURES, VIEW_FEATURES, features
from autocar_ros.sbp.network import SIZES, SMOOTHING, Architecture, SbpNetwork, Stage, allowed_voxels
from autocar_ros.sbp.observation import Evidence, evidence, observe
from autocar_ros.sparse.voxels import Voxels
from autocar_ros.synthetic.cases import case_rng, draw_case
from autocar_ros.training.labels import label_tree, truth_of

SMALL = Architecture(widths=(8, 8, 8), width_1mm=8, width_half_mm=8, image_channels=2, most=(300, 600))
CONFIG = ReconstructionConfig()


@pytest.fixture(scope="module")
def case():
    return draw_case(case_rng("train", 700002, 0), CaseConfig())


@pytest.fixture(scope="module")
def seen(case) -> Evidence:
    return evidence(observe(case.pair, CONFIG))


@pytest.fixture(scope="module")
def truth(case, seen):
    return truth_of(label_tree(case.truth, seen.origin.numpy()))


@pytest.fixture
def network():
    torch.manual_seed(3)
    return SbpNetwork(SMALL).eval()


def test_stages_go_from_coarse_to_fine(network, seen):
    with torch.no_grad():
        stages = network(seen, CONFIG)
    assert [s.size for s in stages] == list(SIZES)
    assert all(len(s.occupancy) == len(s.voxels) == len(s.points) for s in stages)
    assert [s.centreness is None for s in stages] == [True, True, False]
    for coarse, fine, most in zip(stages[:-1], stages[1:], SMALL.most, strict=True):
        parents = torch.unique(fine.voxels.index // 2, dim=0)
        assert (coarse.voxels.find(parents) >= 0).all()
        assert len(parents) <= most


def test_truth_is_never_pruned_in_training(network, seen, truth):
    with torch.no_grad():
        stages = network(seen, CONFIG, truth.levels[:2])
    for stage, level in zip(stages, truth.levels, strict=True):
        # all but what the masks themselves leave out at their borders
        assert (stage.voxels.find(level.index) >= 0).float().mean() > 0.95


def test_candidates_hold_the_truth(seen, truth):
    voxels = allowed_voxels(seen)
    assert (voxels.find(truth.levels[0].index) >= 0).float().mean() > 0.99


def test_order_of_the_views_does_not_matter(network, seen):
    """The network knows views, not planes A and B."""
    flipped = Evidence(
        type(seen.views)(*(field[::-1] if isinstance(field, tuple) else field.flip(0) for field in seen.views)),
        seen.signed[::-1], seen.nearest[::-1], seen.curves[::-1], seen.regret[::-1], seen.first_depth.flip(0),
        seen.pictures.flip(0), seen.allowed, seen.origin,
    )  # fmt: skip
    with torch.no_grad():
        one, other = network(seen, CONFIG)[-1], network(flipped, CONFIG)[-1]
    assert torch.equal(one.voxels.key, other.voxels.key)
    assert torch.allclose(one.occupancy, other.occupancy, atol=1e-3)


def test_three_views_are_taken(network, seen):
    def with_third(field):
        return (*field, field[0]) if isinstance(field, tuple) else torch.cat([field, field[:1]])

    three = Evidence(type(seen.views)(*map(with_third, seen.views)), *map(with_third, seen[1:-2]), *seen[-2:])
    with torch.no_grad():
        stages = network(three, CONFIG)
    assert torch.isfinite(stages[-1].occupancy).all()


def test_threads_do_not_matter(network, seen):
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.no_grad():
                found.append(network(seen, CONFIG)[-1])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0].voxels.key, found[1].voxels.key)
    assert (torch.sigmoid(found[0].occupancy) - torch.sigmoid(found[1].occupancy)).abs().max() < 1e-3


def test_lifting_can_be_left_out(seen):
    torch.manual_seed(3)
    blind = SbpNetwork(dataclasses.replace(SMALL, lifting=False)).eval()
    noise = seen._replace(
        curves=tuple(torch.cat([c[:, :5], torch.randn_like(c[:, 5:])], 1) for c in seen.curves),
        regret=tuple(torch.rand_like(r) for r in seen.regret),
    )
    with torch.no_grad():
        one, other = blind(seen, CONFIG)[-1], blind(noise, CONFIG)[-1]
    assert torch.equal(one.occupancy, other.occupancy)


def test_masks_without_common_voxel_are_an_error(network, seen):
    with pytest.raises(ReconstructionError, match="no voxel in common"):
        network(seen._replace(allowed=seen.allowed[:0]), CONFIG)


def test_architecture_survives_json():
    import json

    text = json.dumps(dataclasses.asdict(SMALL))
    assert Architecture.from_json(text) == SMALL


def test_features_on_the_axis_of_a_vessel(case, seen):
    """Where no other vessel lies over it, both views put the axis through the point, and the radius is the true one."""
    graph = case.truth
    found = features(torch.from_numpy(graph.position).float(), seen)
    assert [told.shape for told in found.of_views] == [(VIEW_FEATURES, len(graph))] * 2
    assert found.joint.shape == (JOINT_FEATURES, len(graph))
    assert all(torch.isfinite(told).all() for told in found.of_views)
    assert torch.isfinite(found.joint).all()
    axis, least = found.joint[0].numpy(), found.joint[6].numpy()
    assert np.quantile(axis, 0.25) < 0.2
    assert np.median(np.abs(least - graph.radius)) < 0.25


def test_device_is_a_parameter(seen):
    moved = seen.to("cpu")
    assert all(torch.equal(a, b) for a, b in zip(moved.curves, seen.curves, strict=True))
    assert moved.views.projection.device.type == "cpu"


def test_bfloat16_says_almost_the_same(network, seen):
    with torch.no_grad():
        exact = network(seen, CONFIG)
        with torch.autocast("cpu", torch.bfloat16):
            short = network(seen, CONFIG)
    # geometry is not rounded: the same voxels to begin with, and logits in float32
    assert torch.equal(exact[0].voxels.key, short[0].voxels.key)
    assert short[-1].occupancy.dtype == torch.float32
    chance, other = (torch.sigmoid(stages[0].occupancy) for stages in (exact, short))
    assert (chance - other).abs().mean() < 0.02


def test_chance_is_the_gaussian_mean_around():
    index = torch.cartesian_prod(*[torch.arange(5)] * 3)
    voxels, order = Voxels.from_indices(index)
    inside = torch.rand(125, generator=torch.Generator().manual_seed(0))
    stage = Stage(voxels, 0.5, torch.zeros(3), torch.logit(inside)[order], None)
    smooth = ndimage.gaussian_filter(inside.view(5, 5, 5).double().numpy(), SMOOTHING, mode="constant", radius=1)
    assert stage.chance.numpy() == pytest.approx(smooth.ravel()[order.numpy()], abs=1e-5)
