"""``check``: everything that is wrong with a data set, from one reading of all its files."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from harness.data import synthetic
from harness.data.annotations import SPLITS
from harness.data.corrections import CORRECTIONS
from harness.data.findings import Findings
from harness.data.folder import pend_split
from harness.data.survey import Folder, Survey, examine, inspect_videos, open_folder
from harness.data.tools import comparing
from harness.data.tools.comparing import Seen
from harness.data.tools.facts import Facts, collect_facts
from harness.settings import Source


@dataclass(frozen=True)
class Checked:
    """What a data set holds, and all that was found."""

    name: str
    layout: str
    classes: tuple[str, ...]
    streams: tuple[str, ...]
    widths: tuple[int, ...]
    facts: dict[str, Facts]  # of the splits that have a sound video
    findings: Findings

    @property
    def sound(self) -> bool:
        """Whether nothing was found that changes results."""
        return all(finding.level == "warning" for finding in self.findings.found)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        splits, per_class = {}, {}
        for split, facts in self.facts.items():
            splits[split] = facts.as_json()
            per_class[split] = dict(zip(self.classes, facts.per_class.tolist()))
        return {
            "name": self.name,
            "layout": self.layout,
            "streams": dict(zip(self.streams, self.widths)),
            "splits": splits,
            "instances_per_class": per_class,
            "sound": self.sound,
            "findings": [asdict(finding) for finding in self.findings.found],
        }


def check_source(source: Source, tick: Callable[[int, int], None]) -> Checked:
    """Read a data set whole; ``tick(done, all)`` is called after each video. DataError where there is none."""
    findings = Findings()
    if source.name == "synthetic":
        pending = synthetic.pend(source)
        facts = {split: collect_facts(getattr(pending, split).split) for split in SPLITS}
        return Checked(pending.name, "embedded", pending.classes, pending.streams, pending.widths, facts, findings)
    folder = open_folder(source)
    found = examine(folder, findings)
    name = folder.path.resolve().name
    if found is None:
        return Checked(name, folder.layout, (), folder.streams, (), {}, findings)
    check_known(folder, found, findings)
    read_numbers(folder, found, findings, tick)
    facts = {s: collect_facts(pend_split(folder, s, found).split) for s in SPLITS if found.lengths[s].any()}
    return Checked(name, folder.layout, found.annotations.classes, folder.streams, found.widths, facts, findings)


def check_known(folder: Folder, found: Survey, findings: Findings) -> None:
    """Videos that a public data set is known to annotate wrongly."""
    for data, known in CORRECTIONS.items():
        here = {video.id for split in SPLITS for video in found.annotations.videos[split]}
        for video, why in known.excluded.items():
            if video in here:
                cure = f"`source.knobs.corrections: {data}` leaves it out"
                findings.defect(folder.path, f"{why}; {cure}", f"video '{video}'")


def read_numbers(folder: Folder, found: Survey, findings: Findings, tick: Callable[[int, int], None]) -> None:
    """Read every feature once and compare the videos with each other."""
    seen, total = list[Seen](), sum(len(lengths) for lengths in found.lengths.values())
    for split in SPLITS:
        for video, parts, contents in inspect_videos(folder, found, split, findings):
            seen.append(Seen(split, video.id, parts, contents))
            tick(len(seen), total)
    comparing.check_copies(seen, findings)
    comparing.check_constant(seen, folder, findings)
    comparing.check_order(seen, folder.streams, findings)
