"""Compile the numerical kernels into numba's cache, so that the first start of the nodes is as quick as the next ones.

Runs every stage once on a simulated pair of exposures; a minute where nothing is cached, seconds where all is.
"""

from autocar_ros.cli.cases import pair_at
from autocar_ros.config import SimulationConfig
from autocar_ros.imaging.segmentation import segmenter_for
from autocar_ros.navigation.goals import GoalNode
from autocar_ros.navigation.planner import plan_paths
from autocar_ros.pipeline import reconstruct
from autocar_ros.synthetic.scene import Scene
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.vessels.stenosis import find_stenoses


def main() -> None:
    """Run it."""
    scene = Scene(SimulationConfig(contrast="full"))
    segmenter_for().segment(scene.image("a", 0.0))
    first, second = (pair_at(scene, k / 15) for k in range(2))
    tracker = Tracker()
    tracker.update(first, reconstruct(first).graph)
    graph = tracker.update(second)
    if graph is None:
        raise RuntimeError("the tracker took no graph")
    plan_paths(graph, GoalNode(len(graph) - 1))
    find_stenoses(graph)


if __name__ == "__main__":
    main()
