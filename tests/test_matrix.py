"""The matrix of verdicts: a line per claim, a column per data set and preset, the verdict of most seeds in a cell."""

import json

from harness.report.matrix import format_markdown, make_matrix

WORDS = {
    "supported": "appears on the test bed",
    "smaller": "smaller than claimed",
    "undecided": "undecided",
    "contradicted": "contradicted",
    "no data": "no data",
}


def put(place, **told):
    """A report with one verdict."""
    known = {"section": "4.3", "quote": "q", "note": "", "asserted": "row 2 beats row 1 on mAP", "preset": "paper"}
    known |= {"brief": "SCC on mAP (row 2 over 1)", "claimed": 2.0, "words": WORDS[told.get("status", "supported")]}
    known |= {"n": 5, "delta": 1.25, "contrast": "a"}
    place.mkdir(parents=True)
    (place / "claims.json").write_text(json.dumps([{**known, "data": "synthetic", "status": "supported", **told}]))


def test_claims_by_data_and_preset(tmp_path):
    put(tmp_path / "presets", quote="other", preset="released", status="smaller")
    put(tmp_path / "table2")
    put(tmp_path / "table2" / "shrec21", data="shrec21", status="undecided")
    put(tmp_path / "shrec21-table2", data="shrec21", status="contradicted", n=20)
    put(tmp_path / "table12", quote="never run", status="no data", n=0)
    matrix = make_matrix(tmp_path)
    assert list(matrix.columns) == [("synthetic", "paper"), ("synthetic", "released"), ("shrec21", "paper")]
    told = [(first["quote"], [cell and (cell["status"], cell["n"]) for cell in cells]) for first, cells in matrix.lines]
    assert told == [
        ("q", [("supported", 5), None, ("contradicted", 20)]),
        ("other", [None, ("smaller", 5), None]),
    ]
    assert format_markdown(matrix).splitlines()[2] == (
        "| SCC on mAP: \u201cq\u201d, +2 | appears, +1.2 (n 5) |  | contradicted, +1.2 (n 20) |"
    )


def test_a_step_is_one_line_whatever_numbers_its_rows_have(tmp_path):
    put(tmp_path / "table2", asserted="row 8 beats row 1 on mAP")
    put(tmp_path / "presets", asserted="row 4 beats row 3 on mAP", preset="released", contrast="b")
    assert [len([cell for cell in cells if cell]) for _, cells in make_matrix(tmp_path).lines] == [2]
    put(tmp_path / "table3", asserted="row 2 beats row 1 on mAP", contrast="c")
    lines = make_matrix(tmp_path).lines
    assert sorted(first["asserted"][:15] for first, _ in lines) == [f"row {a} beats row" for a in (2, 4, 8)], (
        "two contrasts on the same data and preset"
    )


def test_an_older_report_is_left_out(tmp_path):
    put(tmp_path / "table2")
    (tmp_path / "table2" / "claims.json").write_text('[{"quote": "q", "status": "supported"}]')
    assert not make_matrix(tmp_path).lines
