"""One frozen dataclass per stage: every default once, with its unit.

`option` attaches unit, meaning and range to a field; the range is checked on construction (`ConfigError`), and the
ROS parameters and the generated documentation are made from the same fields (`ros/parameters.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from autocar_ros.errors import ConfigError


def option(
    default: Any,
    doc: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    fixed: bool = False,
) -> Any:
    """Declare a field with meaning, unit and allowed range; `fixed` = read once, in configure."""
    meta = {"doc": doc, "unit": unit, "low": low, "high": high, "choices": choices, "fixed": fixed}
    return field(default=default, metadata=meta)


class _Checked:
    """Checks every option against its type and range on construction."""

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            _check_option(f.name, getattr(self, f.name), f.default, f.metadata)


def _check_option(name: str, value: Any, default: Any, meta: Any) -> None:
    kind = float if isinstance(default, float) else type(default)
    if not isinstance(value, (float, int) if kind is float else kind) or (kind is not bool and isinstance(value, bool)):
        raise ConfigError(f"{name} must be {kind.__name__}, got {value!r}")
    unit = f" {meta['unit']}" if meta["unit"] else ""
    for v in value if isinstance(value, tuple) else (value,):
        if isinstance(v, float) and math.isnan(v):
            raise ConfigError(f"{name} must not be NaN")
        if meta["low"] is not None and v < meta["low"]:
            raise ConfigError(f"{name} must be >= {meta['low']}{unit}, got {v}")
        if meta["high"] is not None and v > meta["high"]:
            raise ConfigError(f"{name} must be <= {meta['high']}{unit}, got {v}")
    if meta["choices"] and value not in meta["choices"]:
        raise ConfigError(f"{name} must be one of {', '.join(meta['choices'])}, got {value!r}")


@dataclass(frozen=True)
class SegmentationConfig(_Checked):
    """Image to vessel probability (`imaging/segmentation.py`)."""

    method: str = option(
        "network",
        "network: trained, tells catheters from vessels; vesselness: ridge filter, which needs no weights",
        choices=("network", "vesselness"),
        fixed=True,
    )
    weights: str = option("", "weights of the network; empty: those that come with the package", fixed=True)
    device: str = option("cpu", "where the network runs", choices=("cpu", "cuda"), fixed=True)
    precision: str = option(
        "fastest",
        "numbers of the network; fastest: bfloat16 where the processor multiplies it itself, else float32",
        choices=("fastest", "float32", "bfloat16"),
        fixed=True,
    )
    min_length: float = option(30.0, "shortest separate vessel", "px", 0.0, 1000.0)
    max_width: int = option(40, "vesselness: widest vessel; wider dark things count as background", "px", 8, 200)
    scales: tuple[float, ...] = option(
        (1.5, 2.5, 4.0, 6.0), "vesselness: standard deviations of the ridge filter", "px", 1.0, 30.0
    )
    seed_contrast: float = option(
        0.15, "vesselness: ridge strength that starts a vessel, share of the strongest vessels", "", 0.0, 1.0
    )
    follow_contrast: float = option(
        0.05, "vesselness: ridge strength down to which it is followed, same share", "", 0.0, 1.0
    )
    noise_factor: float = option(
        7.0, "vesselness: a seed is this often above the noise of the ridge filter", "", 0.0, 100.0
    )
    min_share: float = option(
        0.06, "vesselness: weakest separate vessel, share of the strongest connected tree", "", 0.0, 1.0
    )


@dataclass(frozen=True)
class SynchronizationConfig(_Checked):
    """Two streams to pairs of one heart phase (`sync/`)."""

    mode: str = option(
        "simultaneous",
        "simultaneous: both planes expose together; phase: pair exposures of one heart phase from different times",
        choices=("simultaneous", "phase"),
    )
    max_pair_skew: float = option(0.02, "largest time between two paired exposures (simultaneous)", "s", 0.0, 1.0)
    phase_tolerance: float = option(0.05, "largest difference of heart phase of a pair (phase)", "", 0.0, 0.5)
    phase_delay: float = option(
        0.5, "how long a frame waits for the motion after it to settle its phase (phase, without ECG)", "s", 0.0, 2.0
    )
    phase_window: float = option(10.0, "how far apart paired exposures may be (phase)", "s", 0.1, 60.0)
    pose_timeout: float = option(2.0, "a pose further than this from its frame in time is refused", "s", 0.01)
    ecg_history: float = option(10.0, "ECG kept to find R waves in", "s", 3.0, 60.0, fixed=True)
    image_phase: bool = option(True, "tell the heart phase by the motion of the vessels while there is no ECG")
    image_history: float = option(10.0, "motion of the vessels kept to find beats in", "s", 3.0, 60.0, fixed=True)
    key_area: float = option(0.003, "least share of vessel pixels in a key frame's masks", "", 0.0, 0.5)
    key_fill: float = option(0.8, "least vessel area of a key frame against the largest seen lately", "", 0.0, 1.0)
    key_interval: float = option(0.8, "least time between two key frames", "s", 0.0)


@dataclass(frozen=True)
class AlignmentConfig(_Checked):
    """Pose of plane B corrected by what both planes see (`geometry/alignment.py`)."""

    align: str = option(
        "shift",
        "off: poses as reported; shift: table of B, across its epipolar lines and in depth; full: angles and distances",
        choices=("off", "shift", "full"),
    )
    largest_shift: float = option(40.0, "largest shift of the table that is looked for", "mm", 1.0, 100.0)
    angle_error: float = option(2.0, "full: usual error of the reported angles", "deg", 0.01, 20.0)
    distance_error: float = option(10.0, "full: usual error of SID and SOD", "mm", 0.01, 100.0)
    least_confidence: float = option(0.6, "an alignment below makes the graph DEGRADED", "", 0.0, 1.0)
    window: int = option(5, "pairs of equal heart phase that vote together", "", 1, 50)


@dataclass(frozen=True)
class ReconstructionConfig(_Checked):
    """Key-frame pair to a new vessel graph (`sbp/`, `vessels/`)."""

    method: str = option(
        "network",
        "network: sparse back-projection, trained; lifting: centrelines lifted by dynamic programming, which needs no "
        "weights and is the fallback where none are installed",
        choices=("network", "lifting"),
        fixed=True,
    )
    weights: str = option("", "weights of the network; empty: those that come with the package", fixed=True)
    device: str = option("cpu", "where the network runs", choices=("cpu", "cuda"), fixed=True)
    smallest_angle: float = option(10.0, "smallest angle between the views", "deg", 1.0, 90.0)
    box_size: float = option(200.0, "edge of the cube around the isocentre that is reconstructed", "mm", 20.0, 400.0)
    tolerance: float = option(2.0, "distance from a mask that a voxel may have (motion, pose error)", "mm", 0.0, 20.0)
    voxel_size: float = option(0.5, "finest voxel of the occupancy volume", "mm", 0.25, 8.0)
    unmatched_cost: float = option(2.5, "lifting: largest cost of a distance to the other centreline", "mm", 0.1, 20.0)
    radius_weight: float = option(1.0, "lifting: weight of the difference of radii against distance", "", 0.0, 10.0)
    absorption_weight: float = option(
        1.5,
        "lifting: weight of the difference of what both views absorb, in logarithms",
        "mm",
        0.0,
        10.0,
    )
    jump_weight: float = option(0.4, "lifting: cost of a jump in depth per mm", "", 0.0, 10.0)
    largest_jump_cost: float = option(5.0, "lifting: largest cost of a jump in depth", "mm", 0.0, 100.0)
    mutual_rounds: int = option(2, "lifting: rounds in which both views settle on depths that suit both", "", 1, 10)
    mutual_weight: float = option(0.3, "lifting: weight of what a depth costs the other view", "", 0.0, 10.0)
    agreement: float = option(2.0, "distance at which the liftings of both views still agree", "mm", 0.1, 20.0)
    neighbour_distance: float = option(3.0, "eps_v of the paper: largest step between neighbours", "mm", 0.5, 20.0)
    largest_gap: float = option(20.0, "largest gap in a vessel that is closed through the volume", "mm", 0.0, 100.0)
    shortest_branch: float = option(4.0, "a shorter side branch is dropped", "mm", 0.0, 50.0)
    node_spacing: float = option(1.0, "distance between two nodes of the graph", "mm", 0.2, 10.0)


@dataclass(frozen=True)
class TrackingConfig(_Checked):
    """Every pair to the living graph (`tracking/`)."""

    iterations: int = option(8, "Gauss-Newton steps a pair, from stiff to soft", "", 1, 20)
    reach: float = option(
        10.0, "distance at which a match counts a quarter in the first step; less for surer nodes", "mm", 0.5, 50.0
    )
    precision: float = option(1.0, "the same in the last step", "mm", 0.1, 10.0)
    stiffness: float = option(4.0, "length over which displacements are averaged in the last step", "mm", 0.1, 100.0)
    shape_memory: float = option(8.0, "length below which the graph keeps the bends it was made with", "mm", 0.0, 50.0)
    seen_distance: float = option(1.5, "a node is seen where a mask's centreline is as near as this", "mm", 0.1, 10.0)
    good_coverage: float = option(0.6, "share of both centrelines that a graph of status OK explains", "", 0.0, 1.0)
    lost_coverage: float = option(0.3, "the graph is lost below this share", "", 0.0, 1.0)
    rebuild_pairs: int = option(5, "a new graph may be taken when so many pairs in a row were not OK", "", 1, 1000)
    rebuild_gain: float = option(0.08, "and it explains so much more", "", 0.0, 1.0)
    growth_pause: float = option(2.0, "branches are added at most so often to a graph of good_coverage", "s", 0.0, 60.0)
    prune_after: float = option(3.0, "ends that the images contradict for so long are cut", "s", 0.5, 600.0)
    max_speed: float = option(150.0, "a graph that moved faster than a heart can is not OK", "mm/s", 1.0)
    lost_after: float = option(2.0, "the graph is lost when no plane has shown vessels for so long", "s", 0.1)


@dataclass(frozen=True)
class NavigationConfig(_Checked):
    """Living graph to catheter paths (`navigation/`)."""

    snap_distance: float = option(10.0, "farthest start or goal from the graph", "mm", 0.1)
    spacing: float = option(0.5, "distance between poses of a path", "mm", 0.1, 5.0)
    smoothing: float = option(1.5, "length over which a path is smoothed (sigma)", "mm", 0.0, 10.0)
    device_radius: float = option(
        0.18, "radius of the device where a request names none (a 0.014 inch wire)", "mm", 0.0
    )
    max_curvature: float = option(
        0.0, "largest curvature the device takes where a request names none; 0 = any", "1/mm", 0.0
    )
    narrowness_weight: float = option(1.0, "cost of a lumen as narrow as the device", "", 0.0)
    curvature_weight: float = option(2.0, "cost of a bend, by its curvature", "mm", 0.0)
    confidence_weight: float = option(1.0, "cost of a node of confidence 0", "", 0.0)
    min_confidence: float = option(0.1, "a path through nodes below this is not valid any more", "", 0.0, 1.0)


@dataclass(frozen=True)
class VisualizationConfig(_Checked):
    """Markers, point clouds and overlays (`ros/nodes/visualization.py`)."""

    rate: float = option(5.0, "largest rate of markers, points and overlays", "Hz", 0.1, 60.0)
    line_width: float = option(0.8, "width of a vessel in the markers", "mm", 0.05, 10.0)


@dataclass(frozen=True)
class SimulationConfig(_Checked):
    """Biplane X-ray simulator (`synthetic/`)."""

    seed: int = option(1, "everything random follows from it", low=0, fixed=True)
    tree: str = option("left", "coronary tree", choices=("left", "right"), fixed=True)
    stenoses: int = option(0, "number of narrowings", low=0, high=10, fixed=True)
    views: str = option(
        "standard",
        "standard: the usual two views of the tree; random: drawn from clinical clusters",
        choices=("standard", "random"),
        fixed=True,
    )
    poses: str = option("", "file with the pose history of random views; empty = the package's", fixed=True)
    image_size: int = option(512, "rows and columns of the images", "px", 64, 1024, fixed=True)
    encoding: str = option("mono8", "of the images; mono16 uses 12 bits", choices=("mono8", "mono16"), fixed=True)
    heart_rate: float = option(70.0, "mean heart rate", "1/min", 30.0, 180.0, fixed=True)
    heart_rate_variability: float = option(0.03, "relative change of the heart rate", "", 0.0, 0.3, fixed=True)
    breathing: float = option(
        4.9, "caudal way of the heart from expiration to inspiration", "mm", 0.0, 30.0, fixed=True
    )
    contrast: str = option(
        "injection",
        "injection: repeated, with inflow and washout; full: always filled; none",
        choices=("injection", "full", "none"),
        fixed=True,
    )
    photons: float = option(400.0, "mean quanta per pixel at mid-grey; 0 = no noise", "", 0.0, 1e6, fixed=True)
    blur: float = option(0.8, "standard deviation of the detector's point spread", "px", 0.0, 5.0, fixed=True)
    background: bool = option(True, "body, spine, ribs, diaphragm and heart shadow", fixed=True)
    catheter: bool = option(True, "guiding catheter in the ostium", fixed=True)
    collimator: int = option(10, "width of the collimator's shadow at the border", "px", 0, 30, fixed=True)
    pose_angle_error: float = option(0.0, "standard deviation of the reported angles", "deg", 0.0, 20.0, fixed=True)
    pose_shift_error: float = option(0.0, "standard deviation of the reported isocentre", "mm", 0.0, 50.0, fixed=True)
    plane_b_turn: float = option(
        0.0,
        "angle by which the reported view of plane B is wrong, in a direction drawn by seed",
        "deg",
        0.0,
        20.0,
        fixed=True,
    )
    plane_b_shift: float = option(
        0.0,
        "distance by which its reported isocentre is wrong, in a direction drawn by seed",
        "mm",
        0.0,
        100.0,
        fixed=True,
    )
    table_move: float = option(
        0.0,
        "distance that the table is moved for plane B, unreported, in a direction drawn by seed",
        "mm",
        0.0,
        100.0,
        fixed=True,
    )
    table_move_time: float = option(5.0, "time of the table move after the start", "s", 0.0, fixed=True)
    ecg_noise: float = option(0.02, "standard deviation of the noise of the ECG", "mV", 0.0, 1.0, fixed=True)


@dataclass(frozen=True)
class CaseConfig(_Checked):
    """One still pair of masks to train or evaluate a reconstruction with (`synthetic/cases.py`); default: perfect."""

    tree: str = option(
        "both",
        "coronary tree; both: left or right, at random; tubes: a tree of tubes that follows no anatomy",
        choices=("left", "right", "both", "tubes"),
    )
    views: str = option(
        "clinical",
        "clinical: two views as clinics choose them; uniform: any two directions (no pose adaptation)",
        choices=("clinical", "uniform"),
    )
    separation: tuple[float, float] = option((35.0, 100.0), "range of the angle between the views", "deg", 0.0, 180.0)
    poses: str = option("", "file with the pose history of the views; empty = the package's")
    trees: str = option("", "folder of vessel graphs (json, of autocar prepare) instead of simulated trees")
    image_size: int = option(512, "rows and columns of the masks", "px", 64, 1024)
    calibre: float = option(1.0, "factor on the radius of all vessels", "", 0.5, 3.0)
    misalignment: float = option(
        0.0, "root mean square distance between where both views saw a vessel point", "mm", 0.0, 20.0
    )
    elastic: float = option(0.0, "root mean square bending of each mask, at the isocentre", "mm", 0.0, 20.0)
    damage: float = option(0.0, "how badly the masks are segmented", "", 0.0, 1.0)
    pose_angle: float = option(0.0, "standard deviation of the believed angles", "deg", 0.0, 20.0)
    pose_shift: float = option(0.0, "standard deviation of the believed isocentre", "mm", 0.0, 50.0)


@dataclass(frozen=True)
class FrameChoiceConfig(_Checked):
    """Which frames are worked on (`ros/nodes/segmentation.py`)."""

    largest_rate: float = option(
        0.0,
        "frames worked on a second, chosen by their stamps alone so that both planes choose the same; 0 = all. Where "
        "the machine is too slow for all, planes left to themselves lose different frames and few pairs are left",
        "Hz",
        0.0,
        120.0,
    )


@dataclass(frozen=True)
class ExposureConfig(_Checked):
    """When the simulator exposes (`ros/nodes/simulator.py`)."""

    frame_rate: float = option(15.0, "exposures of each plane; fewer when the machine is too slow", "Hz", 0.1, 120.0)
    plane_b_delay: float = option(0.0, "exposure of plane B after that of A; 0 = simultaneous", "s", 0.0, 1.0)
    catheter_tip: bool = option(False, "publish the true tip, which lies in the ostium, on catheter/tip")


@dataclass(frozen=True)
class DicomPlayerConfig(_Checked):
    """Two DICOM runs played as planes A and B (`ros/nodes/dicom_player.py`)."""

    run_a: str = option("", "DICOM file of plane A", fixed=True)
    run_b: str = option("", "DICOM file of plane B", fixed=True)
    pixel_spacing: float = option(
        0.0,
        "pixel spacing at the detector where the files name none or a wrong one; 0 = theirs",
        "mm",
        0.0,
        10.0,
        fixed=True,
    )
    frame_rate: float = option(
        0.0, "frame rate where the files name none or a wrong one; 0 = theirs", "Hz", 0.0, 1000.0, fixed=True
    )
    order: str = option(
        "together",
        "together: both runs at once; in turn: first A, then B, for runs of one arm that are paired by heart phase",
        choices=("together", "in turn"),
        fixed=True,
    )
    rate: float = option(1.0, "speed against the recording", "", 0.01, 100.0, fixed=True)
    loop: bool = option(True, "start again at the end; stamps go on, they do not jump back", fixed=True)


@dataclass(frozen=True)
class BagPlayerConfig(_Checked):
    """A bag played with its own clock (`ros/nodes/bag_player.py`)."""

    bag: str = option("", "bag folder or .mcap file", fixed=True)
    topics: str = option(
        "all",
        "all, or inputs: only what a C-arm and a user send, so that the nodes compute the rest anew",
        choices=("all", "inputs"),
        fixed=True,
    )
    rate: float = option(1.0, "speed against the recording", "", 0.01, 100.0, fixed=True)
    loop: bool = option(False, "start again at the end; /clock jumps back", fixed=True)
    delay: float = option(1.0, "wait before the first message, for subscribers to find us", "s", 0.0, 60.0, fixed=True)
    clock_rate: float = option(100.0, "messages on /clock", "Hz", 1.0, 1000.0, fixed=True)


@dataclass(frozen=True)
class TrainConfig(_Checked):
    """How a network is trained (`training/loop.py`); the budget is `minutes`, `steps`, or what ends first."""

    minutes: float = option(0.0, "time to train, resumed runs included; 0 = any", "min", 0.0)
    steps: int = option(0, "steps to train; 0 = any", low=0)
    batch: int = option(4, "samples of a step and process", low=1, high=4096)
    learning_rate: float = option(2e-3, "largest learning rate; falls along a cosine over the budget", "", 0.0, 1.0)
    warm_up: int = option(50, "steps in which the learning rate rises", "", 0, 100_000)
    weight_decay: float = option(0.01, "of AdamW, on weights of two and more dimensions", "", 0.0, 1.0)
    clip: float = option(1.0, "largest norm of the gradient", "", 1e-6)
    averaging: float = option(
        0.999, "decay of the running average of the weights, which is validated and kept", "", 0.0, 1.0
    )
    seed: int = option(0, "everything random follows from it", low=0)
    workers: int = option(1, "processes that prepare samples; 0 = the training process does", low=0, high=256)
    reuse: int = option(2, "how often a prepared sample is used", low=1, high=1000)
    buffer: int = option(64, "prepared samples from which the next is drawn", low=1, high=100_000)
    checkpoint_minutes: float = option(5.0, "time between two checkpoints", "min", 0.0)
    validate_minutes: float = option(15.0, "time between two validations", "min", 0.0)
    device: str = option("cpu", "where the network runs", choices=("cpu", "cuda"))
