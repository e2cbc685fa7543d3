"""Write docs/parameters.md from the config dataclasses. `test/test_config.py` checks that the page is current."""

from dataclasses import fields
from pathlib import Path

from autocar_ros import config

PAGE = Path(__file__).resolve().parents[1] / "docs" / "parameters.md"
HEAD = """# Parameters

Made from `autocar_ros/config.py` by `python tools/document_parameters.py`: the ROS parameters of the node of the same
name (FrameChoice: of segmentation; Simulation and Exposure: of simulator), with the same defaults and ranges. A wrong
value is refused with the reason. Lengths are in millimetres, as in the numerical core; everything on topics is in SI
units. *fixed*: read when the node is configured.
"""


def page() -> str:
    """The page as it should be."""
    stages = [c for name, c in vars(config).items() if isinstance(c, type) and name.endswith("Config")]
    return HEAD + "".join(_section(stage) for stage in stages)


def _section(stage: type) -> str:
    title = stage.__name__.removesuffix("Config")
    rows = "".join(_row(f) for f in fields(stage))
    summary = (stage.__doc__ or "").splitlines()[0]
    return f"\n## {title}\n\n{summary}\n\n| parameter | default | range | meaning |\n|---|---|---|---|\n{rows}"


def _row(f) -> str:
    meta = f.metadata
    low, high = ("" if v is None else f"{v:g}" for v in (meta["low"], meta["high"]))
    span = ", ".join(meta["choices"]) or (f"{low} .. {high}" if low or high else "")
    default = list(f.default) if isinstance(f.default, tuple) else f.default
    shown = f"`{default}`" if default != "" else "(empty)"
    fixed = " *(fixed)*" if meta["fixed"] else ""
    return f"| `{f.name}` | {shown} {meta['unit']} | {span} | {meta['doc']}{fixed} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
