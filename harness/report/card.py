"""The report card: a front page of all studies, their claims, and how many of them hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import study
from harness.claims import verdicts as claims
from harness.claims import wording
from harness.claims.reading import read_grown_records
from harness.errors import ConfigError
from harness.report.figures import Say, ignore
from harness.report.matrix import Matrix, format_markdown, make_matrix
from harness.report.page import make_environment
from harness.report.writing import write_report
from harness.store.files import read_json, write_text
from harness.store.records import Records
from harness.study.presets import STUDIES
from harness.track.pages import read_addresses

if TYPE_CHECKING:
    from harness.study import Study

NO_DATA = "no data"


@dataclass(frozen=True)
class Card:
    """One study on the front page; ``link`` is its own page, relative to reports/, empty where it has none."""

    study: "Study"
    verdicts: Sequence[claims.Verdict]
    counts: Mapping[str, int]
    done: int
    runs: int
    link: str

    @property
    def unmeasured(self) -> int:
        """Claims without data: all of a study that was not run."""
        return self.counts[NO_DATA] if self.verdicts else len(self.study.claims)


@dataclass(frozen=True)
class Contrast:
    """What is compared, judged once; ``places`` are the (title, link) of the studies that assert it."""

    verdict: claims.Verdict
    places: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Other:
    """A report of other data or presets that lies beside those of the card."""

    name: str
    link: str
    counts: Mapping[str, int]


def write_card(options: Mapping[str, Any], say: Say = ignore) -> tuple[Path, list[Card]]:
    """Render every study (searches have their own report) and reports/index.html, or index-<scope>.html.

    matrix.md beside it is its matrix of verdicts.
    """
    root: Path = options["root"]
    cards = []
    for one in load_studies(options):
        say(f"rendering {one.name}")
        cards.append(make_card(read_grown_records(one, root), say))
    place = root / "reports"
    path = place / f"{'-'.join(['index', *list_scope(options)])}.html"
    shown = {card.link for card in cards}
    others = [other for other in find_others(place) if other.link not in shown]
    matrix = make_matrix(place)
    write_text(path, format_card(cards, describe_scope(cards), others, matrix))
    write_text(place / "matrix.md", format_markdown(matrix))
    return path, cards


def format_card(cards: Sequence[Card], scope: str, others: Sequence[Other], matrix: Matrix) -> str:
    """The report card: all studies, each contrast with its verdict; ``others``: reports of other data or presets."""
    contrasts = list_contrasts(cards)
    measured = [contrast.verdict for contrast in contrasts]
    shown = [status for status, number in wording.count_statuses(measured).items() if number]
    sentences = {(verdict.section, verdict.quote) for verdict in measured}
    totals = [(data, wording.count_statuses(of), wording.words_of(of)) for data, of in list_totals(contrasts).items()]
    synthetic = any(card.done and claims.synthetic(card.study) for card in cards)
    page = make_environment().get_template("index.html")
    return page.render(
        cards=cards,
        contrasts=contrasts,
        totals=totals,
        shown=shown,
        sentences=len(sentences),
        unmeasured=sum(card.unmeasured for card in cards),
        scope=scope,
        others=others,
        matrix=matrix,
        synthetic=synthetic,
    )


def list_contrasts(cards: Sequence[Card]) -> list[Contrast]:
    """Each contrast that has data once, with the studies that assert it."""
    found: dict[str, Contrast] = {}
    for card in cards:
        for number, verdict in enumerate(card.verdicts):
            if verdict.status == NO_DATA:
                continue
            key = verdict.contrast or f"{card.study.name} {number}"
            before = found.get(key, Contrast(verdict, ()))
            place = (card.study.title, f"{card.link}#claims")
            places = before.places if place in before.places else (*before.places, place)
            found[key] = Contrast(before.verdict, places)
    return list(found.values())


def list_totals(contrasts: Sequence[Contrast]) -> dict[str, list[claims.Verdict]]:
    """Data set -> the verdicts on it."""
    found: dict[str, list[claims.Verdict]] = {}
    for contrast in contrasts:
        found.setdefault(contrast.verdict.data, []).append(contrast.verdict)
    return found


def load_studies(options: Mapping[str, Any]) -> list["Study"]:
    """Every study of ``studies/``, and of ``studies/real/`` unless other data are asked for; ConfigError lists all that
    is wrong."""
    loaded, errors = [], []
    real = () if options.get("data") or options.get("quick") else sorted((STUDIES / "real").glob("*.yaml"))
    for path in (*sorted(STUDIES.glob("*.yaml"), key=rank_study), *real):
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


def make_card(records: Records, say: Say = ignore) -> Card:
    """One study on the front page, its own page written where it has results or reported rows."""
    one, root = records.study, records.root
    done = sum(record.finished for record in records.records)
    verdicts: Sequence[claims.Verdict] = ()
    link = ""
    if done or one.reported:
        report = write_report(records, read_addresses(one, root), say=say)
        link = (report.folder / "report.html").relative_to(root / "reports").as_posix()
        verdicts = report.verdicts if done else ()
    return Card(
        one, verdicts, wording.count_statuses(wording.list_distinct(verdicts)), done, len(records.records), link
    )


def list_scope(options: Mapping[str, Any]) -> list[str]:
    """What tells the file of a card of other data, base or scale from the usual one."""
    scope = []
    if options.get("data"):
        scope.append(Path(options["data"]).resolve().name)
    if options.get("base"):
        scope.append(Path(options["base"]).stem)
    return [*scope, "quick"] if options.get("quick") else scope


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
