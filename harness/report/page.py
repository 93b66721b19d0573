"""Reports as self-contained HTML pages: no network, readable on a laptop and in print."""

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from harness.claims import statistics as stats
from harness.claims import verdicts as claims
from harness.claims import wording
from harness.errors import ConfigError
from harness.report import provenance
from harness.report.content import Report
from harness.report.datasets import list_holdings
from harness.report.layout import FIGURE_SPACE, group_heads, lay_out
from harness.report.matrix import name_line, shorten_words
from harness.report.notation import format_html, spell_settings
from harness.store.records import find_differences
from harness.study import keys, presets

if TYPE_CHECKING:
    from harness.study import Study

HALF, WIDTH, HEIGHT = 78, 164, 22  # of an interval's picture, in pixels
MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}


@cache
def make_environment() -> Environment:
    """Templates with the filters they use; everything is escaped."""
    out = Environment(
        loader=PackageLoader("harness.report", "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    out.filters["evidence"] = wording.evidence_text
    out.filters["symbols"] = lambda text: Markup(format_html(spell_settings(text)))  # escapes before it marks up
    out.filters["inline"] = inline_picture
    out.filters["counted"] = wording.count_word
    out.filters["number"] = wording.say_number
    out.filters["decimals"] = stats.decimals
    out.filters["whisker"] = draw_whisker
    out.filters["spread"] = mark_spread
    out.filters["line_name"] = name_line
    out.filters["short_words"] = shorten_words
    return out


def dump_json(content: Any) -> str:
    """JSON for people."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def inline_picture(path: Path) -> str:
    """A picture as a data address."""
    return f"data:{MEDIA[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def mark_spread(text: str) -> Markup:
    """A cell; on a narrow screen its standard deviation stands beneath the mean, and nothing keeps room for it."""
    mean, sign, spread = text.partition(" ± ")
    if text.endswith(FIGURE_SPACE):
        shown = text.rstrip(f" {FIGURE_SPACE}")
        return Markup(f'{format_html(shown)}<span class="pad">{text[len(shown) :]}</span>')
    behind = f'<span class="spread"> ± {format_html(spread)}</span>' if sign else ""
    return Markup(format_html(mean) + behind)


def draw_whisker(v: claims.Verdict) -> Markup:
    """A verdict's interval as a picture: dashed at 0, a dot at the mean, a diamond at the claimed size."""
    if not isfinite(v.low):
        return Markup("")
    span = max(abs(v.low), abs(v.high), abs(v.claimed or 0)) * 1.06 or 1.0
    middle, zero = HEIGHT // 2, WIDTH // 2
    low, high, mean, claimed = (round(zero + HALF * (x or 0) / span, 1) for x in (v.low, v.high, v.delta, v.claimed))
    parts = [
        f'<line x1="{zero}" y1="1" x2="{zero}" y2="{HEIGHT - 1}" class="zero"/>',
        f'<line x1="{low}" y1="{middle}" x2="{high}" y2="{middle}" class="interval"/>',
        f'<circle cx="{mean}" cy="{middle}" r="4" class="mean"/>',
    ]
    if v.claimed is not None:
        parts.append(f'<path d="M{claimed} {middle - 6}l4 6l-4 6l-4 -6z" class="claimed"/>')
    frame = f'class="whisker {v.status}" width="{WIDTH}" height="{HEIGHT}" role="img"'
    return Markup(f"<svg {frame}>{''.join(parts)}</svg>")


def format_page(report: Report, links: Mapping[str, str]) -> str:
    """The page of one study; ``links``: identity of a run -> address of its page."""
    study, verdicts = report.records.study, report.verdicts
    shown = lay_out(study, report.cells)
    distinct = wording.list_distinct(verdicts)
    compared = [cell for cell in report.cells if cell.summary.n]
    published = any(cell.paper is not None for cell in report.cells)
    correction = verdicts[0].correction if verdicts else ""
    page = make_environment().get_template("report.html")
    return page.render(
        report=report,
        up="../" * len(report.folder.relative_to(report.records.root / "reports").parts),
        study=study,
        shown=shown,
        groups=group_heads(shown.heads),
        counts=wording.count_statuses(distinct),
        words=wording.words_of(verdicts),
        contrasts=len(distinct),
        scope=claims.scope(study, [row.number for row in study.rows]),
        synthetic=claims.synthetic(study),
        compared=compared,
        published=published,
        correction=correction,
        holdings=list(list_holdings(report.records)),
        settings=compare_settings(study),
        facts=provenance.list_facts(report.records),
        changes=provenance.list_changes(),
        links=provenance.list_links(study, links),
    )


def compare_settings(study: "Study") -> dict[str, Any]:
    """Settings beside those of the preset: what all rows share, what varies between rows, and everything."""
    preset, differing = read_preset(study.base), find_differences(study.rows)
    names = next(iter(differing.values()))
    varies = {}
    for name in names:
        varies[name] = [name_setting(row[name]) for row in differing.values()]
    first = keys.flat(study.rows[0].settings)
    same = {name: name_setting(value) for name, value in first.items() if name not in varies}
    common = [(name, preset.get(name, ""), value) for name, value in same.items() if value != preset.get(name, "")]
    own = {row.number: list_own(row.number - 1, varies, preset) for row in study.rows}
    return {"preset": preset, "common": common, "varies": varies, "own": own, "all": same}


def list_own(position: int, varies: Mapping[str, Sequence[str]], preset: Mapping[str, str]) -> list[tuple[str, str]]:
    """The settings of the row at ``position`` that it has and that are not the preset's."""
    mine = [(name, values[position]) for name, values in varies.items()]
    return [(name, value) for name, value in mine if value not in {"", preset.get(name, "")}]


def name_setting(value: Any) -> str:
    """A setting's value as text; nothing where a row has none."""
    return "" if value is None else str(value)


def read_preset(base: str) -> dict[str, str]:
    """Settings of a preset as text; empty for one that lies beside its study."""
    try:
        return {name: name_setting(value) for name, value in keys.flat(presets.load_preset(base)).items()}
    except ConfigError:
        return {}
