"""Tables: golden small ones in every format, the layouts of the paper, and its symbols."""

import csv
import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from rich.console import Console

from harness import study
from harness.claims import statistics as stats
from harness.report import latex, layout, notation, tables, terminal
from harness.report.notes import list_notes
from harness.sources import HOME

from support import stores

VALUES = {
    (1, "mAP"): [38.0, 40.0],
    (1, "H"): [0.5, 0.7],
    (2, "mAP"): [39.0, 41.5],
    (2, "H"): [0.25, np.nan],
    (3, "mAP"): [np.nan, np.nan],
    (3, "H"): [np.nan, np.nan],
}
CSV = """\
row,label,metric,paper,mean,std,n,delta,ci_low,ci_high,p
1,baseline,mAP,38.3,39,1.41421,2,,,,
1,baseline,H,2.77,0.6,0.141421,2,,,,
2,SCC,mAP,40.3,40.25,1.76777,2,1.25,-1.92655,4.42655,0.125666
2,SCC,H,1.25,0.25,,1,-0.25,,,
3,SCC + CAT,mAP,46.2,,,0,,,,
3,SCC + CAT,H,,,,0,,,,
"""
MARKDOWN = """\
# A study with P^A & 100 % care

| Row | SCC | CAT | mAP | mAP (paper) | H | H (paper) | n |
| --: | :-: | :-: | --: | --: | --: | --: | --: |
| 1 |  |  | 39.0 ± 1.4 | 38.3 | 0.60 ± 0.14 | 2.77 | 2 |
| 2 | ✓ |  | **40.2** ± 1.8 | 40.3 | 0.25        (1/2) | 1.25 | 2 |
| 3 | ✓ | ✓ | – | **46.2** | – | – | 0 |

- a note
"""
LATEX = r"""% needs \usepackage{booktabs,amssymb,graphicx,threeparttable}
\begin{table}[tbp]
\centering
\begin{threeparttable}
\caption{A study with $P^{A}$ \& 100 \% care}
\label{tab:made}
\normalsize
\begin{tabular}{@{}cccrrrrr@{}}
\toprule
 &  &  & \multicolumn{2}{c}{mAP} & \multicolumn{2}{c}{H} &  \\
\cmidrule(lr){4-5}\cmidrule(lr){6-7}
Row & SCC & CAT & measured & paper & measured & paper & n \\
\midrule
1 &  &  & 39.0 $\pm$ 1.4 & 38.3 & 0.60 $\pm$ 0.14\phantom{000000} & 2.77 & 2 \\
2 & $\checkmark$ &  & \textbf{40.2} $\pm$ 1.8 & 40.3 & 0.25\phantom{0000000} (1/2) & 1.25 & 2 \\
3 & $\checkmark$ & $\checkmark$ & --\phantom{000000} & \textbf{46.2} & --\phantom{0000000000000} & -- & 0 \\
\bottomrule
\end{tabular}
\begin{tablenotes}[flushleft]\footnotesize
\item 100 \% of $\hat{P}^{A}$
\end{tablenotes}
\end{threeparttable}
\end{table}
"""
COMPARISON = """
title: Others
base: paper
seeds: {seeds}
reported:
  - {{label: First, venue: "CVPR'16", group: Full, paper: {{"0.5": 19.0, AVG: null}}}}
  - {{label: Second, venue: "CVPR'20", group: Weak, paper: {{"0.5": 28.8, AVG: 37.0}}}}
rows:
  - {{label: CASE, paper: {{"0.5": 37.7, AVG: 46.2}}}}
columns: {{"0.5": map/0.50, AVG: {{metric: map/avg, selection: best}}}}
"""
DOCUMENT = (
    r"\documentclass{article}\usepackage{booktabs,amssymb,graphicx,threeparttable}\begin{document}%s\end{document}"
)


@pytest.fixture
def two(tmp_path):
    """The study at two seeds and its cells."""
    loaded = stores.load(tmp_path, seeds="2")
    return loaded, tables.make_cells(stores.records(loaded, VALUES))


def test_csv(two):
    assert tables.format_csv(*two) == CSV


def test_markdown(two):
    assert tables.format_markdown(*two, ["a note"]) == MARKDOWN


def test_latex(two):
    assert latex.format_latex(*two, ["100 % of hat P^A"]) == LATEX


def test_terminal_shows_measured_beside_published(two):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(terminal.make_table(layout.lay_out(*two)))
    text = console.export_text()
    assert re.search(r"1\s+39\.0 ± 1\.4\s+38\.3\s+0\.60 ± 0\.14\s+2\.77\s+2", text)
    assert re.search(r"3\s+✓\s+✓\s+–\s+46\.2\s+–\s+–\s+0", text)


@pytest.mark.parametrize("width", [40, 50, 60])
def test_wide_table_is_set_in_parts_that_fit(two, width):
    """Each part begins with what names the rows; all numbers are there once, measured beside published."""
    console = Console(width=width, record=True, file=io.StringIO())
    parts = terminal.choose_tables(*two, console)
    for part in parts:
        console.print(part, crop=False)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert sum(line.split()[:3] == ["3", "✓", "✓"] for line in lines) == len(parts)
    text = "\n".join(lines)
    assert all(text.count(number) == 1 for number in ("39.0 ± 1.4", "0.60 ± 0.14", "2.77", "40.3"))


@pytest.mark.parametrize(("width", "differences"), [(80, 0), (100, 3)])
def test_table_2_is_one_table_in_a_usual_terminal(tmp_path, width, differences):
    """All columns at 80; the differences to the reference row, too, at 100."""
    loaded = study.load("table2", root=tmp_path, seeds=2)
    values = {(row.number, name): [40.0 + row.number, 42.5] for row in loaded.rows for name in ("mAP", "ACC", "AUC")}
    console = Console(width=width, record=True, file=io.StringIO())
    (table,) = terminal.choose_tables(loaded, tables.make_cells(stores.records(loaded, values)), console)
    console.print(table, crop=False)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert [text.count(head) for head in ("paper", "row 1")] == [2, differences]
    assert re.search(r"8 ✓ +✓ +✓ +✓ +✓ .* 46\.2 .* 77\.5 .* 2\s*$", re.sub(r" +", " ", text))


def test_table_1_is_one_table_at_100_columns(tmp_path):
    """Thirty rows beside what is reported, eleven columns of numbers; averages are not torn off."""
    loaded = study.load("table1", root=tmp_path, seeds=2)
    values = {(row.number, column.name): [40.0 + row.number, 42.5] for row in loaded.rows for column in loaded.columns}
    console = Console(width=100, record=True, file=io.StringIO())
    (table,) = terminal.choose_tables(loaded, tables.make_cells(stores.records(loaded, values)), console)
    console.print(table, crop=False)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 100
    (case,) = [line for line in lines if line.split()[:3] == ["2", "CASE", "measured"]]
    assert case.split()[3:] == [*["42.2"] * 11, "2"]


def test_comparison_has_the_papers_layout(tmp_path):
    loaded = stores.load(tmp_path, text=COMPARISON, seeds="2")
    cells = tables.make_cells(stores.records(loaded, {(1, "0.5"): [30, 32], (1, "AVG"): [40, 41]}))
    shown = layout.lay_out(loaded, cells)
    assert [head.name for head in shown.heads] == ["", "Row", "Method", "", "0.5", "AVG (test-selected)", "n"]
    assert [line.cells for line in shown.lines] == [
        ("Full", "", "First", "CVPR'16", "19.0", "–", ""),
        ("Weak", "", "Second", "CVPR'20", "28.8", "37.0", ""),
        ("Ours", "", "CASE", "published", "37.7", "46.2", ""),
        ("", "1", "CASE", "measured", "31.0 ± 1.4", "40.5 ± 0.7", "2"),
    ]
    lines = list(csv.DictReader(io.StringIO(tables.format_csv(loaded, cells))))
    assert [line["label"] for line in lines] == ["First", "First", "Second", "Second", "CASE", "CASE"]
    assert {line["metric"] for line in lines} == {"0.5", "AVG (test-selected)"}
    assert all(line["mean"] == "" for line in lines[:4]), "reported rows are never measured"
    assert latex.format_latex(loaded, cells, []).count(r"\midrule") == 3


def test_every_study_of_the_project_has_a_table(tmp_path):
    """Before anything has run, measured cells are dashes and published ones stand."""
    for path in sorted(HOME.glob("studies/*.yaml")):
        loaded = study.load(path, root=tmp_path)
        records = stores.records(loaded, {})
        cells = tables.make_cells(records)
        shown = layout.lay_out(loaded, cells)
        assert {len(line.cells) for line in shown.lines} == {len(shown.heads)}, path.name
        measured = [i for i, head in enumerate(shown.heads) if head.kind == "measured"]
        mine = [line for line in shown.lines if line.kind in {"ablation", "measured"}]
        assert {line.cells[i].strip(layout.FIGURE_SPACE) for line in mine for i in measured} == {"–"}
        text = latex.format_latex(loaded, cells, list_notes(records))
        assert text.isascii(), path.name
        assert text.count("{") == text.count("}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("seeds", [5, 3])  # where a study asks for more, or for five, some are missing
def test_latex_compiles_and_fits_the_page(seeds, tmp_path):
    parts, random = [], np.random.default_rng(0)
    for path in sorted(set(HOME.glob("studies/*.yaml")) - set(HOME.glob("studies/search_*.yaml"))):
        loaded = study.load(path, root=tmp_path)
        cells = [(row.number, column.name) for row in loaded.rows for column in loaded.columns]
        records = stores.records(loaded, {cell: 40 + 3 * random.normal(size=seeds) for cell in cells})
        parts.append(latex.format_latex(loaded, tables.make_cells(records), list_notes(records)) + r"\clearpage")
    (tmp_path / "all.tex").write_text(DOCUMENT % "\n".join(parts))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "too wide" not in done.stdout
    assert "Float too large" not in done.stdout


@pytest.mark.parametrize(
    ("text", "html", "tex"),
    [
        ("hat P^A", "<i>P\u0302</i><sup>A</sup>", r"$\hat{P}^{A}$"),
        (r"\hat P^A, --base", "<i>P\u0302</i><sup>A</sup>, --base", r"$\hat{P}^{A}$, -{}-base"),
        ("H(mean P^C)", "H(mean <i>P</i><sup>C</sup>)", r"H(mean $P^{C}$)"),
        ("beta^R = [0.5, 0.5]", "<i>β</i><sup>R</sup> = [0.5, 0.5]", r"$\beta^{R}$ = [0.5, 0.5]"),
        ("case.lambda_c = 0", "case.lambda_c = 0", r"case.lambda\_c = 0"),
        ("a < b & 5 %", "a &lt; b &amp; 5 %", r"a $<$ b \& 5 \%"),
        ("Hölder ± ✓", "Hölder ± ✓", r"Holder $\pm$ $\checkmark$"),
    ],
)
def test_notation(text, html, tex):
    assert notation.format_html(text) == html
    assert notation.format_latex(text) == tex


def test_a_column_has_one_number_of_decimals_and_bears_small_spreads():
    def cell(std):
        return layout.Cell(1, "", "mAP", None, None, stats.Summary(40.0, std, 5, 5), None, 1)

    assert layout.choose_digits([cell(1.4), cell(0.26), cell(2.0)]) == 1
    assert layout.choose_digits([cell(0.03), cell(0.02), cell(2.0)]) == 2
    assert layout.choose_digits([cell(0.0001), cell(0.0002)]) == 3
    assert layout.choose_digits([cell(np.nan), cell(0.0)]) == 1
    shown = [cell(1.4), cell(0.26), cell(12.0), cell(np.nan)]
    texts = layout.list_measured(shown, layout.find_fullest({"mAP": shown}))
    assert {len(text) for text in texts} == {len("40.0 ± 12.0")}
    assert {text.find("±") for text in texts} == {5, -1}


def test_differences_to_the_reference_row_are_signed(two):
    shown = layout.lay_out(*two, differences=True)
    at = [i for i, head in enumerate(shown.heads) if head.kind == "difference"]
    assert [[line.cells[i] for i in at] for line in shown.lines] == [["", ""], ["+1.2", "-0.25"], ["", ""]]


def test_wide_latex_has_standard_deviations_below_their_means(tmp_path):
    columns = ", ".join(f'"{t:.2f}": map/{t:.2f}' for t in np.arange(0.1, 0.95, 0.05))
    loaded = stores.load(
        tmp_path,
        text=f"base: paper\nseeds: {{seeds}}\nrows: [{{{{label: CASE}}}}]\ncolumns: {{{{{columns}}}}}\n",
        seeds="2",
    )
    values = {(1, column.name): [40.0, 42.0] for column in loaded.columns}
    text = latex.format_latex(loaded, tables.make_cells(stores.records(loaded, values)), [])
    assert text.count(r"$\pm$1.4") == len(loaded.columns)
    assert r"41.0 $\pm$" not in text
