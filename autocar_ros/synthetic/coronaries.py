"""The named coronary arteries and their twigs: which there are, where they run, how long and how thick they are.

Lengths and diameters follow Dodge et al. 1992 (Circulation 86:232). The named vessels bear twigs, from none to as many
as a CT or a full injection shows.
"""

from __future__ import annotations

from string import ascii_lowercase

import numpy as np

from autocar_ros.synthetic.branching import BEARING, Grower

VESSELS = (6, 25)  # of a tree


def grow_left(g: Grower, dominance: str) -> float:
    """Left main, LAD with diagonals and septals, LCx with marginals, perhaps a ramus; PL, PDA where it dominates.

    Returns the radius [mm] at the ostium.
    """
    u = g.uniform
    theta, phi = u(44, 50), u(4, 14)
    length = float(np.clip(g.rng.normal(10.5, 4.0), 4, 20))
    lm = g.grow("LM", [theta - length * 1.3, theta], [phi + u(8, 20), phi], length, 0.97)
    lcx_share = float(np.clip(g.rng.normal(0.45 if dominance == "right" else 0.56, 0.04), 0.35, 0.65))
    lad = g.grow("LAD", [theta, 75, 110, 150, 190], [phi, u(-4, 5), u(-6, 5), u(-8, 6), u(-8, 6)],
                 u(100, 130), u(0.45, 0.65), lm, 1 - lcx_share)  # fmt: skip
    groove = u(66, 74)
    long = {"right": u(60, 80), "codominant": u(85, 100), "left": u(115, 130)}[dominance]
    lcx = g.grow("LCx", [theta, groove - 2, groove, groove + u(-2, 4), groove], [phi, phi + 45, 90, 135, 178],
                 long, u(0.45, 0.65), lm, lcx_share)  # fmt: skip
    if g.rng.random() < 0.25:
        g.grow("RI", [theta, theta + u(22, 30), theta + u(50, 80)], [phi, phi + u(22, 32), phi + u(30, 48)],
               u(35, 75), u(0.5, 0.8), lm, u(0.12, 0.3))  # fmt: skip
    _grow_lad_branches(g, lad)
    _grow_lcx_branches(g, lcx, dominance, long)
    return g.radius(4.5, 0.5)


def _grow_lad_branches(g: Grower, lad: int) -> None:
    """Diagonals, the first of which may leave early, and septals into the wall between the ventricles."""
    u = g.uniform
    first = 0.04 if g.rng.random() < 0.2 else 0.18
    for i in range(int(g.rng.integers(1, 4))):
        g.side(f"D{i + 1}", lad, first + 0.2 * i + u(0, 0.08), u(0.15, 0.32), (u(12, 20), u(35, 55)),
               (u(18, 30), u(25, 50)), u(35, 65))  # fmt: skip
    for i in range(int(g.rng.integers(0, 5))):
        g.side(f"S{i + 1}", lad, 0.15 + 0.13 * i + u(0, 0.06), u(0.05, 0.12), (u(10, 16), u(18, 30)),
               (-u(6, 12), -u(12, 24)), u(18, 35), [0.0, -7.0, -u(12, 18)])  # fmt: skip


def _grow_lcx_branches(g: Grower, lcx: int, dominance: str, long: float) -> None:
    """Obtuse marginals, and what supplies the back of the heart where the left side does."""
    u = g.uniform
    for i in range(int(g.rng.integers(1, 4))):
        g.side(f"OM{i + 1}", lcx, (0.3 + 0.27 * i + u(0, 0.1)) * min(1.0, 75 / long), u(0.22, 0.4),
               (u(20, 28), u(45, 75)), (u(-2, 12), u(-4, 16)), u(35, 70))  # fmt: skip
    if dominance != "right":
        g.side("PL1", lcx, 0.85, u(0.25, 0.4), (u(20, 28), u(40, 65)), (u(-6, 6), u(-10, 10)), u(30, 55))
    if dominance == "left":
        g.side("PDA", lcx, 0.97, u(0.3, 0.5), (u(25, 32), u(60, 80)), (u(-4, 4), u(-6, 6)), u(45, 70))


def grow_right(g: Grower, dominance: str) -> float:
    """RCA with conus, right ventricular and acute marginal branches; PDA and posterolaterals unless left dominant.

    Returns the radius [mm] at the ostium.
    """
    u = g.uniform
    first = g.radius(3.9, 0.6) if dominance != "left" else g.radius(2.8, 0.5)
    groove, phi = u(66, 74), -u(15, 25)
    long = u(120, 140) if dominance != "left" else u(65, 90)
    rca = g.grow("RCA", [groove - u(24, 38), groove - 6, groove + 2, groove, groove + 1, groove],
                 [phi, phi - 24, -78, -112, -145, -182], long,
                 u(0.55, 0.75) if dominance != "left" else u(0.45, 0.6))  # fmt: skip
    if g.rng.random() < 0.8:
        g.side("CB", rca, u(0.03, 0.06), u(0.06, 0.12), (u(10, 16), u(20, 35)), (u(2, 8), u(6, 16)), u(20, 40))
    for i in range(int(g.rng.integers(1, 4))):
        name = "AM" if i == 0 else f"RV{i}"
        place = u(0.5, 0.6) if i == 0 else 0.12 + 0.14 * i + u(0, 0.06)
        g.side(name, rca, place, u(0.12, 0.25), (u(20, 28), u(40, 65)), (u(0, 12), u(0, 22)), u(30, 60))
    if dominance != "left":
        _grow_posterior(g, rca, dominance)
    return first


def _grow_posterior(g: Grower, rca: int, dominance: str) -> None:
    """PDA, and in a right-dominant heart the posterolaterals, from the end of the RCA."""
    u = g.uniform
    th, ph, _ = g.place(rca, -1)
    ph = ph - 360 if ph > 0 else ph
    g.grow("PDA", [th, th + 28, th + 80], [ph, -178 + u(-4, 4), -178 + u(-6, 6)], u(50, 80), u(0.55, 0.75), rca, 0.5)
    if dominance == "right":
        pl = g.grow("PL", [th, th + 5, th + 12], [ph, ph - u(16, 22), ph - u(35, 50)], u(30, 50), u(0.55, 0.75),
                    rca, u(0.4, 0.65))  # fmt: skip
        for i in range(int(g.rng.integers(1, 4))):
            g.side(f"PL{i + 1}", pl, 0.2 + 0.3 * i, u(0.3, 0.42), (u(20, 28), u(40, 55)), (-u(0, 6), -u(0, 12)),
                   u(25, 45))  # fmt: skip


def grow_twigs(g: Grower) -> None:
    """Vessels of the second to fourth order, D1a the first of D1; how many differs widely from tree to tree."""
    wanted = int(g.rng.integers(VESSELS[0], VESSELS[1] + 1))
    twigs: dict[int, int] = {}
    while len(g.branches) < wanted:
        nodes = np.array([len(b.points) for b in g.branches], float)
        nodes[nodes < BEARING] = 0
        parent = int(g.rng.choice(len(nodes), p=nodes / nodes.sum()))
        twigs[parent] = twigs.get(parent, -1) + 1
        g.twig(f"{g.branches[parent].label}{ascii_lowercase[twigs[parent]]}", parent)
