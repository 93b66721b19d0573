"""Sentences of the paper that a study asks about: one small class per kind, with its fields, its rows and its words.

Here stands what a study file says; what a claim rests on is measured in ``harness.claims.evidence``. So a study is
loaded, and its mistakes told, without anything of statistics or of the run store.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from harness.study.parts import Names, Part, RowNumber

LEAST_MARGIN = 0.3  # mAP or ACC points; less than this would be read as no effect in any table


class Claim(Part):
    """A sentence and where it stands."""

    quote: str
    section: str
    also: str = ""
    note: str = ""
    unjudged: str = ""  # why the claim gets no verdict, where it says nothing that could turn out otherwise

    @property
    @abstractmethod
    def words(self) -> str:
        """What is asserted of rows and columns."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns that the claim speaks of."""

    @abstractmethod
    def row_numbers(self, count: int) -> tuple[int, ...]:
        """Rows that the claim speaks of, in a study of ``count`` rows."""


class Beats(Claim):
    """A row lies above another on a column, by so much where the paper says."""

    row: RowNumber
    beats: RowNumber
    on: str
    by: Annotated[float, Field(gt=0)] | None = None
    margin: Annotated[float, Field(gt=0)] | None = None  # an effect below it is smaller than claimed

    @property
    def least(self) -> float | None:
        """The effect below which the claim counts as smaller: by default half of what is claimed, 0.3 at least."""
        if self.margin is not None or self.by is None:
            return self.margin
        return max(self.by / 2, LEAST_MARGIN)

    @property
    def words(self) -> str:
        by = "" if self.by is None else f" by {self.by:g}"
        return f"row {self.row} beats row {self.beats} on {self.on}{by}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.on,)

    def row_numbers(self, count: int) -> tuple[int, ...]:
        return self.row, self.beats


class Pairs(Claim):
    """Each of some rows lies above the row that it is paired with on a column; or they do so on average."""

    rows: Annotated[list[RowNumber], Field(min_length=2)]
    beat: Annotated[list[RowNumber], Field(min_length=2)]  # the partner of each
    on: str
    on_average: bool = False

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """A row and its partner."""
        return tuple(zip(self.rows, self.beat))

    @property
    def words(self) -> str:
        if self.on_average:
            return f"{len(self.rows)} rows beat their partners on {self.on}, on average"
        return f"each of {len(self.rows)} rows beats its partner on {self.on}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.on,)

    def row_numbers(self, count: int) -> tuple[int, ...]:
        return tuple(dict.fromkeys((*self.rows, *self.beat)))


class StableWithin(Claim):
    """Each two of some rows lie within a margin of each other on a column."""

    rows: Annotated[list[RowNumber], Field(min_length=2)]
    stable_within: Annotated[float, Field(gt=0)]
    on: str

    @property
    def words(self) -> str:
        return f"rows {', '.join(map(str, self.rows))} agree within {self.stable_within:g} on {self.on}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.on,)

    def row_numbers(self, count: int) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self.rows))


class Extreme(Claim):
    """On one column: a row is the highest (lowest) of all rows. On several: the first is it within the row."""

    row: RowNumber
    highest_on: Names | None = None
    lowest_on: Names | None = None

    @property
    def sign(self) -> int:
        """What makes the extreme the highest."""
        return -1 if self.highest_on is None else 1

    @property
    def words(self) -> str:
        beside = " of all rows" if len(self.columns) == 1 else f" of the columns {', '.join(self.columns)}"
        extreme = "highest" if self.sign > 0 else "lowest"
        return f"row {self.row}: {self.columns[0]} is the {extreme}{beside}"

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.highest_on or self.lowest_on or ())

    def row_numbers(self, count: int) -> tuple[int, ...]:
        return tuple(range(1, count + 1)) if len(self.columns) == 1 else (self.row,)


class Level(Claim):
    """The curve of a column is below (above) a value at a share of the training."""

    row: RowNumber
    on: str
    by_share: Annotated[float, Field(ge=0, le=1)]
    below: float | None = None
    above: float | None = None

    @property
    def sign(self) -> int:
        """What makes "below" an "above"."""
        return -1 if self.above is None else 1

    @property
    def bound(self) -> float:
        return float((self.below if self.above is None else self.above) or 0)

    @property
    def words(self) -> str:
        side = "above" if self.sign > 0 else "below"
        return f"row {self.row}: {self.on} is {side} {self.bound:g} at {self.by_share:.0%} of training"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.on,)

    def row_numbers(self, count: int) -> tuple[int, ...]:
        return (self.row,)


KINDS: Mapping[str, type[Claim]] = {  # the key that decides a claim's kind
    "beats": Beats,
    "beat": Pairs,
    "stable_within": StableWithin,
    "highest_on": Extreme,
    "lowest_on": Extreme,
    "below": Level,
    "above": Level,
}
NAMED: Mapping[str, type[Claim]] = {kind.__name__: kind for kind in KINDS.values()}


def kinds_in(value: Any) -> list[str]:
    """Which of the deciding keys stand in a claim as written."""
    return [key for key in KINDS if isinstance(value, dict) and value.get(key) is not None]


def kind_of(value: Any) -> str | None:
    """The name of the class that a claim as written belongs to, where one alone is meant."""
    found = kinds_in(value)
    return KINDS[found[0]].__name__ if len(found) == 1 else None


AnyClaim = Annotated[
    Annotated[Beats, Tag("Beats")]
    | Annotated[Pairs, Tag("Pairs")]
    | Annotated[StableWithin, Tag("StableWithin")]
    | Annotated[Extreme, Tag("Extreme")]
    | Annotated[Level, Tag("Level")],
    Discriminator(kind_of),
]
