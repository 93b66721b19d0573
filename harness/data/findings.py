"""What is wrong with a data set: every finding, in three degrees."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Level = Literal["error", "defect", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing found. "error": training refuses it; "defect": it changes results; "warning": worth knowing."""

    level: Level
    file: str
    entry: str  # the video, annotation or feature meant; empty: the whole file
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.entry, self.text) if part)


@dataclass
class Findings:
    """All findings of a reading, in the order in which they were made; safe to print, whatever the files hold."""

    found: list[Finding] = field(default_factory=list)

    def error(self, file: Path | str, text: str, entry: str = "") -> None:
        """Note what training refuses."""
        self.add("error", file, entry, text)

    def defect(self, file: Path | str, text: str, entry: str = "") -> None:
        """Note what changes results."""
        self.add("defect", file, entry, text)

    def warn(self, file: Path | str, text: str, entry: str = "") -> None:
        """Note what is worth knowing."""
        self.add("warning", file, entry, text)

    def add(self, level: Level, file: Path | str, entry: str, text: str) -> None:
        """Note a finding of this degree."""
        self.found.append(Finding(level, *map(escape_controls, (str(file), entry, text))))

    @property
    def errors(self) -> list[str]:
        """The errors as lines."""
        return [str(finding) for finding in self.found if finding.level == "error"]


def escape_controls(text: str) -> str:
    """``text`` with characters that a terminal would act on as Python writes them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
