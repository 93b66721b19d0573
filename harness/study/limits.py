"""Which values a setting may have: its type, its range, and what it must agree with.

``LIMITS`` names the settings whose range is not that of their type; ``clashes`` has the rules between settings.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import inf
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, Field, TypeAdapter

from harness.errors import hint
from model.settings import OPTIONS


@dataclass(frozen=True)
class Limit:
    """A range of numbers; ``open_low`` and ``open_high`` leave its ends out, ``infinite`` lets .inf in."""

    low: float = -inf
    high: float = inf
    open_low: bool = False
    open_high: bool = False
    infinite: bool = False

    def words(self) -> str:
        """The range in words."""
        low = f"above {self.low:g}" if self.open_low else f"from {self.low:g}"
        high = f"below {self.high:g}" if self.open_high else f"to {self.high:g}"
        parts = [low] * (self.low > -inf) + [high] * (self.high < inf) + ["or .inf"] * self.infinite
        return " ".join(parts) + " on" * (self.low > -inf and self.high == inf and not self.open_low)

    def constraint(self) -> Any:
        """The range as pydantic has it."""
        bounds: dict[str, Any] = {("gt" if self.open_low else "ge"): self.low} if self.low > -inf else {}
        bounds |= {("lt" if self.open_high else "le"): self.high} if self.high < inf else {}
        return Field(strict=True, allow_inf_nan=self.infinite, **bounds)


SHARE, POSITIVE, COUNT, NATURAL = Limit(0, 1), Limit(0, open_low=True), Limit(1), Limit(0)
DROPOUT = Limit(0, 1, open_high=True)
LIMITS: Mapping[str, Limit] = {
    "case.width": COUNT,
    "case.clusters": NATURAL,
    "case.lambda_c": NATURAL,
    "case.lambda_r": NATURAL,
    "case.rho": POSITIVE,
    "case.head_temperature": POSITIVE,
    "case.epsilon": POSITIVE,
    "case.sinkhorn_steps": COUNT,
    "case.sinkhorn_steps_r": COUNT,
    "case.sigma": Limit(0, open_low=True, infinite=True),
    "case.initial_q_r": SHARE,
    "case.class_marginal": Limit(0, 1, open_low=True, open_high=True),
    "case.cat": SHARE,
    "training.snippets": COUNT,
    "training.batch": COUNT,
    "training.steps": COUNT,
    "training.lr": POSITIVE,
    "training.weight_decay": NATURAL,
    "training.warm_up": NATURAL,
    "training.evaluate_every": COUNT,
    "localization.class_threshold": SHARE,
    "localization.upsampling": COUNT,
    "localization.thresholds": Limit(0, 1),
    "localization.oic_lambda": NATURAL,
    "localization.oic_gamma": NATURAL,
    "localization.nms_threshold": SHARE,
    "localization.nms_alpha": POSITIVE,
    "localization.nms_plus": NATURAL,
    "metrics.tiou": Limit(0, 1, open_low=True),
    "metrics.acc_threshold": SHARE,
    "source.seed": NATURAL,
    "source.validation_share": Limit(0, 1, open_low=True, open_high=True),
}
SHARES = {"omega", "omega_test", "gamma", "share", "mask"}  # of any baseline's options; the others are 0 or more
COUNTS = {"topk", "kernel", "s", "r_act", "r_bkg", "r_easy", "r_hard", "r_instance", "r_context", "r_background"}


def limit(path: str) -> Limit:
    """The range of the numbers of a setting."""
    name = path.rpartition(".")[2]
    if not path.startswith("case.options."):
        return LIMITS.get(path, Limit())
    named = {"dropout": DROPOUT, "temperature": POSITIVE, "inner": COUNT, "outer": COUNT}
    return SHARE if name in SHARES else COUNT if name in COUNTS else named.get(name, NATURAL)


@cache
def adapter(path: str, kind: Any) -> TypeAdapter[Any]:
    """Pydantic's validator of a setting's type within its range; lists become tuples, whole numbers floats."""
    return TypeAdapter(narrowed(kind, limit(path)))


def narrowed(kind: Any, within: Limit) -> Any:
    """``kind`` with every number in it strict and within the range."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in {int, float}:
        return Annotated[kind, within.constraint()]
    if kind in {bool, str}:
        return Annotated[kind, Field(strict=True)]
    if origin in {Union, UnionType}:
        return Union[tuple(narrowed(k, within) for k in inner)]  # noqa: UP007  # members known only here
    if origin is tuple:
        return Annotated[tuple[narrowed(inner[0], within), ...], Field(min_length=1)]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, narrowed(inner[1], within)]  # type: ignore[misc]
    return Annotated[Any, BeforeValidator(frozen)] if kind is Any else kind


def frozen(value: Any) -> Any:
    """Lists as tuples, so that equal settings compare equal."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def words(kind: Any, within: Limit) -> str:
    """What ``kind`` allows, for people."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in {int, float}:
        return f"a {'whole ' * (kind is int)}number {within.words()}".rstrip()
    if origin is Literal:
        return " or ".join(f"'{name}'" for name in inner)
    if origin in {Union, UnionType}:
        return " or ".join(words(k, within) for k in inner)
    if origin is tuple:
        return f"a list, each entry {words(inner[0], within)}"
    if isinstance(origin, type):
        return f"a mapping of names, each {words(inner[1], within)}"
    return {bool: "true or false", str: "text"}.get(kind, "any value")


Get = Callable[[str], Any]


def clashes(get: Get) -> Iterator[tuple[tuple[str, ...], str]]:
    """Settings that contradict each other: (their paths, the one to change first; what is wrong)."""
    clusters, cat = get("case.clusters"), get("case.cat")
    if clusters == 1:
        yield ("case.clusters",), "found 1; a single cluster separates nothing; allowed: 0 (no head) or 2 on"
    if clusters == 0 and cat > 0:
        message = f"case.clusters is 0 (no clustering head) and case.cat is {cat:g}; without a head allowed: case.cat 0"
        yield ("case.clusters", "case.cat"), message
    T = get("training.snippets")
    for name in sorted(COUNTS - {"kernel", "s"}):
        if (divisor := get(f"case.options.{name}")) is not None and divisor > T:
            path = f"case.options.{name}"
            message = f"{path} is {divisor} and training.snippets {T}: T // {name} selects nothing; allowed: up to {T}"
            yield (path, "training.snippets"), message
    if (kernel := get("case.options.kernel")) is not None and kernel % 2 == 0:
        yield ("case.options.kernel",), f"found {kernel}; allowed: an odd number, so that time keeps its length"
    yield from _names(get)


def _names(get: Get) -> Iterator[tuple[tuple[str, ...], str]]:
    """Names and orders that only other settings decide."""
    known = OPTIONS[get("case.baseline")].sets["localization.thresholds"]  # type: ignore[attr-defined]
    for name in get("localization.thresholds"):
        if name not in known:
            yield ("localization.thresholds", "case.baseline"), f"unknown sequence '{name}'; {hint(name, known)}"
    for name in set(known) - set(get("localization.thresholds")):
        yield ("localization.thresholds", "case.baseline"), f"no thresholds for '{name}' of '{get('case.baseline')}'"
    tiou = get("metrics.tiou")
    if list(tiou) != sorted(set(tiou)):
        yield ("metrics.tiou",), "allowed: increasing numbers"
    if (name := get("source.name")) not in {"synthetic", "folder"}:
        yield ("source.name",), f"unknown data source '{name}'; {hint(name, ['synthetic', 'folder'])}"
