"""What a search study asks: its objectives, its sampler and the settings of a trial. No optuna, no torch.

A study becomes a search by ``{tune: [...]}`` in its ``set`` (``harness.study.tune``) and by these keys: ``objective``
(one mapping or a list of them), ``search`` (trials, sampler, ...) and ``constraints`` ("memory_gb < 8").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from harness import sources
from harness.errors import ConfigError, hint
from harness.settings import Settings
from harness.study import keys
from harness.study.building import build
from harness.study.checks import METRICS, PATTERN
from harness.study.document import Mark, Node, read, wrap
from harness.study.layers import Layer, flatten, fold, leaves
from harness.study.loading import QUICK_SEEDS, Study
from harness.study.parts import Count, Part
from harness.study.schema import allowed
from harness.study.tune import is_tuned
from harness.track import series

MEASURED = ("seconds", "memory_gb")  # of a training; they differ from call to call
WEAK = ("video_map", *MEASURED, "entropy/P_C", "entropy/mean_P_C", "entropy/Q_C", "entropy/Q_R")  # from video labels
QUICK = {"trials": 6, "batch": 6, "test_seeds": QUICK_SEEDS}
FIXED = ("source.", "metrics.", "case.baseline")  # what is measured, and on what, is not tuned
CONSTRAINT = re.compile(r"\s*([\w./:]+)\s*(<=?|>=?)\s*([-+.\deE]+)\s*")

Params = Mapping[str, Any]  # path -> value


class Objective(Part):
    """A number to improve: the mean of ``metric`` over seeds, on held-out training videos."""

    metric: str = "video_map"
    split: Literal["validation"] = "validation"
    seeds: Count = 3
    direction: Literal["maximize", "minimize"] = "maximize"
    supervision: Literal["video", "temporal"] = "video"


class Rules(Part):
    """How a search goes."""

    trials: Count = 40
    sampler: Literal["tpe", "gp", "random", "grid"] = "tpe"
    pruner: Literal["median", "wilcoxon", "none"] = "median"
    batch: Count = 8  # trials asked before any of them is told; the same under any --jobs
    startup: Count = 10  # trials before the sampler models anything, and before any is pruned
    seed: Annotated[int, Field(ge=0)] = 0
    points: Annotated[int, Field(ge=2)] = 5  # of a range without step in a grid
    test_seeds: Annotated[int, Field(ge=2)] = 5  # fresh seeds for the comparison on the test split


@dataclass(frozen=True)
class Constraint:
    """``text`` holds where ``sign`` x (metric - bound) is at most 0 (below 0 where strict: a tie violates it)."""

    text: str
    metric: str
    sign: int
    bound: float
    strict: bool

    def violation(self, value: float) -> float:
        """Above 0 when violated, as Optuna wants it."""
        found = self.sign * (value - self.bound)
        return found if found or not self.strict else 1e-12


@dataclass(frozen=True)
class Task:
    """A search: settings without the tuned values, the space, objectives, rules and constraints."""

    study: Study
    default: Settings
    space: Mapping[str, tuple[Any, ...]]
    objectives: tuple[Objective, ...]
    rules: Rules
    constraints: tuple[Constraint, ...] = ()
    fixed: Mapping[str, Any] | None = None  # the study's own settings that are not tuned

    @property
    def seeds(self) -> range:
        """Seeds of the search."""
        return range(self.objectives[0].seeds)

    @property
    def fresh(self) -> range:
        """Seeds of the comparison on the test split: none was used in the search."""
        return range(len(self.seeds), len(self.seeds) + self.rules.test_seeds)

    @property
    def temporal(self) -> bool:
        """Whether the search reads temporal annotations of training videos."""
        return any(objective.supervision == "temporal" for objective in self.objectives)

    @property
    def rescores(self) -> bool:
        """Whether every tuned setting only changes how stored scores are read: then nothing is trained per trial."""
        known = leaves(self.default.case.baseline)
        owners = (known.get(path) or known.get(path.rpartition(".")[0]) for path in self.space)
        return all(leaf is not None and leaf.scoring for leaf in owners)

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(o.metric for o in self.objectives)

    def digest(self) -> str:
        """16 hex digits over all that determines the list of trials but for their number."""
        rules = self.rules.model_dump(exclude={"trials", "test_seeds"})
        objectives = [objective.model_dump() for objective in self.objectives]
        content = [keys.flat(held_out(self.default)), self.study.rows[0].fingerprint, objectives, rules]
        code = sources.digest(self.default.case.baseline)
        space = {path: keys.plain(spec) for path, spec in self.space.items()}
        return keys.digest([*content, space, [c.text for c in self.constraints], code])


def held_out(settings: Settings) -> Settings:
    """The same on held-out training videos."""
    return replace(settings, source=replace(settings.source, split="validation"))


def applied(default: Settings, params: Params) -> Settings:
    """``default`` with the values of a trial; ConfigError says why they do not fit together."""
    errors: list[str] = []
    place = Mark("trial", 0, 0)
    layer: Layer = {path: wrap(value, place) for path, value in series.layer(keys.flat(default)).items()}
    found = build(fold([layer, {path: wrap(value, place) for path, value in params.items()}]), errors)
    if errors:
        raise ConfigError(errors)
    return found


def task(study: Study, trials: int | None = None) -> Task:
    """The search that a study file describes; ConfigError lists everything that is wrong with it."""
    node, errors = read(study.path), list[str]()
    asked = study.search.get("objective") or {}
    given: list[Any] = asked if (listed := isinstance(asked, list)) else [asked]
    steps: list[list[str | int]] = [["objective", i] if listed else ["objective"] for i in range(len(given))]
    objectives = [checked(Objective, value, node, at, errors) for value, at in zip(given, steps)]
    rules = checked(Rules, study.search.get("search", {}), node, ["search"], errors)
    found = [constraint(text, node.at(["constraints", i]), errors) for i, text in enumerate(node_texts(study))]
    for objective, at in zip(objectives, steps):
        errors += trouble(objective, node, at)
    errors += study_trouble(study, node, objectives)
    if errors:
        raise ConfigError(errors)
    rules = rules.model_copy(update={"trials": trials} if trials else {})
    if study.quick:
        quick = {name: min(getattr(rules, name), most) for name, most in QUICK.items()}
        rules = rules.model_copy(update=quick | ({"trials": trials} if trials else {}))
        objectives = [o.model_copy(update={"seeds": min(o.seeds, QUICK_SEEDS)}) for o in objectives]
    fixed = {path: inner.plain() for path, inner in flatten(node.at(["set"]), []).items() if not is_tuned(inner)}
    constraints = tuple(c for c in found if c)
    return Task(study, study.rows[0].settings, study.space, tuple(objectives), rules, constraints, fixed)


def node_texts(study: Study) -> Sequence[str]:
    return study.search.get("constraints", [])


def checked(kind: Any, value: Any, node: Node, at: Sequence[str | int], errors: list[str]) -> Any:
    """``value`` as ``kind``; what is wrong is told at its place and left at its default."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            steps = (*at, *detail["loc"])
            where, name = node.at(steps), ".".join(map(str, (at[0], *detail["loc"])))
            known = kind.model_fields
            if detail["type"] == "extra_forbidden":
                errors.append(f"{where.key}: {name}: unknown key; {hint(str(detail['loc'][-1]), known)}")
            elif detail["type"] == "literal_error":
                choices = known[str(detail["loc"][0])].annotation.__args__
                errors.append(f"{where.mark}: {name}: found {where.plain()!r}; {hint(str(where.plain()), choices)}")
            else:
                errors.append(f"{where.mark}: {name}: found {where.plain()!r}; allowed: {allowed(detail)}")
        return kind()


def known_metric(name: str) -> bool:
    return name in METRICS or name in MEASURED or bool(PATTERN.fullmatch(name) and not name.startswith("curve/"))


def trouble(objective: Objective, node: Node, at: Sequence[str | int]) -> list[str]:
    """A metric that nothing measures, or that asks for annotations which the supervision does not have."""
    inside = node.at([*at, "metric"]).mark
    if not known_metric(objective.metric):
        return [f"{inside}: objective.metric: '{objective.metric}'; {hint(objective.metric, [*METRICS, *MEASURED])}"]
    if objective.metric not in WEAK and objective.supervision == "video":
        return [
            f"{inside}: objective.metric: '{objective.metric}' needs temporal annotations of training videos, which "
            "weak supervision does not have; allowed: video_map, or 'supervision: temporal' (the report will say so)"
        ]
    return []


def study_trouble(study: Study, node: Node, objectives: Sequence[Objective]) -> list[str]:
    """What a search needs of the rest of a study."""
    out = [] if study.space else [f"{node.mark}: nothing to tune: no {{tune: [...]}} in the study's 'set'"]
    if len(study.rows) != 1:
        out.append(f"{node.at(['rows']).mark}: rows: found {len(study.rows)}; a search has one row at most")
    if not objectives:
        out.append(f"{node.at(['objective']).mark}: objective: found an empty list; allowed: at least one")
    if len({objective.seeds for objective in objectives}) > 1:
        out.append(
            f"{node.at(['objective']).mark}: objective: found several numbers of seeds; allowed: the same for all"
        )
    for path in study.space:
        if path.startswith(FIXED):
            where = node.at(["set", path]).mark
            out.append(f"{where}: {path}: it decides what is measured, or which settings there are; it cannot be tuned")
    return [*out, study.missing] if study.missing else out


def constraint(text: Any, node: Node, errors: list[str]) -> Constraint | None:
    """ "memory_gb < 8" read."""
    found = CONSTRAINT.fullmatch(str(text))
    if found is None:
        errors.append(f"{node.mark}: constraints: found {text!r}; allowed: METRIC < NUMBER, also <=, >, >=")
        return None
    metric, sign, bound = found.groups()
    if not known_metric(metric):
        errors.append(f"{node.mark}: constraints: unknown metric '{metric}'; {hint(metric, [*METRICS, *MEASURED])}")
        return None
    try:
        return Constraint(str(text), metric, 1 if sign[0] == "<" else -1, float(bound), len(sign) == 1)
    except ValueError:
        errors.append(f"{node.mark}: constraints: found {text!r}: '{bound}' is no number")
        return None


def journal(study: Study, root: Path) -> Path:
    """Where the trials of a search are kept."""
    from harness.report.writing import folder

    return root / "searches" / folder(study, root).relative_to(root / "reports") / "journal.log"
