"""The printed numbers of the paper, against themselves: averages of their cells, and tables that repeat each other."""

from functools import cache
from math import fsum

import pytest

from harness import study
from harness.study.presets import STUDIES

AVERAGES = {"AVG 0.1:0.5": (1, 5), "AVG 0.3:0.7": (3, 7), "AVG": (1, 7)}
ROUNDING = 0.1 + 1e-9  # cells are rounded to 0.1, and so is their mean
EXCEPTIONS = {("RCL", "AVG 0.3:0.7")}  # 57.1 is printed; its cells average 51.7


@cache
def loaded(name: str) -> study.Study:
    return study.load(STUDIES / f"{name}.yaml")


def printed(name: str) -> dict[str, dict[str, float | None]]:
    """Label -> printed numbers of all rows, reported ones first."""
    found = loaded(name)
    return {line["label"]: dict(line["paper"]) for line in found.reported} | {
        row.label: dict(row.paper) for row in found.rows
    }


def cells(paper: dict[str, float | None], first: int, last: int) -> list[float | None]:
    return [paper.get(f"0.{i}") for i in range(first, last + 1)]


def wrong_averages(lines: dict[str, dict[str, float | None]]) -> tuple[set[tuple[str, str]], int]:
    """(row, average) whose printed value is not the mean of its printed cells, and how many could be recomputed."""
    wrong, count = set(), 0
    for label, paper in lines.items():
        for name, span in AVERAGES.items():
            values, value = cells(paper, *span), paper.get(name)
            if value is None or None in values:
                continue
            count += 1
            if abs(fsum(values) / len(values) - value) > ROUNDING:
                wrong.add((label, name))
    return wrong, count


def test_printed_averages_are_the_means_of_their_cells():
    wrong, count = wrong_averages(printed("table1"))
    assert count > 40
    assert wrong == EXCEPTIONS


def test_a_wrong_digit_would_be_seen():
    lines = printed("table1")
    lines["CASE"]["0.4"] += 1
    assert ("CASE", "AVG") in wrong_averages(lines)[0]


def test_dgam_s_average_stands_in_another_column():
    """37.0 is printed under 0.1:0.5; it is the mean over 0.1:0.7, and the draft's column is left empty."""
    paper = printed("table1")["DGAM"]
    assert fsum(cells(paper, 1, 7)) / 7 == pytest.approx(37.0, abs=ROUNDING)
    assert paper["AVG 0.1:0.5"] is None


def test_measured_methods_carry_the_numbers_that_are_reported():
    found = loaded("table1")
    reported = {line["label"]: dict(line["paper"]) for line in found.reported}
    both = [row for row in found.rows if row.label in reported]
    assert len(both) == 11
    for row in both:
        assert dict(row.paper) == reported[row.label]


@pytest.mark.parametrize("name", ["table1", "table7", "table8"])
def test_an_empty_cell_among_printed_ones_says_why(name):
    """Damaged digits are left empty with a note; a method that printed nothing there is told apart by its dash."""
    damaged = [line for line in loaded(name).reported if all(v is None for v in line["paper"].values())]
    assert all(line.get("note") for line in damaged)


SAME = [  # (study, row, column) that print, and train, the same
    (("table2", 8, "mAP"), ("table1", 2, "AVG")),
    (("table2", 8, "mAP"), ("table12", 2, "AVG")),
    (("table2", 8, "mAP"), ("table4", 4, "mAP")),
    (("table2", 8, "mAP"), ("table5", 1, "fused")),
    (("table2", 8, "mAP"), ("table10", 6, "mAP")),
    (("table2", 7, "mAP"), ("table5", 1, "P^A")),
    (("table2", 6, "mAP"), ("table10", 1, "mAP")),
    (("table2", 1, "mAP"), ("table1", 1, "AVG")),
    (("table2", 1, "mAP"), ("table9", 3, "mAP")),
    (("table2", 1, "mAP"), ("table12", 1, "AVG")),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=lambda place: "-".join(map(str, place)))
def test_tables_that_repeat_a_row_agree_and_train_it_once(one, other):
    (a, row, column), (b, line, head) = one, other
    assert loaded(a).rows[row - 1].paper[column] == loaded(b).rows[line - 1].paper[head]
    keys = [{r.training_key for r in loaded(s).runs if r.row == n} for s, n in ((a, row), (b, line))]
    assert keys[0] & keys[1]


def test_table_3_is_swept_on_row_2():
    papers = {row.label: row.paper["mAP"] for row in loaded("table3").rows}
    table2 = loaded("table2").rows
    assert [v for k, v in papers.items() if k.endswith("16")] == [table2[1].paper["mAP"]]
    assert next(iter(papers.values())) == table2[0].paper["mAP"]


def test_claims_quote_the_paper():
    """At least 25 claims over all studies, each with the paper's words and where they stand."""
    names = [path.stem for path in sorted(STUDIES.glob("*.yaml")) if not path.stem.startswith("search_")]
    claims = [claim for name in names for claim in loaded(name).claims]
    assert len(claims) >= 25
    assert all(claim.quote and claim.section for claim in claims)
