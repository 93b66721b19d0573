"""The report card: a front page of all studies, their claims, and how many of them hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import study
from harness.claims import verdicts as claims
from harness.claims import wording
from harness.errors import ConfigError
from harness.report.matrix import Matrix, make_matrix
from harness.report.page import make_environment
from harness.report.reading import read_grown_records
from harness.report.writing import write_report
from harness.store.files import read_json, write_text
from harness.store.records import Records
from harness.study.presets import STUDIES
from harness.track.stamps import read_addresses

if TYPE_CHECKING:
    from harness.study import Study


@dataclass(frozen=True)
class Card:
    """One study on the front page; ``link`` is its own page, relative to reports/, empty where it has none."""

    study: "Study"
    verdicts: Sequence[claims.Verdict]
    counts: Mapping[str, int]
    done: int
    runs: int
    link: str


@dataclass(frozen=True)
class Other:
    """A report of other data or presets that lies beside those of the card."""

    name: str
    link: str
    counts: Mapping[str, int]


def write_card(options: Mapping[str, Any]) -> Path:
    """Render every study (searches have their own report) and reports/index.html, or index-<scope>.html."""
    root: Path = options["root"]
    cards = [make_card(read_grown_records(one, root)) for one in load_studies(options)]
    place = root / "reports"
    path = place / f"{'-'.join(['index', *list_scope(options)])}.html"
    shown = {card.link for card in cards}
    others = [other for other in find_others(place) if other.link not in shown]
    write_text(path, format_card(cards, describe_scope(cards), others, make_matrix(place)))
    return path


def format_card(cards: Sequence[Card], scope: str, others: Sequence[Other], matrix: Matrix) -> str:
    """The report card: all studies, their claims and how many hold; ``others``: reports of other data or presets."""
    total = {status: sum(card.counts[status] for card in cards) for status in claims.STATUSES}
    words = wording.words_of([verdict for card in cards for verdict in card.verdicts])
    bed = any(card.done and claims.synthetic(card.study) for card in cards)
    page = make_environment().get_template("index.html")
    return page.render(cards=cards, total=total, words=words, scope=scope, others=others, synthetic=bed, matrix=matrix)


def load_studies(options: Mapping[str, Any]) -> list["Study"]:
    """Every study of ``studies/``; ConfigError lists all that is wrong."""
    loaded, errors = [], []
    for path in sorted(STUDIES.glob("*.yaml"), key=rank_study):
        try:
            loaded.append(study.load(path, **options))
        except ConfigError as error:
            errors += error.errors
    if errors:
        raise ConfigError(list(dict.fromkeys(errors)))
    return [one for one in loaded if not one.search]


def rank_study(path: Path) -> tuple[int, Path]:
    """Tables first, in their order."""
    return (len(path.stem) if "table" in path.stem else 99), path


def make_card(records: Records) -> Card:
    """One study on the front page, its own page written where it has results or reported rows."""
    one, root = records.study, records.root
    done = sum(record.finished for record in records.records)
    verdicts: Sequence[claims.Verdict] = ()
    link = ""
    if done or one.reported:
        report = write_report(records, read_addresses(one, root))
        link = (report.folder / "report.html").relative_to(root / "reports").as_posix()
        verdicts = report.verdicts if done else ()
    return Card(one, verdicts, wording.count_statuses(verdicts), done, len(records.records), link)


def list_scope(options: Mapping[str, Any]) -> list[str]:
    """What tells the file of a card of other data, base or scale from the usual one."""
    data, base = options.get("data"), options.get("base")
    named = [Path(data).resolve().name if data else "", Path(base).stem if base else ""]
    return [part for part in [*named, "quick" if options.get("quick") else ""] if part]


def describe_scope(cards: Sequence[Card]) -> str:
    """Data, presets and numbers of seeds of a card."""
    measured = [card.study for card in cards if card.done]
    data = ", ".join(dict.fromkeys(one.data for one in measured)) or "nothing yet"
    bases = ", ".join(dict.fromkeys(Path(one.base).stem for one in measured))
    return f"Measured on {data}" + (f"; preset {bases}." if bases else ".")


def find_others(place: Path) -> list[Other]:
    """Reports that lie under ``place``, with what became of their claims."""
    out = []
    for path in sorted(place.glob("**/report.html")):
        verdicts = read_json(path.with_name("claims.json")) or []
        statuses = [verdict["status"] for verdict in verdicts]
        counts = {status: statuses.count(status) for status in claims.STATUSES}
        name = path.parent.relative_to(place).as_posix()
        out.append(Other(name, f"{name}/report.html", counts))
    return out
