"""The matrix of verdicts: a line per claim, a column per data set and preset, the verdict of most seeds in a cell."""

import json

from harness.report.matrix import make_matrix


def put(place, **told):
    """A report with one verdict."""
    known = {"section": "4.3", "quote": "q", "note": "", "asserted": "row 2 beats row 1", "preset": "paper", "n": 5}
    place.mkdir(parents=True)
    (place / "claims.json").write_text(json.dumps([{**known, "data": "synthetic", "status": "supported", **told}]))


def test_claims_by_data_and_preset(tmp_path):
    put(tmp_path / "presets", quote="other", preset="released", status="smaller")
    put(tmp_path / "table2")
    put(tmp_path / "table2" / "shrec21", data="shrec21", status="undecided")
    put(tmp_path / "shrec21-table2", data="shrec21", status="contradicted", n=20)
    put(tmp_path / "table12", quote="never run", status="no data", n=0)
    matrix = make_matrix(tmp_path)
    assert list(matrix.columns) == [("shrec21", "paper"), ("synthetic", "paper"), ("synthetic", "released")]
    told = [(first["quote"], [cell and (cell["status"], cell["n"]) for cell in cells]) for first, cells in matrix.lines]
    assert told == [
        ("q", [("contradicted", 20), ("supported", 5), None]),
        ("other", [None, None, ("smaller", 5)]),
    ]


def test_an_older_report_is_left_out(tmp_path):
    put(tmp_path / "table2")
    (tmp_path / "table2" / "claims.json").write_text('[{"quote": "q", "status": "supported"}]')
    assert not make_matrix(tmp_path).lines
