"""Protocol 2: a tracked sequence against the truth of every exposure. The command line makes the sequences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.evaluation.graph_metrics import graph_correspondence, graph_score
from autocar_ros.evaluation.identity import identity
from autocar_ros.evaluation.node_errors import Anatomy, pose_error
from autocar_ros.evaluation.report import quantiles, spread
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.pipeline import reconstruct
from autocar_ros.sbp.prediction import network_for
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import NANOSECONDS, CArmPose, FramePair, GraphStatus, SeenBy, VesselGraph
from autocar_ros.vessels.tree import visible_part

Poses = tuple[CArmPose, CArmPose]
Rebuild = Callable[[FramePair], VesselGraph | None]  # None where nothing is found

LATE = 5  # pairs from a key frame until its reconstruction arrives, as from a node beside the tracking
FILLED = 0.5  # share of the true tree that both planes could see, from which a moment counts
SLIGHTLY = 0.5  # mm, an error that a good graph may have
RIGHT = 2.0  # mm of median error up to which status OK is true
KEPT = (
    "recall_1mm", "recall_2mm", "precision_1mm", "precision_2mm", "error_median_mm", "error_mean_mm", "error_p95_mm",
    "radius_error_mm", "radius_bias_mm", "bifurcations_found", "bifurcations_missed", "bifurcations_invented",
)  # fmt: skip


class Exposure(NamedTuple):
    """A pair as the synchronization publishes it, and what is true."""

    pair: FramePair
    truth: VesselGraph  # `seen_by`: filled and inside the image
    poses: Poses  # that the images were made with
    shown: NDArray[np.bool_]  # (N,) the masks of both views show the true node where it is filled


class Moment(NamedTuple):
    """What the tracker made of an exposure; masks are not kept."""

    time: float  # s, of the exposure
    graph: VesselGraph | None
    milliseconds: float  # processor time of the tracking step
    truth: VesselGraph
    poses: Poses  # as believed
    true_poses: Poses
    shown: NDArray[np.bool_]


def rebuilder(config: ReconstructionConfig) -> Rebuild:
    """Reconstruction of pairs; raises `WeightsError` when its network is missing."""
    network = network_for(config)

    def rebuild(pair: FramePair) -> VesselGraph | None:
        try:
            return reconstruct(pair, config, network).graph
        except ReconstructionError:
            return None

    return rebuild


@dataclass
class Drive:
    """Feeds a tracker as the nodes do: every pair, and every reconstruction `late` pairs after its key frame.

    A key frame that comes while a reconstruction is on its way is passed over. `made` keeps the reconstructions, each
    with the truth of its key frame; `failed` counts those that gave no graph.
    """

    tracker: Tracker
    rebuild: Rebuild
    late: int = LATE
    made: list[tuple[VesselGraph, VesselGraph]] = field(default_factory=list)
    failed: int = 0

    def __call__(self, exposures: Iterable[Exposure]) -> Iterator[Moment]:
        """Track every exposure."""
        coming: VesselGraph | None = None
        due = -1
        for k, (pair, truth, poses, shown) in enumerate(exposures):
            arrived = coming if k == due else None
            if pair.key_frame and k >= due:
                coming, due = self._reconstruct(pair, truth), k + self.late
            begin = time.process_time()
            graph = self.tracker.update(pair, arrived)
            spent = 1e3 * (time.process_time() - begin)
            yield Moment(pair.stamp_a_ns / NANOSECONDS, graph, spent, truth, (pair.pose_a, pair.pose_b), poses, shown)

    def _reconstruct(self, pair: FramePair, truth: VesselGraph) -> VesselGraph | None:
        graph = self.rebuild(pair)
        if graph is None:
            self.failed += 1
        else:
            self.made.append((graph, truth))
        return graph


def rebuild_scores(drive: Drive) -> dict[str, float]:
    """Scores of the reconstructions as they came, mean: what the tracking had to make do with."""
    names = ("recall_2mm", "precision_2mm", "error_median_mm")
    scored = [graph_score(graph, visible_part(truth), truth) for graph, truth in drive.made if is_filled(truth)]
    means = {f"reconstruction_{name}": spread(getattr(s, name) for s in scored)["mean"] for name in names}
    return {
        **{name: np.nan if mean is None else mean for name, mean in means.items()},
        "reconstructions": float(len(drive.made)),
        "reconstructions_failed": float(drive.failed),
    }


def is_filled(truth: VesselGraph) -> bool:
    """Whether both planes could see at least half of a true tree: it is filled, and inside the images."""
    return len(truth) > 0 and float(np.mean((truth.seen_by & SeenBy.BOTH) == SeenBy.BOTH)) >= FILLED


def frame_scores(moments: Sequence[Moment]) -> list[dict[str, float]]:
    """Scores of every moment from the first graph on, with `time`, `status` and `filled`.

    Recall and correspondence are of the true vessels that are filled and in both images, precision and errors are
    against all true vessels. A moment without filled vessels has an error alone.
    """
    anatomy, found = Anatomy(), []
    for moment in moments:
        graph, truth = moment.graph, moment.truth
        if graph is None:
            continue
        anatomy.update(graph, truth)
        filled = float(is_filled(truth))
        found.append({"time": moment.time, "status": float(graph.status), "filled": filled} | _scores(moment, anatomy))
    return found


def _scores(moment: Moment, anatomy: Anatomy) -> dict[str, float]:
    graph, truth = moment.graph, moment.truth
    assert graph is not None
    visible = visible_part(truth)
    if len(visible.edges) == 0:
        return {"error_median_mm": graph_score(graph, truth).error_median_mm}
    lines = asdict(graph_score(graph, visible, truth))
    views = graph_correspondence(graph, visible, *moment.poses, true_poses=moment.true_poses)
    nearly = graph_correspondence(_slightly_off(truth), visible, *moment.true_poses)
    believed, true = ((camera_from_pose(a), camera_from_pose(b)) for a, b in (moment.poses, moment.true_poses))
    return {
        **{name: lines[name] for name in KEPT},
        **asdict(views),
        "epe_of_truth_slightly_off_mm": nearly.epe_mm,
        "accuracy_of_truth_slightly_off": nearly.accuracy,
        **asdict(anatomy.lost(graph, truth, moment.shown)),
        **asdict(anatomy.errors(graph, truth, believed)),
        "pose_error_mm": pose_error(visible.position, believed, true),
    }


def _slightly_off(truth: VesselGraph) -> VesselGraph:
    """The true tree shifted a little, anywhere: what correspondence makes of a graph as good as one can hope for."""
    way = np.random.default_rng(truth.stamp_a_ns).normal(size=3)
    return truth.with_(position=truth.position + SLIGHTLY * way / np.linalg.norm(way))


def sequence_scores(moments: Sequence[Moment], frames: Sequence[dict[str, float]]) -> dict[str, float]:
    """Scores of a whole sequence: means over its filled moments, identity, status, time of the tracking step.

    Parameters
    ----------
    moments : of the sequence
    frames : their `frame_scores`
    """
    filled = [f for f in frames if f["filled"]]
    if not filled:
        return {"failed": 1.0}
    status = np.array([f["status"] for f in frames])
    ok = [f["error_median_mm"] > RIGHT for f in frames if f["status"] == GraphStatus.OK]
    dry = spread(f["error_median_mm"] for f in frames if not f["filled"])["mean"]
    step = quantiles(m.milliseconds for m in moments if m.graph is not None)
    return {
        "failed": 0.0,
        "nodes": float(np.mean([len(m.graph) for m in moments if m.graph is not None])),
        **_means(filled),
        "error_median_dry_mm": np.nan if dry is None else dry,
        **_identity(moments),
        "first_graph_s": frames[0]["time"] - moments[0].time,
        **{f"share_{s.name.lower()}": float(np.mean(status == s)) for s in GraphStatus},
        "wrong_though_ok": float(np.mean(ok)) if ok else np.nan,
        **{f"step_{name}_ms": float(v) for name, v in step.items() if name != "n" and v is not None},
    }


def _means(frames: Sequence[dict[str, float]]) -> dict[str, float]:
    names = [name for name in dict.fromkeys(n for f in frames for n in f) if name not in ("time", "status", "filled")]
    means = {name: spread(f[name] for f in frames if name in f)["mean"] for name in names}
    return {name: np.nan if mean is None else float(mean) for name, mean in means.items()}


def _identity(moments: Sequence[Moment]) -> dict[str, float]:
    """Identity over the filled moments, and over all of them, dry ones between injections included."""
    tracked = [(m.graph, m.truth) for m in moments if m.graph is not None]
    seen = [(graph, truth) for graph, truth in tracked if is_filled(truth)]
    kept, always = (identity([g for g, _ in of], [t for _, t in of]) for of in (seen, tracked))
    return {
        "identity_frame_to_frame": kept.frame_to_frame,
        "identity_whole_sequence": kept.whole_sequence,
        "identity_frame_to_frame_dry_too": always.frame_to_frame,
        "rebuilds": float(always.rebuilds),
    }


@dataclass(frozen=True)
class Reaction:
    """What the tracker said to a trouble; NaN where it never did."""

    frames_to_notice: float  # exposures in trouble until the status is not OK: 0 = at the first
    beats_to_recover: float  # from its end until the status is OK again
    beats_to_return: float  # from its end until the graph is back where it was before
    false_alarms: float  # share of exposures before it whose status is not OK


def reaction(frames: Sequence[dict[str, float]], start: float, stop: float, beat: float) -> Reaction:
    """How a tracker took a trouble.

    Parameters
    ----------
    frames : `frame_scores` of the sequence
    start, stop : s, from the first exposure in trouble to the first after it; equal for one that stays, as a jump
    beat : s

    Notes
    -----
    Back where it was: the graph finds as many of the true vessels (2 mm) as in the second before the trouble, but for
    5 %. After a trouble that stays, recovery counts from when it was noticed.
    """
    at = np.array([f["time"] for f in frames])
    ok = np.array([f["status"] == GraphStatus.OK for f in frames])
    recall = np.array([f.get("recall_2mm", np.nan) for f in frames])
    during = (at >= start) & ((at < stop) | (stop <= start))
    noticed = np.flatnonzero(during & ~ok)
    first = float((during & (at < at[noticed[0]])).sum()) if len(noticed) else np.nan
    after = at >= stop
    if stop <= start and len(noticed):
        after = at >= at[noticed[0]]
    before = at < start
    usual = np.nanmean(recall[before & (at >= start - 1.0)]) if before.any() else np.nan
    return Reaction(
        frames_to_notice=first,
        beats_to_recover=_first(at, after & ok, stop) / beat if len(noticed) else np.nan,
        beats_to_return=_first(at, (at >= stop) & (recall >= 0.95 * usual), stop) / beat,
        false_alarms=float(np.mean(~ok[before])) if before.any() else np.nan,
    )


def _first(at: np.ndarray, wanted: NDArray[np.bool_], since: float) -> float:
    """Time in s from `since` to the first moment wanted; NaN when there is none."""
    return float(at[wanted][0] - since) if wanted.any() else np.nan
