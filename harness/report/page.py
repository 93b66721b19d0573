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
from harness.errors import ConfigError
from harness.report import layout, notation, provenance, tables
from harness.store import files
from harness.study import keys, presets
from harness.track.stamps import read_addresses

if TYPE_CHECKING:
    from harness.study import Study

HALF, WIDTH, HEIGHT = 78, 164, 22  # of an interval's picture, in pixels
MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}


@cache
def environment() -> Environment:
    """Templates with the filters they use; everything is escaped."""
    out = Environment(
        loader=PackageLoader("harness.report", "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    out.filters["evidence"] = claims.evidence_text
    out.filters["symbols"] = lambda text: Markup(notation.html(text))  # escapes before it marks up
    out.filters["inline"] = inline
    out.filters["decimals"] = stats.decimals
    out.filters["whisker"] = whisker
    return out


def dumps(content: Any) -> str:
    """JSON for people."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def inline(path: Path) -> str:
    """A picture as a data address."""
    return f"data:{MEDIA[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def whisker(v: claims.Verdict) -> Markup:
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


def pictures(drawn: Sequence[Path]) -> list[dict[str, Any]]:
    """Figures to show, one format of each, with the title and caption that lie beside them as JSON."""
    chosen: dict[str, Path] = {}
    for path in sorted((p for p in drawn if p.suffix in MEDIA), key=lambda p: p.suffix == ".svg"):
        chosen.setdefault(path.stem, path)
    out = []
    for path in chosen.values():
        about = files.read_json(path.with_suffix(".json")) or {}
        out.append({"path": path, "title": about.get("title", path.stem), "caption": about.get("caption", "")})
    return out


def report(
    study: "Study",
    table: Sequence[layout.Cell],
    verdicts: Sequence[claims.Verdict],
    notes: Sequence[str],
    drawn: Sequence[Path],
    root: Path,
) -> str:
    """The page of one study."""
    shown = layout.layout(study, table)
    return (
        environment()
        .get_template("report.html")
        .render(
            study=study,
            shown=shown,
            groups=tables.groups(shown.heads),
            verdicts=verdicts,
            counts=claims.counts(verdicts),
            words=claims.words_of(verdicts),
            scope=claims.scope(study, [row.number for row in study.rows]),
            synthetic=claims.synthetic(study),
            notes=notes,
            pictures=pictures(drawn),
            cells=table,
            settings=settings(study),
            facts=provenance.facts(study, root),
            changes=provenance.changes(),
            links=provenance.links(study, read_addresses(study, root)),
        )
    )


def settings(study: "Study") -> dict[str, Any]:
    """Settings beside those of the preset: what all rows share, what varies between rows, and everything."""
    flat = [keys.flat(row.settings) for row in study.rows]
    names = list(dict.fromkeys(name for values in flat for name in values))
    preset = base_values(study.base)
    columns = {name: [str(values.get(name, "")) for values in flat] for name in names}
    varies = {name: found for name, found in columns.items() if len(set(found)) > 1}
    same = {name: found[0] for name, found in columns.items() if name not in varies}
    common = [(name, preset.get(name, ""), value) for name, value in same.items() if value != preset.get(name, "")]
    return {"preset": preset, "common": common, "varies": varies, "all": same}


def base_values(base: str) -> dict[str, str]:
    """Settings of a preset as text; empty for one that lies beside its study."""
    try:
        return {name: str(value) for name, value in keys.flat(presets.preset(base)).items()}
    except ConfigError:
        return {}


def front(cards: Sequence[Mapping[str, Any]], scope: str, others: Sequence[Mapping[str, Any]]) -> str:
    """The report card: all studies, their claims and how many hold; ``others``: reports of other data or presets."""
    total = {status: sum(card["counts"][status] for card in cards) for status in claims.STATUSES}
    words = claims.words_of([verdict for card in cards for verdict in card["verdicts"]])
    bed = any(card["done"] and claims.synthetic(card["study"]) for card in cards)
    page = environment().get_template("index.html")
    return page.render(cards=cards, total=total, words=words, scope=scope, others=others, synthetic=bed)
