"""Statistics, strict JSON and the self-contained page."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from autocar_ros import __version__
from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.report import (
    Section,
    method_table,
    provenance,
    quantiles,
    spread,
    spreads,
    static_sections,
    write_html,
    write_json,
)


def test_spread_by_hand():
    assert spread([1.0, 2.0, 3.0, math.nan]) == {"mean": 2.0, "std": 1.0, "n": 3}
    assert spread([4.0]) == {"mean": 4.0, "std": None, "n": 1}
    assert spread([math.nan]) == {"mean": None, "std": None, "n": 0}


def test_spreads_over_the_cases_that_have_a_metric():
    found = spreads([{"dice": 0.5, "ghosts": 0.1}, {"dice": 0.7}])
    assert found["dice"]["mean"] == pytest.approx(0.6)
    assert found["ghosts"] == {"mean": 0.1, "std": None, "n": 1}


def test_quantiles_by_hand():
    result = quantiles(range(101))
    assert result == {"median": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0, "n": 101}
    assert quantiles([])["median"] is None


def test_provenance_names_seed_version_and_machine():
    origin = provenance(7)
    assert origin["seed"] == 7
    assert origin["version"] == __version__
    assert origin["machine"]["cores"] >= 1
    assert origin["machine"]["memory_gb"] > 0


def test_json_is_strict_and_takes_numpy(tmp_path):
    path = tmp_path / "new" / "metrics.json"
    write_json(path, {"nan": math.nan, "inf": [np.float64("inf")], "n": np.int64(3), 5: {"x": np.float32(0.5)}})
    assert json.loads(path.read_text()) == {"nan": None, "inf": [None], "n": 3, "5": {"x": 0.5}}


def test_table_of_methods():
    methods = {
        "lifting": {"dice": {"mean": 0.7, "std": 0.05, "n": 4}},
        "visual_hull": {"dice": {"mean": 0.27, "std": None, "n": 1}, "hd95_mm": {"mean": None, "std": None, "n": 0}},
    }
    console = Console(width=60)
    with console.capture() as capture:
        console.print(method_table(methods))
    text = capture.get()
    assert "0.7 ± 0.05" in text
    assert "0.27" in text
    assert "hd95_mm" in text


def test_page_is_self_contained_and_escapes(tmp_path):
    picture = tmp_path / "x.png"
    Figure().savefig(picture)
    page = tmp_path / "report.html"
    section = Section("a < b", "text & more", {"recall": 0.61234567, "none": None}, [(picture, "x > y")])
    write_html(page, "Report <1>", [section])
    text = page.read_text()
    assert "a &lt; b" in text
    assert "0.6123" in text
    assert "data:image/png;base64,iVBOR" in text
    assert 'src="x.png' not in text
    assert "not a medical device" in text


def test_table_with_columns(tmp_path):
    write_html(tmp_path / "r.html", "t", [Section("s", table={"dice": [0.5, None]}, columns=("a", "<b>"))])
    text = (tmp_path / "r.html").read_text()
    assert "<th></th><th>a</th><th>&lt;b&gt;</th>" in text
    assert "<td>dice</td><td>0.5</td><td>-</td>" in text


def test_static_report_has_every_method_and_the_papers_figures(tmp_path):
    methods = {
        "sbp": {"dice": {"mean": 0.8, "std": 0.1, "n": 3}},
        "hull": {"dice": {"mean": 0.2, "std": 0.1, "n": 3}},
    }
    write_html(tmp_path / "r.html", "t", static_sections({"cases": 3}, methods, []))
    text = (tmp_path / "r.html").read_text()
    assert "<td>dice</td><td>0.8 ± 0.1</td><td>0.2 ± 0.1</td>" in text
    assert "12.64" in text
    assert "not a comparison" in text


def test_page_names_a_missing_picture(tmp_path):
    with pytest.raises(InvalidInputError, match=r"gone\.png"):
        write_html(tmp_path / "r.html", "t", [Section("s", pictures=[(tmp_path / "gone.png", "")])])
