"""Elimination on a tree against the dense solution."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.tracking.smoothness import add_springs, springs_of
from autocar_ros.tracking.solver import System, Tree, empty_system, inverse_blocks, solve
from autocar_ros.types import VesselGraph


def dense(tree: Tree, system: System) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (3 N, 3 N) and right side (3 N,) of a system."""
    n = len(tree.order)
    matrix = np.zeros((n, 3, n, 3))
    for i in range(n):
        matrix[i, :, i] += system.own[i]
        for j, block in ((tree.parent[i], system.parent[i]), (tree.grandparent[i], system.grandparent[i])):
            if j >= 0:
                matrix[i, :, j] += block
                matrix[j, :, i] += block.T
    return matrix.reshape(3 * n, 3 * n), system.right.ravel().copy()


def random_tree(rng: np.random.Generator, n: int) -> VesselGraph:
    """A tree, or two, whose nodes are numbered in any order."""
    place = rng.permutation(n)
    edges = [(place[rng.integers(max(k - 3, 0), k)], place[k]) for k in range(1, n) if k % 7 != 5]
    return VesselGraph(rng.normal(size=(n, 3)), np.ones(n), np.array(edges, int).reshape(-1, 2), np.zeros(n, int))


def random_system(rng: np.random.Generator, graph: VesselGraph, stretch: float, bend: float) -> tuple[Tree, System]:
    n = len(graph)
    springs, system = springs_of(graph), empty_system(n)
    add_springs(system, springs, *rng.normal(size=(3, n, 3)), stretch, bend)
    root = rng.normal(size=(n, 3, 3))
    system.own[:] += root @ root.transpose(0, 2, 1) + 0.01 * np.eye(3)
    system.right[:] += rng.normal(size=(n, 3))
    return springs.tree, system


@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([(4.0, 0.0), (0.0, 9.0), (16.0, 100.0)]))
def test_solution_and_covariance_are_the_dense_ones(seed, n, weights):
    rng = np.random.default_rng(seed)
    tree, system = random_system(rng, random_tree(rng, n), *weights)
    matrix, right = dense(tree, system)
    x, covariance = solve(tree, system), inverse_blocks(tree, system)
    np.testing.assert_allclose(x.ravel(), np.linalg.solve(matrix, right), rtol=1e-6, atol=1e-8)
    inverse = np.linalg.inv(matrix).reshape(n, 3, n, 3)
    np.testing.assert_allclose(covariance, inverse[np.arange(n), :, np.arange(n)], rtol=1e-6, atol=1e-8)


def test_covariance_of_a_long_stiff_chain():
    rng = np.random.default_rng(1)
    n = 400
    chain = VesselGraph(
        np.arange(n)[:, None] * [1.0, 0.0, 0.0],
        np.ones(n),
        np.stack([np.arange(n - 1), np.arange(1, n)], 1),
        np.zeros(n, int),
    )
    springs, system = springs_of(chain), empty_system(n)
    add_springs(system, springs, chain.position, chain.position, chain.position, 1600.0, 4096.0)
    normal = rng.normal(size=(n, 3))
    system.own[:] += 1e-3 * np.eye(3) + normal[:, :, None] * normal[:, None, :]
    matrix, _ = dense(springs.tree, system)
    solve(springs.tree, system)
    expected = np.linalg.inv(matrix).reshape(n, 3, n, 3)[np.arange(n), :, np.arange(n)]
    np.testing.assert_allclose(inverse_blocks(springs.tree, system), expected, rtol=1e-6)
